"""Which relay of several runs.

Owns the rhythm of the lease. Two relays at once are harmless, only wasteful: the lease need not be exact. So it is held
for LEASE_S from the database's answer, not from the question: whoever counts from the question never holds it while a
write takes longer than LEASE_S, and since the database knows one holder, nobody else would publish either.
"""

import asyncio

import structlog

from core.errors import InfiniReachError
from core.eventlog.metrics import RelayMetrics
from core.ids import new_uuid
from core.store.engine import Store
from core.store.leases import release, take

log = structlog.get_logger()

NAME = "relay"

LEASE_S = 3.0
"""By the database's clock; others take over from a holder that died when it is over and they have asked."""

RENEW_S = 1.0
"""Between the answer of one question and the next question, of the holder as of those who wait."""

RELEASE_S = 2.0
"""At a stop, how long to try to let go; after that the lease runs out."""


class RelayLease:
    """Held while `keep` runs and nobody else has it."""

    def __init__(self, store: Store, metrics: RelayMetrics) -> None:
        self._store = store
        self._metrics = metrics
        self.holder = new_uuid()
        self._until_s = 0.0
        self._was_held = False

    @property
    def is_held(self) -> bool:
        """Whether this process runs the relay; false also if it could not renew in time."""
        return asyncio.get_running_loop().time() < self._until_s

    async def keep(self) -> None:
        """Take it when it is free and renew it, for ever; the owner cancels it, which lets go."""
        try:
            while True:
                await self._take()
                await asyncio.sleep(RENEW_S)
        finally:
            await self._release()

    async def _take(self) -> None:
        try:
            got = await self._store.run(take, NAME, self.holder, round(LEASE_S * 1000))
        except (
            InfiniReachError
        ) as error:  # it runs out by itself; the relay cannot do anything without a database
            log.debug("relay.lease_unknown", detail=error.message)
        else:
            self._until_s = asyncio.get_running_loop().time() + LEASE_S if got else 0.0
        if self.is_held != self._was_held:
            self._was_held = self.is_held
            log.info("relay.lease", held=self._was_held)
        self._metrics.lease_held.set(self._was_held)

    async def _release(self) -> None:
        held, self._until_s = self.is_held, 0.0
        self._metrics.lease_held.set(False)
        if held:
            try:
                async with asyncio.timeout(RELEASE_S):
                    await self._store.run(release, NAME, self.holder)
            except (InfiniReachError, TimeoutError) as error:
                log.debug("relay.lease_left", error=type(error).__name__)
