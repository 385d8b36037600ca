"""Time as the fake phone has it: its days may pass faster than ours, hours at once, and its clock may be wrong."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone


class Timer:
    """Something that is to happen later."""

    def __init__(self, due: float, action: Callable[[], None], forget: Callable[["Timer"], None]) -> None:
        self.due = due
        self._action = action
        self._forget = forget
        self._handle: asyncio.TimerHandle | None = None

    def arrange(self, loop: asyncio.AbstractEventLoop, delay_s: float) -> None:
        """Have it happen after so many of our seconds, whatever was arranged before."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = loop.call_later(delay_s, self._happen)

    def cancel(self) -> None:
        """See that it does not happen."""
        self._forget(self)
        if self._handle is not None:
            self._handle.cancel()

    def _happen(self) -> None:
        self._forget(self)
        self._action()


class PhoneClock:
    """The event loop's time, sped up for everything that takes a while, and a time of day that may be off."""

    def __init__(self, *, speed: float = 1.0, zone: timezone = UTC) -> None:
        """With a `speed` of 3600 an hour of the phone is a second. `zone` is the one in which it shows dates."""
        self._loop = asyncio.get_running_loop()
        self._speed = speed
        self._zone = zone
        self._passed_s = 0.0
        self._timers: set[Timer] = set()
        self.ahead_s = 0.0
        """How wrong its time of day is, in seconds; less than 0: it is late."""

    def monotonic(self) -> float:
        """Seconds of the phone that never go back."""
        return self._loop.time() * self._speed + self._passed_s

    def now(self) -> datetime:
        """The time of day that the phone shows. Its speed does not move it: what it signs is to be believed."""
        return datetime.now(self._zone) + timedelta(seconds=self.ahead_s)

    def shown(self, moment: datetime) -> str:
        """A moment as the app writes it: milliseconds and the phone's zone."""
        return moment.astimezone(self._zone).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def later(self, delay_s: float, action: Callable[[], None]) -> Timer:
        """Have `action` called in `delay_s` seconds of the phone."""
        timer = Timer(self.monotonic() + max(0.0, delay_s), action, self._timers.discard)
        self._timers.add(timer)
        self._arrange(timer)
        return timer

    async def sleep(self, delay_s: float) -> None:
        """Wait for seconds of the phone."""
        over = asyncio.Event()
        timer = self.later(delay_s, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()

    def pass_time(self, seconds: float) -> None:
        """Have seconds of the phone pass at once; what was due in them happens in its order, now."""
        self._passed_s += seconds
        for timer in sorted(self._timers, key=lambda each: each.due):
            self._arrange(timer)

    def _arrange(self, timer: Timer) -> None:
        timer.arrange(self._loop, max(0.0, timer.due - self.monotonic()) / self._speed)
