"""Time as the fake Graph sees it: the machine's, put forward by whoever wants tomorrow now."""

import time


class Clock:
    """Seconds, and how far ahead of the machine they are."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def advance(self, seconds: float) -> None:
        """Let time pass at once: windows close, limits are free again."""
        self._ahead_s += seconds

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time() + self._ahead_s

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic() + self._ahead_s
