"""What each error code of Graph means for the message and for the number: one table.

After Meta's "Cloud API error codes", which tells programs to go by the code and `error_data.details` alone. A code
means the same in an answer and in a status.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto

from drivers.whatsapp_cloud.conditions import Reason
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_CONTENT_UNSUPPORTED,
    FAILURE_REASON_CREDIT_EXHAUSTED,
    FAILURE_REASON_DESTINATION_INVALID,
    FAILURE_REASON_DESTINATION_UNREACHABLE,
    FAILURE_REASON_DEVICE_FAULT,
    FAILURE_REASON_NETWORK_REJECTED,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_RATE_LIMITED,
    FAILURE_REASON_RECIPIENT_OPTED_OUT,
    FAILURE_REASON_TEMPLATE_REJECTED,
    FAILURE_REASON_WINDOW_CLOSED,
    FailureReason,
)

TOKEN_INVALID = 190
UNAUTHORIZED = 401
TOO_MANY_REQUESTS = 429
"""HTTP's status, for an answer without an error object; no code of Graph's is the same."""
SERVER_ERRORS = range(500, 600)
NO_CODE = -1
RETRIED = frozenset({FAILURE_REASON_NO_SERVICE, FAILURE_REASON_DEVICE_FAULT, FAILURE_REASON_RATE_LIMITED})
"""After these the core tries a message again."""


class Effect(Enum):
    """What a code does besides failing its message."""

    NONE = auto()
    PAIR = auto()
    """No more to this recipient for a while."""
    NUMBER = auto()
    """The number pauses; `condition` says how it is."""
    UNCERTAIN = auto()
    """With HTTP 5xx nobody knows whether Meta took the message. Also pauses the number then."""


@dataclass(slots=True, frozen=True)
class Meaning:
    """One line of the table."""

    reason: FailureReason
    detail: str
    """One sentence for people."""
    effect: Effect = Effect.NONE
    condition: Reason = Reason.READY


def _pauses(condition: Reason, detail: str) -> Meaning:
    """The message is tried again: what keeps it is the number's."""
    is_slow = condition is Reason.SLOWED_DOWN
    reason = FAILURE_REASON_RATE_LIMITED if is_slow else FAILURE_REASON_DEVICE_FAULT
    return Meaning(reason, detail, Effect.NUMBER, condition)


_SLOW = _pauses(Reason.SLOWED_DOWN, "Meta asks to slow down.")
_PERMISSION = _pauses(Reason.PERMISSION_MISSING, "The token may not send from this number.")
_FAULT = Meaning(
    FAILURE_REASON_NO_SERVICE, "Meta has a fault.", Effect.UNCERTAIN, condition=Reason.GRAPH_FAILING
)
_LATER = Meaning(FAILURE_REASON_NO_SERVICE, "Meta does not take messages of this number just now.")
_PARAMETER = Meaning(FAILURE_REASON_CONTENT_UNSUPPORTED, "Meta does not take the message in this form.")
_TEMPLATE = Meaning(FAILURE_REASON_TEMPLATE_REJECTED, "Meta does not take the template or its parameters.")

MEANINGS: dict[int, Meaning] = {
    0: _pauses(Reason.TOKEN_REFUSED, "Meta refuses the token."),
    190: _pauses(Reason.TOKEN_REFUSED, "Meta refuses the token."),
    3: _PERMISSION,
    10: _PERMISSION,
    131005: _PERMISSION,
    33: _pauses(Reason.NUMBER_UNKNOWN, "Meta does not know the number."),
    131045: _pauses(Reason.NOT_REGISTERED, "The number is not registered."),
    133006: _pauses(Reason.NOT_REGISTERED, "The number has to be verified again."),
    133010: _pauses(Reason.NOT_REGISTERED, "The number is not registered."),
    131037: _pauses(Reason.NAME_NOT_APPROVED, "The number's display name is not approved."),
    131048: _pauses(Reason.SPAM_LIMIT, "Meta limits the number because of complaints."),
    368: _pauses(Reason.RESTRICTED, "Meta has restricted the account."),
    131031: _pauses(Reason.RESTRICTED, "Meta has locked the account."),
    4: _SLOW,
    17: _SLOW,
    613: _SLOW,
    80007: _SLOW,
    80008: _SLOW,
    130429: _SLOW,
    131057: _SLOW,
    TOO_MANY_REQUESTS: _SLOW,
    131056: Meaning(FAILURE_REASON_RATE_LIMITED, "Too many messages to this recipient.", Effect.PAIR),
    1: _FAULT,
    2: _FAULT,
    131000: _FAULT,
    131016: _FAULT,
    133004: _LATER,
    131047: Meaning(
        FAILURE_REASON_WINDOW_CLOSED,
        "More than 24 hours have passed since the recipient last wrote: send a template.",
    ),
    131021: Meaning(FAILURE_REASON_DESTINATION_INVALID, "The recipient is the sender."),
    131026: Meaning(
        FAILURE_REASON_DESTINATION_UNREACHABLE,
        "The recipient has no WhatsApp, an old version of it, or does not take messages from this number.",
    ),
    131030: Meaning(
        FAILURE_REASON_DESTINATION_INVALID,
        "A test number writes only to recipients that are on its list in API Setup.",
    ),
    131050: Meaning(FAILURE_REASON_RECIPIENT_OPTED_OUT, "The recipient does not want marketing messages."),
    131049: Meaning(
        FAILURE_REASON_NETWORK_REJECTED,
        "Meta withheld it: the recipient gets many marketing messages. Do not send it again for a day.",
    ),
    130472: Meaning(
        FAILURE_REASON_NETWORK_REJECTED,
        "Meta withheld it: the recipient takes part in an experiment without marketing messages.",
    ),
    130497: Meaning(
        FAILURE_REASON_NETWORK_REJECTED, "Meta does not let this account write to people in that country."
    ),
    131042: Meaning(FAILURE_REASON_CREDIT_EXHAUSTED, "Something is wrong with the account's payment method."),
    100: _PARAMETER,
    131008: _PARAMETER,
    131009: _PARAMETER,
    131051: Meaning(FAILURE_REASON_CONTENT_UNSUPPORTED, "Meta does not take messages of this type."),
    131052: Meaning(FAILURE_REASON_CONTENT_UNSUPPORTED, "Meta could not fetch the file."),
    131053: Meaning(
        FAILURE_REASON_CONTENT_UNSUPPORTED,
        "Meta could not fetch the file, or does not take its kind or size.",
    ),
}
PERMISSION_CODES = range(200, 300)
TEMPLATE_CODES = range(132000, 133000)
_OTHER = Meaning(FAILURE_REASON_NETWORK_REJECTED, "Meta refused the message.")
_LONG_NUMBER = re.compile(r"\+?[0-9][0-9 ()./-]{5,}[0-9]")


def meaning_of(code: int, http_status: int = 0) -> Meaning:
    """What a code means; one that is not known means what the HTTP status does.

    0: a status of a webhook told it, which has none. A code that neither explains fails its message and nothing else.
    """
    if code in PERMISSION_CODES:
        return _PERMISSION
    if code in TEMPLATE_CODES:
        return _TEMPLATE
    return MEANINGS.get(code) or _meaning_of_status(http_status)


def _meaning_of_status(http_status: int) -> Meaning:
    if http_status == UNAUTHORIZED:
        return MEANINGS[TOKEN_INVALID]
    if http_status == TOO_MANY_REQUESTS:
        return _SLOW
    return _FAULT if http_status in SERVER_ERRORS else _OTHER


def is_certain(meaning: Meaning, http_status: int) -> bool:
    """Whether an answer with that meaning proves that Meta did not take the message."""
    return meaning.effect is not Effect.UNCERTAIN or http_status not in SERVER_ERRORS


def final(reason: FailureReason) -> FailureReason:
    """The reason for a message that Meta had taken: never one after which it would be sent again."""
    return FAILURE_REASON_NETWORK_REJECTED if reason in RETRIED else reason


def detail_of(meaning: Meaning, said: str) -> str:
    """The sentence for people, with what Meta said of it but for anything that may be a phone number."""
    cleaned = " ".join(_LONG_NUMBER.sub("…", said).split())
    return f"{meaning.detail} Meta: {cleaned}" if cleaned else meaning.detail
