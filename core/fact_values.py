"""What drivers report, as values.

Owns the kinds of facts. What each of them does is in core.facts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.message_state import Evidence


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a command. `segments`: those reported delivered, from 1; empty means all.

    `is_read`: with DELIVERED, the recipient has read it, and so got all of it. `retry_delay_ms`: with FAILED, how long
    the driver would wait; None: it does not say.
    """

    sequence: int
    command_id: str
    outcome: Evidence
    references: tuple[str, ...] = ()
    segments: tuple[int, ...] = ()
    reason: str = ""
    code: str = ""
    detail: str = ""
    is_read: bool = False
    retry_delay_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message that came in, whole. `content`: what came besides the text, as core.contents stores it.

    `reply_to_command_id`: the command that it answers, by what the network says; empty if it says nothing.
    """

    sequence: int
    device_key: str
    channel: str
    source: str
    destination: str
    text: str
    segments: int
    group_id: str
    network_ms: int | None
    content: str | None = None
    reply_to_command_id: str = ""
    sender_name: str = ""


@dataclass(frozen=True, slots=True)
class DeviceChange:
    """A device is not as it was. `is_replayed`: journalled before the hello, which says how it is now."""

    sequence: int
    device_key: str
    state: str
    reason: str
    remedy: str
    window: int
    signal_percent: int
    battery_percent: int
    pairing_payload: str
    is_replayed: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A fact that has no meaning here; `problem` says why."""

    sequence: int
    problem: str


Fact = Report | Inbound | DeviceChange | Unreadable


@dataclass(frozen=True, slots=True)
class DriverFacts:
    """Facts of one session, in the order of their numbers. `size`: bytes of the frame that they came in."""

    driver_id: str
    epoch: int
    facts: Sequence[Fact]
    size: int = 0
