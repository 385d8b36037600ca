"""How often something was dropped, ignored or applied: counted for people, and told in the log now and then."""

from collections import Counter

from drivers.runtime import Context

LOG_EVERY_S = 60.0
"""Seconds between two lines of the same kind."""


class Counts:
    """Counters by kind."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._counters: Counter[str] = Counter()
        self._logged_at: dict[str, float] = {}

    def applied(self, kind: str, count: int = 1) -> None:
        """Something that is as it should be."""
        self._counters[kind] += count

    def dropped(self, kind: str, count: int = 1) -> None:
        """Something that somebody should know of; the log tells the kind and how many there were so far."""
        if not count:
            return
        self._counters[kind] += count
        now = self._context.clock.monotonic()
        if now - self._logged_at.get(kind, -LOG_EVERY_S) >= LOG_EVERY_S:
            self._logged_at[kind] = now
            self._context.log.warning("webhook.dropped", kind=kind, total=self._counters[kind])

    def as_dict(self) -> dict[str, int]:
        """All of them."""
        return dict(self._counters)
