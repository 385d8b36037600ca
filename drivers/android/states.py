"""What the app says of a message, and what that means for its command.

Owns the words of the app and of Android; does no I/O. Sources: the app's documentation (status tracking) and source,
Android's SmsManager for RESULT_….
"""

import re
from dataclasses import dataclass

from drivers.runtime import Failed
from infinireach.v1 import message_pb2
from infinireach.v1.message_pb2 import FailureReason

WAITING = frozenset({"Pending", "Processed", "Cancelling"})
"""The phone has it and the network may not: it is queued, or was given to Android."""
SENT = "Sent"
DELIVERED = "Delivered"
FAILED = "Failed"
CANCELLED = "Cancelled"

_RESULT = re.compile(r"RESULT_[A-Z0-9_]+")
_SERVICE_CENTRE = re.compile(r"^Delivery result.*?(-?\d+)\s*$", re.DOTALL)

_NO_SERVICE = message_pb2.FAILURE_REASON_NO_SERVICE
_RATE_LIMITED = message_pb2.FAILURE_REASON_RATE_LIMITED
_REJECTED = message_pb2.FAILURE_REASON_NETWORK_REJECTED

RESULTS: dict[str, tuple[FailureReason, str]] = {
    "RESULT_ERROR_NO_SERVICE": (_NO_SERVICE, "The phone has no network."),
    "RESULT_ERROR_RADIO_OFF": (_NO_SERVICE, "The phone's radio is off: is it in flight mode?"),
    "RESULT_RADIO_NOT_AVAILABLE": (_NO_SERVICE, "The phone's radio is not available."),
    "RESULT_RIL_RADIO_NOT_AVAILABLE": (_NO_SERVICE, "The phone's radio is not available."),
    "RESULT_RIL_NETWORK_NOT_READY": (_NO_SERVICE, "The phone has no network yet."),
    "RESULT_ERROR_LIMIT_EXCEEDED": (_RATE_LIMITED, "Android's limit on messages of an app is reached."),
    "RESULT_UNEXPECTED_EVENT_STOP_SENDING": (
        _RATE_LIMITED,
        "Android asked on the phone's screen whether so many messages are meant, and nobody said yes.",
    ),
    "RESULT_RIL_REQUEST_RATE_LIMITED": (_RATE_LIMITED, "The phone's radio asks to slow down."),
    "RESULT_ERROR_GENERIC_FAILURE": (_REJECTED, "Android gives no reason; often the SIM has no credit."),
    "RESULT_NO_DEFAULT_SMS_APP": (
        message_pb2.FAILURE_REASON_DEVICE_FAULT,
        "The phone has no default app or no default SIM for SMS.",
    ),
    "RESULT_INVALID_ARGUMENTS": (
        message_pb2.FAILURE_REASON_DESTINATION_INVALID,
        "Android does not take the destination.",
    ),
}
"""Android's results with a meaning of their own. Every other one ends the message: it says nothing of what passes by
itself, and not that nothing went out."""


@dataclass(slots=True, frozen=True)
class MessageState:
    """A message as the phone has it."""

    state: str
    error: str = ""

    @property
    def is_waiting(self) -> bool:
        """Whether it has yet to be sent."""
        return self.state in WAITING

    @property
    def is_failed(self) -> bool:
        """Whether it will not arrive."""
        return self.state not in WAITING and self.state not in (SENT, DELIVERED)

    @property
    def was_sent(self) -> bool:
        """Whether the network took it: also if it could not deliver it afterwards."""
        return self.state in (SENT, DELIVERED) or bool(_SERVICE_CENTRE.match(self.error))


def failure(state: MessageState, *, parts: int) -> Failed:
    """Why a message failed that the phone says is Failed or Cancelled."""
    if state.state == CANCELLED:
        return Failed(message_pb2.FAILURE_REASON_CANCELLED, detail="It was cancelled in the phone's app.")
    if found := _SERVICE_CENTRE.match(state.error):
        detail = "The network took it and could not deliver it."
        return Failed(message_pb2.FAILURE_REASON_DESTINATION_UNREACHABLE, found[1], detail)
    if found := _RESULT.search(state.error):
        return _refused(found[0], parts)
    if "TTL expired" in state.error:
        detail = "Its deadline passed while it waited in the phone."
        return Failed(message_pb2.FAILURE_REASON_EXPIRED, detail=detail)
    return Failed(message_pb2.FAILURE_REASON_DEVICE_FAULT, detail=_fault(state.error))


def _refused(result: str, parts: int) -> Failed:
    if parts > 1:
        # The phone tells one result for all parts, so others may be out and must not go out again.
        detail = "A part of it failed; the phone does not tell whether others went out."
        return Failed(message_pb2.FAILURE_REASON_PARTLY_SENT, result, detail)
    reason, detail = RESULTS.get(result, (_REJECTED, "The phone could not send it."))
    return Failed(reason, result, detail)


def _fault(error: str) -> str:
    """A sentence of ours: the app's own may hold the number."""
    if re.search(r"SIM \d+ not found|No SIMs found", error):
        return "The phone does not find the SIM."
    if "permission" in error.lower():
        return "The app lacks a permission: give it those for SMS and telephone."
    return "The app could not hand it to Android; its log says why."
