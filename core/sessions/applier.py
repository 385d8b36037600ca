"""Facts of all sessions, applied together.

Owns the drain of facts: what arrived while one transaction ran is the next one.
"""

import asyncio
from collections.abc import Callable, Sequence

from core.clock import Clock
from core.errors import Unavailable
from core.fact_values import DriverFacts
from core.facts import Applied, apply_facts
from core.sessions.drain import Drain
from core.store.engine import Store

FACTS_PER_TRANSACTION_MAX = 2000
"""Facts in one transaction; keeps it short for the accepts that wait behind it."""

FRAMES_WAITING_MAX = 20_000
"""Frames waiting over all sessions; each session waits for its own before that."""


BYTES_WAITING_MAX = 256 * 1024 * 1024
"""Bytes of these frames."""


class FactApplier:
    """Applies facts in batches; `on_applied` is called after each commit, for whoever publishes events."""

    def __init__(self, store: Store, clock: Clock, on_applied: Callable[[], None]) -> None:
        self._store = store
        self._clock = clock
        self._on_applied = on_applied
        self._bytes = 0
        self._drain: Drain[DriverFacts, Applied] = Drain(
            self._apply,
            batch_max=FACTS_PER_TRANSACTION_MAX,
            waiting_max=FRAMES_WAITING_MAX,
            weight=lambda frame: len(frame.facts),
        )

    def submit(self, facts: DriverFacts) -> asyncio.Future[Applied]:
        """Have facts applied; the future answers after the commit. Raises Unavailable if too much waits."""
        if self._bytes and self._bytes + facts.size > BYTES_WAITING_MAX:
            raise Unavailable("Too many facts are waiting; connect again shortly.")
        future = self._drain.submit(facts)
        self._bytes += facts.size
        future.add_done_callback(lambda _: self._give_back(facts.size))
        return future

    def _give_back(self, size: int) -> None:
        self._bytes -= size

    async def run(self) -> None:
        """Apply for ever; the owner cancels it."""
        await self._drain.run()

    async def _apply(self, batches: list[DriverFacts]) -> Sequence[Applied]:
        applied = await self._store.run(apply_facts, batches, self._clock.now_ms())
        self._on_applied()
        return applied
