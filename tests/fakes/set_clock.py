"""A clock that a test sets."""

START_MS = 1_760_000_000_000
"""2025-10-09T08:53:20Z"""


class SetClock:
    """Stands still until it is told otherwise."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """UTC in milliseconds."""
        return self._now_ms

    def monotonic_s(self) -> float:
        """Seconds; moves with the time of day."""
        return self._now_ms / 1000

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now_ms += round(seconds * 1000)

    def set(self, now_ms: int) -> None:
        """Let it be `now_ms`."""
        self._now_ms = now_ms
