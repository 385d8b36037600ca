"""Time that stands still until a test lets it go on."""

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from drivers.modem.emulator.clock import Timer


class _ManualTimer:
    def __init__(self, action: Callable[[], None]) -> None:
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None


class ManualClock:
    """A clock that stands still until it is told to go on: minutes of an emulated modem pass in no time."""

    def __init__(self, start: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) -> None:
        self._start = start
        self._seconds = 0.0
        self._order = itertools.count()
        self._due: list[tuple[float, int, _ManualTimer]] = []

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._seconds

    def now(self) -> datetime:
        """The time of day, UTC."""
        return self._start + timedelta(seconds=self._seconds)

    def later(self, delay_s: float, action: Callable[[], None]) -> Timer:
        """Have `action` called once the clock has gone on by `delay_s` seconds."""
        timer = _ManualTimer(action)
        heapq.heappush(self._due, (self._seconds + max(0.0, delay_s), next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass, and all that falls due in it happen in its order."""
        end = self._seconds + seconds
        while self._due and self._due[0][0] <= end:
            self._seconds, _, timer = heapq.heappop(self._due)
            if timer.action is not None:
                timer.action()
        self._seconds = end
