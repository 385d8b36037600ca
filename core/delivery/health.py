"""How long an endpoint may fail before it is switched off, and that it is told of it before.

Owns the rule. Knows neither storage nor time: both come in as arguments.
"""

import enum
from dataclasses import dataclass

_DAY_MS = 86_400_000

DISABLE_AFTER_MS = 5 * _DAY_MS
"""Time without one success."""

DISABLE_FAILURES_MIN = 50
"""Failed attempts in that time; an endpoint that is seldom tried is not judged by a few."""

WARN_AFTER_MS = DISABLE_AFTER_MS // 2
WARN_FAILURES_MIN = DISABLE_FAILURES_MIN // 2
NOTICE_MS = _DAY_MS
"""Least time between the warning and the end, also where this process was down in between."""


class Verdict(enum.Enum):
    """What is due to an endpoint."""

    NOTHING = "nothing"
    WARN = "warn"
    DISABLE = "disable"


@dataclass(frozen=True, slots=True)
class Health:
    """An endpoint's failed attempts since its last success, when they began and when it was warned."""

    failures: int = 0
    failing_since_ms: int | None = None
    warned_ms: int | None = None

    def after(self, at_ms: int, *, success: bool) -> "Health":
        """The health after one attempt; a success forgets all failures."""
        if success:
            return HEALTHY
        since_ms = at_ms if self.failing_since_ms is None else self.failing_since_ms
        return Health(self.failures + 1, since_ms, self.warned_ms)

    def warned(self, at_ms: int) -> "Health":
        """The health once the warning is out."""
        return Health(self.failures, self.failing_since_ms, at_ms)

    @property
    def disable_at_ms(self) -> int | None:
        """The earliest time of the end if nothing succeeds; None for a healthy endpoint."""
        if self.failing_since_ms is None:
            return None
        noticed_ms = self.failing_since_ms + WARN_AFTER_MS if self.warned_ms is None else self.warned_ms
        return max(self.failing_since_ms + DISABLE_AFTER_MS, noticed_ms + NOTICE_MS)

    def verdict(self, now_ms: int) -> Verdict:
        """What is due now."""
        if self.failing_since_ms is None:
            return Verdict.NOTHING
        if self.warned_ms is None:
            due = now_ms - self.failing_since_ms >= WARN_AFTER_MS and self.failures >= WARN_FAILURES_MIN
            return Verdict.WARN if due else Verdict.NOTHING
        due = now_ms >= (self.disable_at_ms or 0) and self.failures >= DISABLE_FAILURES_MIN
        return Verdict.DISABLE if due else Verdict.NOTHING


HEALTHY = Health()
