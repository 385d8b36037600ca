"""How fast and how much the account may send: a pause between two messages, so many on a day, none at night.

Owns the counts; those of the last days are in the journal's store, so neither a restart nor a clock that is set begins
a day anew. WhatsApp bans accounts that send like machines, and says nothing before.
"""

import asyncio
import random
from datetime import datetime, timedelta

from drivers.runtime import Context
from drivers.runtime.context import Changes
from drivers.whatsapp_web.conditions import Reason
from drivers.whatsapp_web.config import Night, Range

DAYS_KEPT = 4
"""Days that were counted last, whatever their date: a clock may be a day or decades off until it is set."""


class Pacer:
    """The limits of one account."""

    def __init__(
        self,
        context: Context,
        account: str,
        *,
        pause: Range,
        per_day: int,
        night: Night | None,
        chance: random.Random,
    ) -> None:
        self._store = context.store
        self._clock = context.clock
        self._pause = pause
        self._per_day = per_day
        self._night = night
        self._chance = chance
        self._place = f"whatsapp-web/{account}/days"
        self._counts: dict[str, int] = {}
        """Messages of each day, the one that was counted last at the end."""
        self._next_at = self._clock.monotonic() + self._drawn()
        """The pause after the last message of an earlier process is kept too, since nobody knows when it was."""

    async def load(self) -> None:
        """Take up the counts of earlier processes."""
        stored = (await self._store.read(self._place)).get(self._place, b"").decode()
        for line in stored.splitlines():
            day, _, count = line.partition(" ")
            self._counts[day] = int(count)

    @property
    def sent_today(self) -> int:
        """Messages that were begun today."""
        return self._counts.get(self._now().date().isoformat(), 0)

    @property
    def limit(self) -> Reason | None:
        """Why nothing may be sent now; None if something may."""
        if self.sent_today >= self._per_day:
            return Reason.DAILY_LIMIT
        if self._night is not None and self._night.covers(self._now().hour):
            return Reason.NIGHT
        return None

    @property
    def limited_for_s(self) -> float:
        """Seconds until the limit of now is over; 0 without one."""
        now = self._now()
        match self.limit:
            case Reason.DAILY_LIMIT:
                hour = 0
            case Reason.NIGHT if self._night is not None:
                hour = self._night.ends
            case _:
                return 0.0
        end = now.replace(hour=hour, minute=0, second=0, microsecond=0)
        if end <= now:
            end += timedelta(days=1)
        return (end - now).total_seconds()

    async def turn(self, stopping: asyncio.Event) -> bool:
        """Wait for the pause since the last message ended; False if it was cut short by `stopping`."""
        while not stopping.is_set():
            wait_s = self._next_at - self._clock.monotonic()
            if wait_s <= 0:
                return True
            try:
                await asyncio.wait_for(stopping.wait(), wait_s)
            except TimeoutError:
                continue
        return False

    def rest(self) -> None:
        """WhatsApp has answered, or will not: the pause begins, however long it took."""
        self._next_at = self._clock.monotonic() + self._drawn()

    def count(self) -> Changes:
        """One message is about to go out: what to write of it, together with its mark."""
        today = self._now().date().isoformat()
        self._counts[today] = self._counts.pop(today, 0) + 1
        while len(self._counts) > DAYS_KEPT:
            del self._counts[next(iter(self._counts))]
        lines = [f"{day} {count}" for day, count in self._counts.items()]
        return {self._place: "\n".join(lines).encode()}

    def _drawn(self) -> float:
        return self._chance.uniform(self._pause.least_s, self._pause.most_s)

    def _now(self) -> datetime:
        """By the local clock: that is what day and night are to people."""
        return datetime.fromtimestamp(self._clock.wall_ns() / 1e9).astimezone()
