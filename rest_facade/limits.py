"""How often the keys may call: counted here, or by all facades together.

Owns the choice between the two. Must not know HTTP or Redis.
"""

import time
from collections.abc import Callable

import structlog

from rest_facade.shared_windows import SharedWindows, StorageFailed, redis_storage
from rest_facade.windows import Verdict, Windows

PAUSE_S = 5.0
"""How long each facade counts for itself after the storage failed, before it is tried again."""

log = structlog.get_logger("rest_facade")


class RateLimiter:
    """Counts the requests of API keys, in memory or for several facades together.

    While the shared storage fails, every facade counts for itself: a limit that is too generous for a while is
    better than a gateway that refuses everything.
    """

    def __init__(
        self,
        storage_url: str,
        clock: Callable[[], float] = time.time,
        *,
        shared: SharedWindows | None = None,
    ) -> None:
        self._clock = clock
        self._local = Windows(clock)
        self._shared = shared
        self._paused_until = 0.0
        if shared is None and not storage_url.startswith("memory:"):
            self._shared = SharedWindows(redis_storage(storage_url), clock)

    @property
    def is_shared(self) -> bool:
        """Whether `take_shared` is the one to ask."""
        return self._shared is not None

    async def open(self) -> None:
        """Connect to the shared storage, if there is one, so that no request has to wait for that."""
        if self._shared is not None:
            try:
                await self._shared.connect()
            except StorageFailed as failure:
                self._pause(failure)

    async def close(self) -> None:
        """Let what is being counted end."""
        if self._shared is not None:
            await self._shared.close()

    def take(self, name: str, *, limit: int, cost: int = 1) -> Verdict:
        """Count in this process."""
        return self._local.take(name, limit=limit, cost=cost)

    async def take_shared(self, name: str, *, limit: int, cost: int = 1) -> Verdict:
        """Count for all facades, or in this process while the storage fails."""
        if self._shared is None or self._clock() < self._paused_until:
            return self._local.take(name, limit=limit, cost=cost)
        try:
            return await self._shared.take(name, limit=limit, cost=cost)
        except StorageFailed as failure:
            self._pause(failure)
            return self._local.take(name, limit=limit, cost=cost)

    def _pause(self, failure: StorageFailed) -> None:
        if self._clock() >= self._paused_until:
            log.warning("rate_limit_storage_failed", error=str(failure), pause_s=PAUSE_S)
        self._paused_until = self._clock() + PAUSE_S
