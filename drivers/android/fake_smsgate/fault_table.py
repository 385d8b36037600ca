"""Every fault that the fake phone can be told to have: the one table behind control socket, help and documents.

What a fault does is done where it strikes; `faults` keeps which are in force.
"""

from dataclasses import dataclass
from enum import Enum

Value = str | int | float | bool
SECONDS_MAX = 604_800.0
PERCENT_MAX = 100
STATUS_MIN, STATUS_MAX = 400, 599
SIMS_MAX = 3


class Extent(Enum):
    """How far a fault reaches."""

    COUNT = "next time"
    """It strikes the next `count` times (1) that there is an occasion, after `skip` (0) of them went well."""
    DURATION = "lasts"
    """It lasts for `seconds`, or until it is cleared."""
    NOW = "at once"
    """It happens at once, and once."""


@dataclass(slots=True, frozen=True)
class Parameter:
    """Something that a fault may be told. The type of `default` is the type of the value."""

    name: str
    default: Value
    sentence: str
    least: float = 0.0
    most: float = SECONDS_MAX
    """Of a number. Most numbers are seconds."""
    choices: tuple[str, ...] = ()
    """Of a text; none: any text."""


@dataclass(slots=True, frozen=True)
class FaultKind:
    """One line of the table."""

    name: str
    extent: Extent
    sentence: str
    parameters: tuple[Parameter, ...] = ()


def _kinds() -> tuple[FaultKind, ...]:
    count, lasts, now = Extent.COUNT, Extent.DURATION, Extent.NOW
    kept = ("kept", "lost")
    return (
        FaultKind("away", lasts, "The phone is out of the network: connections are refused, webhooks wait."),
        FaultKind("hang", lasts, "The app takes requests and answers none of them before this ends."),
        FaultKind(
            "slow",
            lasts,
            "Every answer takes its time.",
            (Parameter("delay_s", 5.0, "Seconds until it comes."),),
        ),
        FaultKind(
            "error",
            count,
            "A request is not carried out and answered with an error.",
            (Parameter("status", 500, "Its status.", STATUS_MIN, STATUS_MAX),),
        ),
        FaultKind(
            "answer_lost", count, "The app takes a message, and the connection breaks before it says so."
        ),
        FaultKind("wrong_password", lasts, "Somebody changed the password in the app."),
        FaultKind(
            "app_killed",
            now,
            "The system ends the app; it comes back later.",
            (
                Parameter("away_s", 5.0, "Seconds until it is back."),
                Parameter("memory", "kept", "What it knew: messages, webhooks, its inbox.", choices=kept),
                Parameter("results", "kept", "What the radio reports meanwhile.", choices=kept),
            ),
        ),
        FaultKind("stuck_pending", count, "A message stays Pending for ever."),
        FaultKind(
            "stuck_processed",
            count,
            "A message stays Processed for ever.",
            (Parameter("taken", True, "Whether the network has it all the same."),),
        ),
        FaultKind(
            "send_failed",
            count,
            "The radio refuses a message.",
            (Parameter("reason", "RESULT_ERROR_NO_SERVICE", "Android's name of the reason."),),
        ),
        FaultKind(
            "not_delivered",
            count,
            "The network reports that a message was not delivered.",
            (Parameter("status", 70, "TP-Status of 3GPP TS 23.040, 9.2.3.15.", 64, 127),),
        ),
        FaultKind("sent_for_ever", count, "No report of a message ever comes: it stays Sent."),
        FaultKind("one_part_delivered", count, "Only the first part of a message is ever reported."),
        FaultKind(
            "report_before_sent", count, "The report of a part comes before the app knows that it was sent."
        ),
        FaultKind("webhook_doubled", count, "An event is sent twice, with two different ids of the event."),
        FaultKind("webhook_reordered", count, "An event is sent after the one that follows it."),
        FaultKind("webhook_lost", count, "An event is never sent."),
        FaultKind("webhook_wrongly_signed", count, "An event is signed with another key."),
        FaultKind("webhook_unsigned", count, "An event is sent without a signature."),
        FaultKind("webhook_old_shape", lasts, "Events name the other side as earlier apps did: phoneNumber."),
        FaultKind(
            "battery",
            lasts,
            "The battery runs down; below 10 percent the app calls itself failed.",
            (Parameter("percent", 5, "What is left.", 0, PERCENT_MAX),),
        ),
        FaultKind(
            "no_sim",
            lasts,
            "A SIM is not there.",
            (Parameter("sim", 1, "Its slot, counted from 1.", 1, SIMS_MAX),),
        ),
        FaultKind(
            "clock_off",
            lasts,
            "The phone's clock is wrong.",
            (Parameter("ahead_s", 3600.0, "How far ahead; less than 0: late.", -SECONDS_MAX),),
        ),
    )


FAULTS = {kind.name: kind for kind in _kinds()}
"""By name, in the order of the documents."""
