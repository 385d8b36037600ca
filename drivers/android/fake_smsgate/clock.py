"""Time as the fake phone has it: its days may pass faster than ours, and its clock may be wrong."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone


class PhoneClock:
    """The event loop's time, sped up for everything that takes a while, and a time of day that may be off."""

    def __init__(self, *, speed: float = 1.0, zone: timezone = UTC) -> None:
        """With a `speed` of 3600 an hour of the phone is a second. `zone` is the one in which it shows dates."""
        self._loop = asyncio.get_running_loop()
        self._speed = speed
        self._zone = zone
        self.ahead_s = 0.0
        """How wrong its time of day is, in seconds; less than 0: it is late."""

    def monotonic(self) -> float:
        """Seconds of the phone that never go back."""
        return self._loop.time() * self._speed

    def now(self) -> datetime:
        """The time of day that the phone shows. Its speed does not move it: what it signs is to be believed."""
        return datetime.now(self._zone) + timedelta(seconds=self.ahead_s)

    def shown(self, moment: datetime) -> str:
        """A moment as the app writes it: milliseconds and the phone's zone."""
        return moment.astimezone(self._zone).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def later(self, delay_s: float, action: Callable[[], None]) -> asyncio.TimerHandle:
        """Have `action` called in `delay_s` seconds of the phone."""
        return self._loop.call_later(max(0.0, delay_s) / self._speed, action)

    async def sleep(self, delay_s: float) -> None:
        """Wait for seconds of the phone."""
        await asyncio.sleep(max(0.0, delay_s) / self._speed)
