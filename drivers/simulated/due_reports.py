"""Which final reports are due when. Knows the event loop's clock and nothing of reports."""

import asyncio
import heapq
import itertools
import math
from collections.abc import Sequence

from drivers.simulated.radio import TakenMessage

TICK_S = 0.01
"""Reports that are due within one tick are given out together, so that many cost one transaction."""


class DueReports:
    """A queue by due time."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Sequence[TakenMessage]]] = []
        self._order = itertools.count()
        self._changed = asyncio.Event()

    def add(self, messages: Sequence[TakenMessage], *, delay_s: float) -> None:
        """These are due after `delay_s` seconds."""
        if not messages:
            return
        due_at = math.ceil((asyncio.get_running_loop().time() + delay_s) / TICK_S) * TICK_S
        is_first = not self._heap or due_at < self._heap[0][0]
        heapq.heappush(self._heap, (due_at, next(self._order), messages))
        if is_first:
            self._changed.set()

    async def next(self) -> list[TakenMessage]:
        """Wait until some are due and take all that are."""
        loop = asyncio.get_running_loop()
        while not self._heap or self._heap[0][0] > loop.time():
            self._changed.clear()
            timer = loop.call_at(self._heap[0][0], self._changed.set) if self._heap else None
            await self._changed.wait()
            if timer is not None:
                timer.cancel()
        due: list[TakenMessage] = []
        while self._heap and self._heap[0][0] <= loop.time():
            due.extend(heapq.heappop(self._heap)[2])
        return due
