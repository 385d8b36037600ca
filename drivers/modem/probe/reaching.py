"""How a probe comes to a modem that answers: opening, waking, other speeds, the other ports of the stick.

Owns what is told where it does not come that far. Changes nothing in the modem but its echo.
"""

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from drivers.modem.at.results import AtFailure, CommandRefused
from drivers.modem.link.channel import Channel
from drivers.modem.link.dialogue import BytePort
from drivers.modem.link.port_errors import MODEM_MANAGER, PortBusy, PortError, PortMissing
from drivers.modem.link.serial_ports import SerialPort, holders_of, names, siblings
from drivers.modem.probe.findings import Finding, Mark, Tell
from drivers.modem.timing import Timing

SPEEDS = (9600, 19200, 38400, 57600, 230400, 460800)
"""Speeds to try on a real serial line that does not answer at the one given."""
SILENCE_S = 0.3
OUR_DRIVER = "drivers.modem"


class OpenPort(Protocol):
    """How a port is opened; `port.open_port` is the real one."""

    def __call__(self, url: str, *, baud_rate: int) -> Awaitable[BytePort]:
        """Raises PortError."""
        ...


@dataclass(slots=True, frozen=True)
class Reached:
    """A modem that answers."""

    channel: Channel
    port: str
    """The best name of its port."""
    baud: int


class Reacher:
    """Finds the modem behind a port."""

    def __init__(
        self, tell: Tell, timing: Timing, *, open_port: OpenPort, ports: Callable[[], Sequence[SerialPort]]
    ) -> None:
        self._tell = tell
        self._timing = timing
        self._open_port = open_port
        self._list_ports = ports

    async def reach(self, url: str, *, baud: int, all_ports: bool) -> Reached | None:
        """The modem at a port, or with `all_ports` at another port of the same stick; None was told why."""
        ports = self._list_ports()
        channel = await self._open(url, baud, ports)
        if channel is None:
            return None
        if await self._answers(channel):
            self._tell(Finding("answer", Mark.OK, "It answers."))
            return Reached(channel, _best_name(url, ports), baud)
        others = siblings(url, ports)
        if others:
            return await self._reach_sibling(url, baud, others, all_ports=all_ports)
        return await self._reach_at_other_speed(url, baud, ports)

    async def _open(self, url: str, baud: int, ports: Sequence[SerialPort]) -> Channel | None:
        try:
            port = await self._open_port(url, baud_rate=baud)
        except PortError as error:
            remedy = error.remedy
            if isinstance(error, PortMissing) and not _is_url(url):
                remedy = f"{remedy} There are: {names(ports)}."
            elif isinstance(error, PortBusy):
                remedy = _remedy_if_busy(url, error)
            self._tell(Finding("port", Mark.FAULT, error.sentence, remedy))
            return None
        self._tell(Finding("port", Mark.OK, f"{url} can be opened."))
        return self._channel(port)

    def _channel(self, port: BytePort) -> Channel:
        return Channel(
            port,
            on_unsolicited=lambda _: None,
            barrier_timeout_s=2 * self._timing.wake_s,
            silence_s=min(SILENCE_S, self._timing.wake_s / 4),
            is_in_step=False,
        )

    async def _answers(self, channel: Channel) -> bool:
        """Whether a modem is there; the channel is closed if none is."""
        try:
            await channel.execute("ATE0", timeout_s=self._timing.setting_s)
        except CommandRefused:
            return True
        except AtFailure:
            await channel.close()
            return False
        return True

    async def _reach_sibling(
        self, url: str, baud: int, others: Sequence[SerialPort], *, all_ports: bool
    ) -> Reached | None:
        nothing = f"Nothing answers at {url}. It is one of several ports of a stick, often not the right one."
        if not all_ports:
            remedy = f"Try the others, {names(others)}: infinireach modem probe {url} --all-ports"
            self._tell(Finding("answer", Mark.FAULT, nothing, remedy))
            return None
        for other in others:
            channel = await self._try(other.device, baud)
            if channel is not None:
                seen = f"Nothing answers at {url}, but at {other.best_name}."
                self._tell(Finding("answer", Mark.OK, seen))
                return Reached(channel, other.best_name, baud)
        remedy = "Unplug the stick for ten seconds. If it stays silent, see whether a program holds one of its ports."
        seen = f"Nothing answers at {url}, nor at the stick's other ports, {names(others)}."
        self._tell(Finding("answer", Mark.FAULT, seen, remedy))
        return None

    async def _reach_at_other_speed(self, url: str, baud: int, ports: Sequence[SerialPort]) -> Reached | None:
        own = _port_of(url, ports)
        if not _is_url(url) and not (own and own.looks_like_modem):  # USB modems ignore the speed
            for speed in SPEEDS:
                if speed != baud and (channel := await self._try(url, speed)) is not None:
                    seen = f"It answers at {speed} baud, not at {baud}."
                    self._tell(Finding("answer", Mark.OK, seen, f"Set `baud = {speed}` in modems.toml."))
                    return Reached(channel, _best_name(url, ports), speed)
        self._tell(
            Finding(
                "answer",
                Mark.FAULT,
                f"Nothing answers at {url}.",
                "Is a modem behind it, with power? Unplug it for ten seconds. On a serial line see whether RX and TX "
                "are crossed, and whether it was built for another speed: --baud.",
            )
        )
        return None

    async def _try(self, url: str, baud: int) -> Channel | None:
        """A channel on which a modem answers; None if there is none, whatever the reason."""
        try:
            channel = self._channel(await self._open_port(url, baud_rate=baud))
        except PortError:
            return None
        return channel if await self._answers(channel) else None


def _remedy_if_busy(url: str, error: PortBusy) -> str:
    """The remedy, with who it is where that can be seen."""
    remedy = error.remedy
    if MODEM_MANAGER in error.sentence:
        return f"{remedy} The rule is written by: infinireach modem system-files DIR"
    holder = holders_of([url]).get(url)
    if holder is None:
        return remedy
    if OUR_DRIVER in holder.command:
        return (
            f"It is the modem driver (process {holder.pid}). How its modems fare: infinireach modem status. "
            "Stop it before you probe."
        )
    return f"{remedy} It is process {holder.pid}: {holder.command}"


def _is_url(port: str) -> bool:
    return "://" in port


def _port_of(url: str, ports: Sequence[SerialPort]) -> SerialPort | None:
    path = os.path.realpath(url)
    return next((port for port in ports if os.path.realpath(port.device) == path), None)


def _best_name(url: str, ports: Sequence[SerialPort]) -> str:
    """The name of a port for modems.toml: the one given, unless it is one that changes and there is one that stays."""
    own = _port_of(url, ports)
    return own.best_name if own is not None and url == own.device else url
