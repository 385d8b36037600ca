"""The clock of a driver: one monotonic for waits and fences, one of the wall for deadlines and fact times."""

import time
from typing import Protocol


class Clock(Protocol):
    """Where the runtime and its drivers get the time; tests bring their own."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def wall_ns(self) -> int:
        """Nanoseconds since 1970 in UTC."""
        ...


class SystemClock:
    """The clock of the machine."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def wall_ns(self) -> int:
        """Nanoseconds since 1970 in UTC."""
        return time.time_ns()
