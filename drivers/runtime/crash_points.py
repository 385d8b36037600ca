"""Named points at which a driver process kills itself when it is told to, so that tests can hit each of them.

Off unless INFINIREACH_DRIVER_CRASH_AT names a point. A point of a segment is followed by the segment's number:
`after_segment_started:2`.
"""

import os
import signal
from enum import StrEnum

VARIABLE = "INFINIREACH_DRIVER_CRASH_AT"


class CrashPoint(StrEnum):
    """Where the process can be made to die, in the order of a message's life."""

    BEFORE_HELD = "before_held"
    """Commands came in; nothing is in the journal."""
    AFTER_STARTED = "after_started"
    """Commands are journalled as started; the driver has not been asked to send."""
    BEFORE_SEGMENT_STARTED = "before_segment_started"
    """The driver is about to hand a segment over; its mark is not in the journal."""
    AFTER_SEGMENT_STARTED = "after_segment_started"
    """The mark is in the journal; the driver does not know."""
    BEFORE_SEGMENT_TAKEN = "before_segment_taken"
    """The network took a segment; the journal says that it was started."""
    AFTER_SEGMENT_TAKEN = "after_segment_taken"
    """The journal says that the segment was taken; the driver does not know."""
    AFTER_SENT = "after_sent"
    """The driver has given outcomes; they are not in the journal."""
    AFTER_SETTLED = "after_settled"
    """Outcomes are in the journal; the core does not know."""


def at(point: CrashPoint, *, segment: int | None = None) -> str:
    """What the environment has to say for the process to die at a point, of a segment if it is one of those."""
    return point.value if segment is None else f"{point}:{segment}"


def reached(point: CrashPoint, *, segment: int | None = None) -> None:
    """Die here, at once and without cleaning up, if the environment says so."""
    if os.environ.get(VARIABLE) == at(point, segment=segment):
        os.kill(os.getpid(), signal.SIGKILL)
