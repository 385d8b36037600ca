"""Every condition that the account can be in: its code, what the core is told, and what a person can do about it.

Owns the words. Codes are stable: dashboards and alarms name them.
"""

from dataclasses import dataclass
from enum import StrEnum

from infinireach.v1.device_pb2 import (
    DEVICE_STATE_ATTENTION,
    DEVICE_STATE_DEGRADED,
    DEVICE_STATE_ONLINE,
    DeviceState,
)
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_DEVICE_FAULT,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_RATE_LIMITED,
    FailureReason,
)

WINDOW = 3
"""Commands that an account which can send has in hand: one runs, two wait in the journal."""


class Reason(StrEnum):
    """Why the account is as it is."""

    READY = ""
    STARTING = "starting"
    RECONNECTING = "reconnecting"
    NEEDS_PAIRING = "needs_pairing"
    PAIRING_GIVEN_UP = "pairing_given_up"
    WRONG_ACCOUNT = "wrong_account"
    TEMPORARY_BAN = "temporary_ban"
    SESSION_IN_USE = "session_in_use"
    LIBRARY_OUTDATED = "library_outdated"
    LIBRARY_FAILED = "library_failed"
    LIBRARY_HANGS = "library_hangs"
    DAILY_LIMIT = "daily_limit"
    NIGHT = "night"


@dataclass(slots=True, frozen=True)
class Row:
    """One condition of the table."""

    state: DeviceState
    remedy: str = ""
    """What a person can do. Empty: nothing needs to be done."""
    failure: FailureReason = FAILURE_REASON_NO_SERVICE
    """What is said of a command that waits here and cannot be started; each of them is retried by the core."""
    can_send: bool = False
    is_brief: bool = False
    """Likely over soon: the commands that wait here are not given back to the core."""
    is_final: bool = False
    """Nothing happens any more until a person has done something and started the driver again."""


_ON, _WAIT, _PERSON = DEVICE_STATE_ONLINE, DEVICE_STATE_DEGRADED, DEVICE_STATE_ATTENTION
_FAULT, _LIMIT = FAILURE_REASON_DEVICE_FAULT, FAILURE_REASON_RATE_LIMITED

CONDITIONS: dict[Reason, Row] = {
    Reason.READY: Row(_ON, can_send=True),
    Reason.STARTING: Row(_WAIT, is_brief=True),
    Reason.RECONNECTING: Row(
        _WAIT, "If it stays so: see whether this machine reaches the internet.", is_brief=True
    ),
    Reason.NEEDS_PAIRING: Row(
        _PERSON,
        "On the phone open WhatsApp, Settings, Linked devices, Link a device.",
        _FAULT,
    ),
    Reason.PAIRING_GIVEN_UP: Row(
        _PERSON,
        "Nobody paired the account for an hour. Start the driver again to pair it.",
        _FAULT,
        is_final=True,
    ),
    Reason.WRONG_ACCOUNT: Row(
        _PERSON,
        "The session belongs to another number than INFINIREACH_WHATSAPP_WEB_NUMBER says. Mend the number; or log "
        "the device out on the phone, remove the session's file and pair the right phone.",
        _FAULT,
        is_final=True,
    ),
    Reason.TEMPORARY_BAN: Row(
        _PERSON,
        "Send less, to people who expect it. Nothing is tried before the ban ends; a second one may be for good.",
        _LIMIT,
    ),
    Reason.SESSION_IN_USE: Row(
        _PERSON,
        "Another process uses the same session. Stop it, then start the driver again.",
        _FAULT,
        is_final=True,
    ),
    Reason.LIBRARY_OUTDATED: Row(
        _PERSON,
        "WhatsApp does not take this version of neonize any more. Install a newer one and start the driver again.",
        _FAULT,
        is_final=True,
    ),
    Reason.LIBRARY_FAILED: Row(_WAIT, "The connection could not be opened and is tried again.", _FAULT),
    Reason.LIBRARY_HANGS: Row(
        _PERSON,
        "The library does not end its connection, and another one beside it would spoil the session. Start the "
        "driver again.",
        _FAULT,
        is_final=True,
    ),
    Reason.DAILY_LIMIT: Row(
        _WAIT,
        "It has sent INFINIREACH_WHATSAPP_WEB_PER_DAY messages today and goes on tomorrow.",
        _LIMIT,
    ),
    Reason.NIGHT: Row(
        _WAIT, "It is night by INFINIREACH_WHATSAPP_WEB_NIGHT; it goes on in the morning.", _LIMIT
    ),
}


@dataclass(slots=True, frozen=True)
class Condition:
    """How the account is, for the core and for people."""

    reason: Reason
    detail: str = ""
    """A sentence that knows more than the table; comes before the table's."""
    pairing_payload: str = ""
    """What to show as a QR code."""

    @property
    def row(self) -> Row:
        """What the table says."""
        return CONDITIONS[self.reason]

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return " ".join(filter(None, [self.detail, self.row.remedy]))
