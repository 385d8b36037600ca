"""How much a SIM may send: parts in a minute, parts in a day.

Owns the counts; the day's is in the journal's store, so a restart does not begin it anew. Operators block SIMs that
send like machines, and no error code says so beforehand.
"""

import asyncio
from collections import deque
from datetime import UTC, datetime

from drivers.modem.config import ModemConfig
from drivers.modem.timing import Timing
from drivers.runtime import Context


class Pacer:
    """The limits of one modem, as modems.toml sets them."""

    def __init__(self, context: Context, config: ModemConfig, timing: Timing) -> None:
        self._store = context.store
        self._clock = context.clock
        self._timing = timing
        self._per_minute = config.parts_per_minute
        self.per_day = config.parts_per_day
        """0: no limit."""
        self._place = f"modem/{config.name}/parts"
        self._turns: deque[float] = deque(maxlen=max(1, config.parts_per_minute))
        self._day = ""
        self._count = 0
        self._refused_on = ""
        """The day on which a message did not fit any more."""

    async def load(self) -> None:
        """Take up the count of an earlier process of today."""
        stored = (await self._store.read(self._place)).get(self._place, b"").decode()
        day, _, count = stored.partition(" ")
        if day == self._today():
            self._day, self._count = day, int(count)

    @property
    def parts_today(self) -> int:
        """Parts that were begun today."""
        return self._count if self._day == self._today() else 0

    def admits(self, parts: int) -> bool:
        """Whether a message of so many parts may be begun today. A message that was begun is not cut."""
        if not self.per_day or self.parts_today + parts <= self.per_day:
            return True
        if parts <= self.per_day:
            self._refused_on = self._today()
        return False

    @property
    def is_exhausted(self) -> bool:
        """Whether the day's limit is reached, or was too near for the last message."""
        if not self.per_day:
            return False
        return self.parts_today >= self.per_day or self._refused_on == self._today()

    async def turn(self) -> None:
        """Wait until one more part may be sent, and count it. Awaited before each part."""
        while self._per_minute and len(self._turns) == self._turns.maxlen:
            wait_s = self._turns[0] + self._timing.minute_s - self._clock.monotonic()
            if wait_s <= 0:
                break
            await asyncio.sleep(wait_s)
        self._turns.append(self._clock.monotonic())
        if self._day != self._today():
            self._day, self._count = self._today(), 0
        self._count += 1
        if self.per_day:
            await self._store.write({self._place: f"{self._day} {self._count}".encode()})

    def _today(self) -> str:
        """The date by the local clock: that is what an operator's day is."""
        return datetime.fromtimestamp(self._clock.wall_ns() / 1e9, UTC).astimezone().date().isoformat()
