"""Removes what is old and over while the core runs, without being felt.

Owns the rhythm: steps with pauses at least as long as they took, so that writers of messages come first; turns with an
end; and rounds, in which every table is gone through once. Where a turn ended the next one goes on. Rows that have to
stay, such as a paused backlog, are looked at once a round.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable

import structlog

from core.clock import Clock
from core.errors import InfiniReachError
from core.retention import STEPS, Retention, Step
from core.store.engine import Store
from core.store.retention import Cutoffs

log = structlog.get_logger()

ROUND_EVERY_S = 3_600.0
"""From the end of a round to the next; what becomes old in an hour is little."""

TURN_EVERY_S = 60.0
"""The same for the turns of a round."""

STEPS_PER_TURN_MAX = 1_000
"""Of each kind; a million and a half rows."""

PAUSE_S_MIN = 0.02

Report = Callable[[str, int], None]
"""Told of a table and how many of its rows were removed."""


class Pruner:
    """Removes rows as `retention` says. `removed` is told after each step."""

    def __init__(self, store: Store, clock: Clock, retention: Retention, removed: Report) -> None:
        self._store = store
        self._clock = clock
        self._retention = retention
        self._removed = removed
        self._after: list[str | None] = [None for _ in STEPS]
        """Where each kind of step goes on; None: it has come to the end in this round."""

    async def run(self) -> None:
        """Take turns for ever; the owner cancels it. Cores that were started together do not take them together."""
        await asyncio.sleep(random.uniform(0, TURN_EVERY_S))  # noqa: S311 - no secret
        while True:
            try:
                await self._logged_turn()
            except InfiniReachError as error:
                log.warning("retention.failed", reason=error.reason, detail=error.message)
            await asyncio.sleep(self.pause_s)

    async def turn(self, *, is_rehearsal: bool = False) -> dict[str, int]:
        """Remove what can go, at most STEPS_PER_TURN_MAX steps of each kind; answers rows by table.

        Raises Unavailable; what earlier steps removed is gone.
        """
        if self._retention.is_for_ever:
            return {}
        if self.is_through:
            self._after = ["" for _ in STEPS]
        total = Counter[str]()
        cutoffs = self._retention.cutoffs(self._clock.now_ms(), is_rehearsal=is_rehearsal)
        for number, (step, after) in enumerate(zip(STEPS, self._after, strict=True)):
            if after is not None:
                self._after[number] = await self._walk(step, after, cutoffs, total)
        return dict(total)

    async def _logged_turn(self) -> None:
        began_s = time.monotonic()
        if removed := await self.turn():
            log.info("retention.removed", duration_s=round(time.monotonic() - began_s, 1), **removed)

    @property
    def is_through(self) -> bool:
        """Whether the last turn came to the end of every table; the next begins another round."""
        return all(after is None for after in self._after)

    @property
    def pause_s(self) -> float:
        """How long to wait for the next turn."""
        return ROUND_EVERY_S if self.is_through else TURN_EVERY_S

    async def _walk(self, step: Step, after: str, cutoffs: Cutoffs, total: Counter[str]) -> str | None:
        for _ in range(STEPS_PER_TURN_MAX):
            began_s = time.monotonic()
            looked = await self._store.run(step, after, cutoffs)
            for table, count in looked.removed.items():
                self._removed(table, count)
            total.update(looked.removed)
            after = looked.last
            if not after:
                return None
            await asyncio.sleep(max(PAUSE_S_MIN, time.monotonic() - began_s))
        return after
