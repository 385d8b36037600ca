"""What to try next with a modem that does not answer, from the gentlest to the roughest, and not too often.

Owns the order and the cool-down; carries out nothing. That a port cannot be opened is no reason to climb: a reset would
knock a modem off the bus that has just come back to it.
"""

from enum import Enum, auto

from drivers.modem.timing import Timing
from drivers.runtime.clock import Clock


class Step(Enum):
    """One measure. Before the ladder, the channel has already tried to get an answer with ESC and AT."""

    REOPEN = auto()
    """Close the port, open it again, wait for a modem that boots."""
    RESET = auto()
    """The modem's own reset command, then wait for its port."""
    RUN_COMMAND = auto()
    """The owner's reset command."""
    REST = auto()
    """Everything was tried: a person is needed. Look from time to time whether it answers again."""


class Ladder:
    """The ladder of one modem."""

    def __init__(self, timing: Timing, clock: Clock, *, has_command: bool) -> None:
        self._timing = timing
        self._clock = clock
        self._steps = [Step.REOPEN, Step.RESET, *([Step.RUN_COMMAND] if has_command else [])]
        self._climbed = 0
        self._rests_until = 0.0
        self._working_since: float | None = None

    def next_step(self, *, may_reset: bool) -> Step:
        """The modem does not answer: what to do now.

        `may_reset` is False as long as nobody knows whether a modem is on this port at all; the reset is passed over.
        """
        now = self._clock.monotonic()
        is_new_trouble = (
            self._working_since is not None and now - self._working_since >= self._timing.cool_down_s
        )
        if is_new_trouble:
            self._climbed = 0
        self._working_since = None
        if now < self._rests_until:
            return Step.REST
        while self._climbed < len(self._steps):
            step = self._steps[self._climbed]
            self._climbed += 1
            if step is not Step.RESET or may_reset:
                return step
        # After the rest the gentle measure need not be repeated: it was, all the time.
        self._climbed = 1
        self._rests_until = now + self._timing.cool_down_s
        return Step.REST

    def works(self) -> None:
        """The modem was set up. If it goes on for long enough, the next trouble begins at the bottom again."""
        if self._working_since is None:
            self._working_since = self._clock.monotonic()
