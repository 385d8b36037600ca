"""What the fake phone and its app hold: SIMs, messages with their states, parts that the network took."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """How far the app has come with a message."""

    PENDING = "Pending"
    """Taken by the app; Android has not heard of it."""
    PROCESSED = "Processed"
    """Given to Android."""
    SENT = "Sent"
    """Taken by the network."""
    DELIVERED = "Delivered"
    """Reported as delivered, of several parts any one."""
    FAILED = "Failed"


class AppKind(StrEnum):
    """What the installed app offers."""

    NEW = "new"
    """GET /messages, GET /inbox and POST /inbox/refresh; events name sender and recipient."""
    OLD = "old"
    """POST /messages/inbox/export instead, which sends sms:received again; events name phoneNumber."""


class OverLimit(StrEnum):
    """What becomes of a message with which an app would exceed Android's limit."""

    SILENT = "silent"
    """Nothing: Android asks its user, and nobody looks. The message stays Processed."""
    FAILED = "failed"
    """It is refused: RESULT_ERROR_LIMIT_EXCEEDED."""


@dataclass(slots=True, frozen=True)
class Sim:
    """A SIM in its slot."""

    number: int
    """The slot, counted from 1."""
    phone_number: str
    """E.164."""
    carrier: str = "Example Mobile"


@dataclass(slots=True)
class Recipient:
    """One number that a message is for."""

    phone_number: str
    state: State = State.PENDING
    error: str | None = None


@dataclass(slots=True)
class Message:
    """A message that the app was given."""

    id: str
    text: str
    recipients: list[Recipient]
    created_at: datetime
    sim_number: int | None = None
    valid_until: datetime | None = None
    with_delivery_report: bool = True
    skips_validation: bool = False
    is_encrypted: bool = False
    priority: int = 0
    parts_count: int | None = None
    """Known once Android has divided the text."""
    states: dict[State, datetime] = field(default_factory=dict[State, datetime])

    @property
    def state(self) -> State:
        """That of the whole message, by those of its recipients, as the app has it."""
        states = {recipient.state for recipient in self.recipients}
        for waiting in (State.PENDING, State.PROCESSED):
            if waiting in states:
                return waiting
        return states.pop() if len(states) == 1 else State.SENT

    def shown(self, device_id: str, written: Callable[[datetime], str]) -> dict[str, Any]:
        """As the app answers with it. Fields without a value are left out."""
        return {
            "id": self.id,
            "deviceId": device_id,
            "state": self.state,
            "isHashed": False,
            "isEncrypted": self.is_encrypted,
            "recipients": [
                without_nulls({"phoneNumber": each.phone_number, "state": each.state, "error": each.error})
                for each in self.recipients
            ],
            "states": {state: written(moment) for state, moment in self.states.items()},
            "createdAt": written(self.created_at),
        }


@dataclass(slots=True, frozen=True)
class SentPart:
    """One SMS that the network took."""

    message_id: str
    to: str
    sim: int
    part: int
    """Counted from 1."""
    parts: int
    text: str
    """Of this part."""
    at: datetime


@dataclass(slots=True, frozen=True)
class Received:
    """A message that came in, as Android keeps it."""

    sender: str
    text: str
    sim: Sim
    at: datetime
    """The service centre's time, in whole seconds."""

    @property
    def content_hash(self) -> int:
        """What the app makes its ids of: Java's hash of sender, time, SIM and text, 32 bits with a sign."""
        milliseconds = int(self.at.timestamp()) * 1000
        whole = _string_hash(self.sender)
        for part in (milliseconds ^ (milliseconds >> 32), self.sim.number, _string_hash(self.text)):
            whole = 31 * whole + part
        return _signed(whole)

    @property
    def inbox_id(self) -> str:
        """Its id in GET /inbox."""
        return f"text:{self.content_hash}"

    @property
    def event_id(self) -> str:
        """Its messageId in sms:received: the same number, written otherwise."""
        return f"{self.content_hash & 0xFFFFFFFF:x}"


@dataclass(slots=True, frozen=True)
class Heard:
    """A request as it came to the app."""

    method: str
    path: str
    body: bytes


def without_nulls(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The app leaves out what has no value."""
    return {name: value for name, value in fields.items() if value is not None}


def _string_hash(text: str) -> int:
    """Java's String.hashCode, over UTF-16 code units."""
    units = text.encode("utf-16-be", "surrogatepass")
    whole = 0
    for high, low in zip(units[::2], units[1::2], strict=True):
        whole = (31 * whole + (high << 8 | low)) & 0xFFFFFFFF
    return _signed(whole)


def _signed(whole: int) -> int:
    whole &= 0xFFFFFFFF
    return whole - (1 << 32) if whole >= 1 << 31 else whole
