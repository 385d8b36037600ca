"""Every fault that the fake Graph can be told to have: the one table behind Python, command line and documents.

What a fault does is done where it strikes; `faults` keeps which are in force.
"""

from enum import Enum

from drivers.fake_kit.fault_table import FaultKind, Parameter


class Occasion(Enum):
    """When a fault strikes."""

    REQUEST = "a message is posted"
    MESSAGE = "a message was accepted"
    WEBHOOK = "a webhook goes out"


def _taken(default: bool) -> Parameter:
    return Parameter("taken", default, "Whether the message is accepted all the same.")


_OBJECT = Parameter("object", default=True, sentence="Whether the answer has an error object.")
_DETAILS = Parameter("details", "", "What error_data.details says.")

_KINDS = (
    FaultKind(
        "no_answer",
        Occasion.REQUEST,
        "The request is never answered.",
        (_taken(True), Parameter("hang_s", 3600.0, "Seconds until the connection is closed.")),
    ),
    FaultKind("disconnect", Occasion.REQUEST, "The connection is closed without an answer.", (_taken(True),)),
    FaultKind(
        "slow",
        Occasion.REQUEST,
        "The answer takes its time; the message is accepted before.",
        (Parameter("delay_s", 5.0, "Seconds until it comes."),),
    ),
    FaultKind("server_error", Occasion.REQUEST, "The answer is 500.", (_OBJECT, _taken(False))),
    FaultKind("garbage", Occasion.REQUEST, "The answer is 200 and no JSON.", (_taken(True),)),
    FaultKind(
        "answer_without_id", Occasion.REQUEST, "The answer is 200 and names no message.", (_taken(True),)
    ),
    FaultKind("huge_answer", Occasion.REQUEST, "The answer is 200 and 64 MB long.", (_taken(True),)),
    FaultKind("redirect", Occasion.REQUEST, "The answer sends the caller to another address, 307."),
    FaultKind(
        "too_many_requests",
        Occasion.REQUEST,
        "The answer is 429.",
        (_OBJECT, Parameter("retry_after_s", 0, "The header Retry-After; 0: none.")),
    ),
    FaultKind(
        "error",
        Occasion.REQUEST,
        "The answer is an error object.",
        (
            Parameter("code", 131000, "Its code."),
            Parameter("status", 0, "The HTTP status; 0: the one that Meta lists for the code."),
            _DETAILS,
            _taken(False),
        ),
    ),
    FaultKind("status_before_answer", Occasion.MESSAGE, "The status `sent` comes before the answer does."),
    FaultKind(
        "statuses_reordered", Occasion.MESSAGE, "The statuses come in the wrong order: read, delivered, sent."
    ),
    FaultKind("statuses_doubled", Occasion.MESSAGE, "Each status comes twice."),
    FaultKind("statuses_together", Occasion.MESSAGE, "All statuses come in one webhook, the last one first."),
    FaultKind("statuses_lost", Occasion.MESSAGE, "No status ever comes."),
    FaultKind(
        "statuses_late",
        Occasion.MESSAGE,
        "The statuses take their time.",
        (Parameter("delay_s", 60.0, "Seconds until the first one."),),
    ),
    FaultKind(
        "statuses_without_callback_data", Occasion.MESSAGE, "The statuses lack biz_opaque_callback_data."
    ),
    FaultKind(
        "status_failed",
        Occasion.MESSAGE,
        "The only status is `failed`.",
        (Parameter("code", 131026, "The error's code."), _DETAILS),
    ),
    FaultKind("wrong_signature", Occasion.WEBHOOK, "The webhook is signed with another secret."),
    FaultKind("no_signature", Occasion.WEBHOOK, "The webhook is not signed."),
    FaultKind("malformed", Occasion.WEBHOOK, "The webhook's body is cut off, and signed as it is."),
    FaultKind(
        "webhook_doubled", Occasion.WEBHOOK, "The webhook comes again although it was answered with 200."
    ),
)
FAULTS = {kind.name: kind for kind in _KINDS}
