"""What the simulated network does with a message, decided by its destination, its channel and what it carries.

The table behind docs/sandbox.md. Knows nothing of files, timers and streams.
"""

from dataclasses import dataclass
from enum import Enum, auto

from drivers.runtime import Failed, Outcome, Submitted, Unknown
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_DESTINATION_INVALID,
    FAILURE_REASON_DESTINATION_UNREACHABLE,
    FAILURE_REASON_NETWORK_REJECTED,
    FAILURE_REASON_WINDOW_CLOSED,
)


class FinalReport(Enum):
    """What the network reports about a message that it took."""

    DELIVERED = auto()
    READ = auto()
    """Delivered, and read right after it."""
    FAILED = auto()
    NONE = auto()


@dataclass(slots=True, frozen=True)
class Behaviour:
    """What happens to a message."""

    outcome: Outcome = Submitted()  # noqa: RUF009 - frozen
    """What the device learns when it hands the message over."""
    is_taken: bool = True
    """Whether the network takes it."""
    final_report: FinalReport = FinalReport.DELIVERED
    delay_s: float | None = None
    """How long after the network took it the report comes; None: the driver's usual delay."""
    is_doubled: bool = False
    """Delivery is reported before the device learns that the message was taken, and everything twice."""
    drops_stream: bool = False
    """The driver's link to the core breaks while the network has the message."""


USUAL = Behaviour()

READ = "+15005550010"
ONLY_TEMPLATES = "+15005550011"

SANDBOX: dict[str, Behaviour] = {
    "+15005550000": USUAL,
    "+15005550001": Behaviour(
        outcome=Failed(FAILURE_REASON_DESTINATION_INVALID, "1", "The number is not assigned."), is_taken=False
    ),
    "+15005550002": Behaviour(
        outcome=Failed(FAILURE_REASON_DESTINATION_UNREACHABLE, "27", "The recipient cannot be reached."),
        is_taken=False,
    ),
    "+15005550003": Behaviour(
        outcome=Failed(FAILURE_REASON_NETWORK_REJECTED, "21", "The network refused the message."),
        is_taken=False,
    ),
    "+15005550004": Behaviour(final_report=FinalReport.NONE),
    "+15005550005": Behaviour(delay_s=5.0),
    "+15005550006": Behaviour(outcome=Unknown("The network did not answer."), final_report=FinalReport.NONE),
    "+15005550007": Behaviour(drops_stream=True),
    "+15005550008": Behaviour(final_report=FinalReport.FAILED),
    "+15005550009": Behaviour(is_doubled=True),
    READ: Behaviour(final_report=FinalReport.READ),
    ONLY_TEMPLATES: Behaviour(
        outcome=Failed(
            FAILURE_REASON_WINDOW_CLOSED,
            "131047",
            "The recipient has not written for 24 hours; only templates go.",
        ),
        is_taken=False,
    ),
}
"""The last two are as usual where they have no meaning: nobody tells that an SMS was read, or wants a template."""


def behaviour_of(destination: str, *, channel: str, content: str) -> Behaviour:
    """What happens to a message to this destination. `channel`, `content`: as in the radio log."""
    behaviour = SANDBOX.get(destination, USUAL)
    is_usual = (destination == READ and channel != "whatsapp") or (
        destination == ONLY_TEMPLATES and (channel != "whatsapp" or content == "template")
    )
    return USUAL if is_usual else behaviour
