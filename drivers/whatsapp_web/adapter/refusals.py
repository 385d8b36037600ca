"""What the library says when a message was not sent, and which of it is certain.

The texts are those of whatsmeow (send.go, errors.go, September 2026), which gives no other form through neonize. What
is not named here leaves open whether the message went out.
"""

import re

from drivers.whatsapp_web.account import NotSent
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_DESTINATION_INVALID,
    FAILURE_REASON_DESTINATION_UNREACHABLE,
    FAILURE_REASON_DEVICE_FAULT,
    FAILURE_REASON_NETWORK_REJECTED,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_RATE_LIMITED,
    FailureReason,
)

BEFORE_SENDING: dict[str, tuple[FailureReason, str]] = {
    "failed to send message node: websocket not connected": (
        FAILURE_REASON_NO_SERVICE,
        "There was no connection to WhatsApp.",
    ),
    "the store doesn't contain a device JID": (FAILURE_REASON_DEVICE_FAULT, "The account is not paired."),
    "can't send message to unknown server": (
        FAILURE_REASON_DESTINATION_INVALID,
        "The library does not know such recipients.",
    ),
    "message recipient must be a user JID": (
        FAILURE_REASON_DESTINATION_INVALID,
        "The library does not know such recipients.",
    ),
    "failed to get group members": (
        FAILURE_REASON_DESTINATION_UNREACHABLE,
        "WhatsApp did not tell who is in the group; the account may not be in it.",
    ),
    "failed to get device list": (
        FAILURE_REASON_NO_SERVICE,
        "WhatsApp did not tell with which devices the recipient reads.",
    ),
}
"""How an error begins that comes before anything was written to WhatsApp."""
BY_SERVER = re.compile(r"server returned error ([0-9]{1,5})")
"""WhatsApp's own answer: it did not take the message."""
CODES: dict[str, tuple[FailureReason, str]] = {
    "403": (FAILURE_REASON_DESTINATION_UNREACHABLE, "The account may not write there."),
    "404": (FAILURE_REASON_DESTINATION_INVALID, "There is no such recipient."),
    "429": (FAILURE_REASON_RATE_LIMITED, "WhatsApp asks to slow down."),
    "463": (
        FAILURE_REASON_NETWORK_REJECTED,
        "WhatsApp does not let the account write to people it has not written with; more of it ends in a ban.",
    ),
}


def read_refusal(text: str) -> NotSent | None:
    """What an error of sending means; None if the message may have gone out all the same."""
    for beginning, (reason, detail) in BEFORE_SENDING.items():
        if text.startswith(beginning):
            return NotSent(reason, detail)
    answer = BY_SERVER.match(text)
    if answer is None:
        return None
    reason, detail = CODES.get(answer[1], (FAILURE_REASON_NETWORK_REJECTED, "WhatsApp refused the message."))
    return NotSent(reason, detail, code=answer[1])
