"""Named points at which a driver process kills itself when it is told to, so that tests can hit each of them.

Off unless INFINIREACH_DRIVER_CRASH_AT names a point.
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
    AFTER_SENT = "after_sent"
    """The driver has given outcomes; they are not in the journal."""
    AFTER_SETTLED = "after_settled"
    """Outcomes are in the journal; the core does not know."""


def reached(point: CrashPoint) -> None:
    """Die here, at once and without cleaning up, if the environment says so."""
    if os.environ.get(VARIABLE) == point:
        os.kill(os.getpid(), signal.SIGKILL)
