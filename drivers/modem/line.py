"""A modem that has been set up and can work: what the parts of the driver ask of it.

Owns the words between the lifecycle of a modem and its sending and receiving; does nothing itself.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol


class Priority(IntEnum):
    """What goes first when several commands wait for the modem."""

    ACKNOWLEDGE = 0
    """+CNMA: the network waits for it."""
    SEND = 1
    READ = 2
    POLL = 3


class Commands(Protocol):
    """Whoever carries out AT commands, one at a time; `channel.Channel` is the real one."""

    async def execute(
        self, command: str, *, timeout_s: float, priority: Priority = Priority.READ
    ) -> Sequence[str]:
        """Carry out a command such as `AT+CSQ`; its information lines, without echo and final result.

        Raises CommandRefused, CommandUnanswered or ChannelClosed (drivers.modem.at.results).
        """
        ...

    async def submit(
        self,
        *,
        tpdu_octets: int,
        pdu: str,
        timeout_s: float,
        before_pdu: Callable[[], Awaitable[None]],
    ) -> int:
        """AT+CMGS: hand over one PDU; the message reference that the modem gave it (TP-MR, 0 to 255).

        `before_pdu` is awaited between the prompt and the PDU. If it raises, the modem is told ESC, nothing is sent,
        and the exception goes to the caller.
        Raises NoPrompt, ChannelClosed or CommandRefused before `before_pdu` was called: nothing was handed over.
        After it: PduNotWritten (certain: nothing was handed over), any other CommandRefused (the network or the modem
        refused the PDU), NoReference, CommandUnanswered; TimeoutError if `before_pdu` took longer than a modem waits.
        """
        ...


@dataclass(slots=True, frozen=True)
class Line:
    """One modem from the end of its set-up until its port is lost or it stops answering."""

    commands: Commands
    device_key: str
    number: str
    """Its own number, E.164."""
    imei: str
    iccid: str
    """The SIM's serial number: what reports and fragments belong to."""
    stores: tuple[str, ...]
    """Memories that may hold messages, such as ("SM", "ME"); swept at the start and now and then."""
    acknowledges: bool
    """+CSMS service 1: each +CMT and +CDS is to be answered with +CNMA in time."""
    smsc: str = ""
    """To put into each PDU; empty: the SIM's own."""
    submit_timeout_s: float = 130.0
    pause_between_parts_s: float = 0.0
    reference_bits: int = 8
    """Width of the concatenation reference of what is sent, 8 or 16."""
    acknowledge_command: str = "AT+CNMA"
    """What answers +CMT and +CDS where `acknowledges`; some modems want another form."""


class Lines(Protocol):
    """Where the line of one modem is while it works; it goes and comes back with port, SIM and network."""

    @property
    def current(self) -> Line | None:
        """The line; None while the modem is away or being set up."""
        ...

    async def next_line(self) -> Line:
        """Wait until the modem is set up; at once if it is. May take for ever."""
        ...


class Turns(Protocol):
    """How often a SIM may send; `pacing.Pacer` is the real one."""

    async def turn(self) -> None:
        """Wait until the next part may go out, and count it."""
        ...
