"""Fixed windows of a minute, counted in this process.

Owns counting and the figures that headers show. Must not know who is counted.

The memory storage of the library `limits` starts a thread a hundred times a second that looks at every key: 8 to
38 µs of CPU a hit. One event loop needs no thread.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

WINDOW_S = 60
ENTRIES_MAX = 200_000
"""Windows kept in memory; past it the oldest are forgotten."""


@dataclass(slots=True)
class Verdict:
    """Whether a request may pass, and what the headers say."""

    allowed: bool
    limit: int
    remaining: int
    reset_s: int  # seconds until the window ends, at least 1
    reset_at: int  # the same as Unix time


class Windows:
    """Counters by name, each for a minute from its first hit. For one event loop."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._windows: dict[str, list[float]] = {}  # count and end; in the order of their ends

    def take(self, name: str, *, limit: int, cost: int = 1) -> Verdict:
        """Count `cost` if it fits: all of it or nothing."""
        now = self._clock()
        window = self._windows.get(name)
        if window is None or not _runs(window, now):
            window = self._begin(name, now)
        allowed = window[0] + cost <= limit
        if allowed:
            window[0] += cost
        return verdict(allowed, limit, count=window[0], left_s=window[1] - now, now=now)

    @property
    def size(self) -> int:
        """How many windows are kept."""
        return len(self._windows)

    def count(self, name: str) -> int:
        """What was counted in the window that runs."""
        window = self._windows.get(name)
        return int(window[0]) if window is not None and _runs(window, self._clock()) else 0

    def _begin(self, name: str, now: float) -> list[float]:
        windows = self._windows
        windows.pop(name, None)
        for oldest in list(islice(windows, 2)):
            if not _runs(windows[oldest], now) or len(windows) >= ENTRIES_MAX:
                del windows[oldest]
        window: list[float] = [0, now + WINDOW_S]
        windows[name] = window
        return window


def _runs(window: list[float], now: float) -> bool:
    """Whether it has not ended; one that would last longer than a window began before the clock was set back."""
    return now < window[1] <= now + WINDOW_S


def verdict(allowed: bool, limit: int, *, count: float, left_s: float, now: float) -> Verdict:
    """What a count means; `left_s`: seconds until the window ends."""
    reset_s = max(1, math.ceil(left_s))
    return Verdict(allowed, limit, max(0, limit - int(count)), reset_s, int(now) + reset_s)
