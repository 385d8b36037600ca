"""Keeps the garbage collector away from what lives as long as its driver does.

Owns when the heap is frozen. A full collection looks at every object and stops everything meanwhile: 70 ms for 1 500
streams. What is frozen is not looked at, and freed all the same once nothing refers to it; only cycles are not, so
after many streams have ended everything is looked at once.
"""

import asyncio
import gc

from core.sessions.registry import Registry

LOOK_EVERY_S = 1.0

OPENED_MIN = 200
"""Sessions that have opened since the heap was frozen before it is frozen again."""

OLD_EVERY = 100
"""Collections of the young until one of everything that is not frozen; Python's own 10 come in the midst of a rush."""

ENDED_MAX = 5_000
"""Sessions that may end before everything is looked at; of each some few objects may be left."""


class Heap:
    """Freezes the heap of this process while sessions come and go."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._opened = 0
        self._ended = 0

    async def run(self) -> None:
        """Watch the sessions for ever; the owner cancels it."""
        gc.set_threshold(*gc.get_threshold()[:2], OLD_EVERY)
        self._collect()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.look()

    def look(self) -> None:
        """Freeze if that is worth it now."""
        if self._registry.ended - self._ended >= ENDED_MAX:
            self._collect()
        elif self._registry.opened - self._opened >= OPENED_MIN:
            gc.collect(1)  # what is young and garbage shall not be kept
            self._freeze()

    def _collect(self) -> None:
        gc.unfreeze()
        gc.collect()
        self._ended = self._registry.ended
        self._freeze()

    def _freeze(self) -> None:
        gc.freeze()
        self._opened = self._registry.opened
