"""Time as the emulated modem and its network see it: asyncio's, unless a test has its own."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Timer(Protocol):
    """Something that is to happen later."""

    def cancel(self) -> None:
        """See that it does not."""
        ...


class Clock(Protocol):
    """Where the emulator gets the time and has itself woken."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def now(self) -> datetime:
        """The time of day, UTC."""
        ...

    def later(self, delay_s: float, action: Callable[[], None]) -> Timer:
        """Have `action` called in `delay_s` seconds, never before this call returns."""
        ...


class LoopClock:
    """The running event loop's time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._loop.time()

    def now(self) -> datetime:
        """The time of day, UTC."""
        return datetime.now(UTC)

    def later(self, delay_s: float, action: Callable[[], None]) -> Timer:
        """Have `action` called in `delay_s` seconds."""
        return self._loop.call_later(max(0.0, delay_s), action)
