"""How much a SIM may send: parts in a minute, parts in a day.

Owns the counts; those of the last days are in the journal's store, so neither a restart nor a clock that is set begins
a day anew. Operators block SIMs that send like machines, and no error code says so beforehand.
"""

import asyncio
from collections import deque
from datetime import UTC, datetime

from drivers.modem.config import ModemConfig
from drivers.modem.timing import Timing
from drivers.runtime import Context

DAYS_KEPT = 4
"""Days that were counted last, whatever their date: a clock may be a day or decades off until it is set."""


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
        self._counts: dict[str, int] = {}
        """Parts of each day, the one that was counted last at the end."""
        self._is_loaded = False
        self._loading = asyncio.Lock()
        self._refused_on = ""
        """The day on which a message did not fit any more."""

    async def load(self) -> None:
        """Take up the counts of earlier processes, if that was not done yet."""
        async with self._loading:
            if self._is_loaded:
                return
            stored = (await self._store.read(self._place)).get(self._place, b"").decode()
            for line in stored.splitlines():
                day, _, count = line.partition(" ")
                self._counts[day] = int(count)
            self._is_loaded = True

    @property
    def parts_today(self) -> int:
        """Parts that were begun today; none until the counts are loaded."""
        return self._counts.get(self._today(), 0)

    async def admits(self, parts: int) -> bool:
        """Whether a message of so many parts may be begun today. A message that was begun is not cut."""
        await self.load()
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
        await self.load()
        while self._per_minute and len(self._turns) == self._turns.maxlen:
            wait_s = self._turns[0] + self._timing.minute_s - self._clock.monotonic()
            if wait_s <= 0:
                break
            await asyncio.sleep(wait_s)
        self._turns.append(self._clock.monotonic())
        today = self._today()
        self._counts[today] = self._counts.pop(today, 0) + 1
        while len(self._counts) > DAYS_KEPT:
            del self._counts[next(iter(self._counts))]
        if self.per_day:
            lines = [f"{day} {count}" for day, count in self._counts.items()]
            await self._store.write({self._place: "\n".join(lines).encode()})

    def _today(self) -> str:
        """The date by the local clock: that is what an operator's day is."""
        return datetime.fromtimestamp(self._clock.wall_ns() / 1e9, UTC).astimezone().date().isoformat()
