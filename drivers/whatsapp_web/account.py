"""A WhatsApp account as the driver sees it: what it may ask of one, and what one may tell it.

Owns the words between the driver and whatever library speaks to WhatsApp; does nothing itself and knows no library.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

from infinireach.v1.message_pb2 import FailureReason, Media


@dataclass(slots=True, frozen=True)
class PairingCode:
    """A new code to pair with; the one before is void."""

    payload: str
    """What to show as a QR code."""


@dataclass(slots=True, frozen=True)
class Connected:
    """The account is paired, and WhatsApp takes messages from it."""


@dataclass(slots=True, frozen=True)
class Disconnected:
    """The connection is lost; the library goes on trying."""


@dataclass(slots=True, frozen=True)
class LoggedOut:
    """The session is void: ended on the phone, or by WhatsApp. The library has forgotten it."""


@dataclass(slots=True, frozen=True)
class Banned:
    """WhatsApp does not let the account in for a while. The library does not try again."""

    lasts_s: float
    reason: str
    """WhatsApp's, as a word: for example `send_to_too_many_people`."""


@dataclass(slots=True, frozen=True)
class Replaced:
    """Another process has the same session open. The library does not try again."""


@dataclass(slots=True, frozen=True)
class Outdated:
    """WhatsApp does not speak to this version of the library any more."""


@dataclass(slots=True, frozen=True)
class Refused:
    """WhatsApp refused the connection for another reason. The library does not try again."""


@dataclass(slots=True, frozen=True)
class PairingFailed:
    """A phone scanned the code and pairing failed all the same."""


class ReceiptKind(Enum):
    """What a receipt says of a message."""

    DELIVERED = auto()
    """A device of the recipient has it; in a group, of the first participant."""
    READ = auto()


@dataclass(slots=True, frozen=True)
class MessageReceipt:
    """What became of messages of this account."""

    message_ids: tuple[str, ...]
    kind: ReceiptKind
    time_s: float
    """Seconds since 1970, by WhatsApp's clock."""


@dataclass(slots=True, frozen=True)
class Incoming:
    """A message that somebody sent to the account or to a group it is in."""

    message_id: str
    sender: str
    """E.164 with a plus sign; `<digits>@lid` of one whose number WhatsApp does not tell."""
    text: str
    """The text or caption; of what is neither, a line that says what it is. Empty with a file without caption."""
    time_s: float
    """Seconds since 1970, by WhatsApp's clock."""
    group_id: str = ""
    """`…@g.us` if it was sent to a group."""
    sender_name: str = ""
    media: Media | None = None
    answers: str = ""
    """WhatsApp's id of the message that it quotes or reacts to."""
    sender_ids: frozenset[str] = frozenset()
    """All that the sender is known by: E.164, `<digits>@lid`."""


Event = (
    PairingCode
    | Connected
    | Disconnected
    | LoggedOut
    | Banned
    | Replaced
    | Outdated
    | Refused
    | PairingFailed
    | MessageReceipt
    | Incoming
)
Handle = Callable[[Event], Awaitable[None]]
"""Takes one event after the other; the next one waits until it returns, and WhatsApp's queue waits behind that."""


class NotSent(Exception):
    """The message certainly did not reach WhatsApp, or WhatsApp refused it. Any other exception leaves that open."""

    def __init__(self, reason: FailureReason, detail: str, *, code: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        """One sentence for people, without numbers."""
        self.code = code
        """WhatsApp's own."""


class AccountFailed(Exception):
    """The library gave up; a new try may help. Its text is for people and tells no numbers."""


class Account(Protocol):
    """One account with its session, opened and not connected yet."""

    async def run(self) -> None:
        """Connect, and tell what happens until closed. Raises AccountFailed. Called once."""
        ...

    async def send_text(self, to: str, text: str) -> str:
        """Send to E.164, `<digits>@lid` or `…@g.us`; WhatsApp's id of the message. Raises NotSent."""
        ...

    async def find(self, number: str) -> str:
        """The number, E.164, as WhatsApp writes it, which differs in some countries; nothing if it has no account.

        Raises AccountFailed.
        """
        ...

    async def code_for(self, number: str) -> str:
        """The eight characters to type into the phone with this number. Raises AccountFailed."""
        ...

    async def own_number(self) -> str:
        """The number that the session belongs to, E.164; only once it is connected."""
        ...

    async def close(self) -> None:
        """End the connection; the session stays. No event comes after it."""
        ...


Open = Callable[[Path, Handle], Account]
"""Opens the session in a file, which may be new and empty."""
