"""The breaker of one endpoint: it stops attempts that would very likely fail.

Owns the rules of opening, half-open probing and closing. It must not know endpoints, deliveries, storage or
clocks: `now_ms` comes in, and every field is a plain number so that a row can hold the state.

An endpoint that is down costs one probe per open period in place of a slot for each delivery. A delivery that
is deferred has used up no attempt.
"""

import enum
from dataclasses import dataclass

CONSECUTIVE_FAILURES_MAX = 5
WINDOW_ATTEMPTS = 20
WINDOW_FAILURES_MAX = 10
OPEN_MS_FIRST = 30_000
OPEN_MS_MAX = 600_000
PROBE_MS_MAX = 60_000
"""A probe without a result for this long is taken for lost, e.g. with its process. Longer than any
deadline."""

_WINDOW_MASK = (1 << WINDOW_ATTEMPTS) - 1


class Admission(enum.Enum):
    """What a due delivery may do now."""

    SEND = "send"
    PROBE = "probe"
    """Send, and pass `probe=True` to `record` or call `abandon_probe`: until then everything else is
    deferred."""
    DEFER = "defer"
    """Wait, at no cost in attempts, until `retry_at_ms`."""


@dataclass(slots=True)
class Breaker:
    """State of one endpoint's breaker; `Breaker()` is closed and knows nothing yet.

    Opens on 5 failures in a row, or when 10 of the last 20 attempts failed. Stays open for 30 s, then lets
    one probe through; a failed probe opens it for twice as long, up to 10 min; a successful one closes it and
    forgets the past.
    """

    consecutive_failures: int = 0
    window: int = 0
    """The last attempts as bits, the newest lowest; 1 is a failure."""
    window_length: int = 0
    open_until_ms: int | None = None
    """None: closed. In the past: half open."""
    open_ms: int = 0
    """Length of the current open period."""
    probe_until_ms: int | None = None

    @property
    def is_closed(self) -> bool:
        """Whether all deliveries pass."""
        return self.open_until_ms is None

    def admit(self, now_ms: int) -> Admission:
        """Decide on one due delivery. The answer PROBE reserves the probe."""
        if self.open_until_ms is None:
            return Admission.SEND
        if now_ms < self.retry_at_ms(now_ms):
            return Admission.DEFER
        self.probe_until_ms = now_ms + PROBE_MS_MAX
        return Admission.PROBE

    def retry_at_ms(self, now_ms: int) -> int:
        """Return the earliest time at which `admit` may answer other than DEFER; `now_ms` if it may
        already."""
        return max(now_ms, self.open_until_ms or 0, self.probe_until_ms or 0)

    def record(self, now_ms: int, *, success: bool, probe: bool) -> None:
        """Count one finished attempt; every attempt counts, not only the last of a delivery.

        Results of attempts that were already running when the breaker opened change nothing: only the probe
        decides.
        """
        if self.open_until_ms is None:
            self._record_closed(now_ms, success=success)
        elif probe and success:
            self._close()
        elif probe:
            self._open(now_ms, min(self.open_ms * 2, OPEN_MS_MAX))

    def let_probe(self, now_ms: int) -> None:
        """End an open period early: the next due delivery is the probe, unless one is under way."""
        if self.open_until_ms is not None:
            self.open_until_ms = min(self.open_until_ms, now_ms)

    def abandon_probe(self) -> None:
        """Give the probe back unused, e.g. because its delivery was withdrawn; the next due delivery takes
        it."""
        self.probe_until_ms = None

    def _record_closed(self, now_ms: int, *, success: bool) -> None:
        self.consecutive_failures = 0 if success else self.consecutive_failures + 1
        self.window = (self.window << 1 | (not success)) & _WINDOW_MASK
        self.window_length = min(self.window_length + 1, WINDOW_ATTEMPTS)
        mostly_failing = (
            self.window_length == WINDOW_ATTEMPTS and self.window.bit_count() >= WINDOW_FAILURES_MAX
        )
        if self.consecutive_failures >= CONSECUTIVE_FAILURES_MAX or mostly_failing:
            self._open(now_ms, OPEN_MS_FIRST)

    def _open(self, now_ms: int, open_ms: int) -> None:
        self.open_ms = open_ms
        self.open_until_ms = now_ms + open_ms
        self.probe_until_ms = None

    def _close(self) -> None:
        self.consecutive_failures = 0
        self.window = 0
        self.window_length = 0
        self.open_until_ms = None
        self.open_ms = 0
        self.probe_until_ms = None
