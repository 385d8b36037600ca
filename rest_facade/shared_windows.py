"""Counting for several facades together, in Redis through the library `limits`.

Owns what is asked of Redis and when. Hits on one name that wait together are one increment, and a name that is used
up is not asked about for a moment, so that a flood of requests is no flood of commands.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from limits.aio.storage import RedisStorage, Storage
from limits.errors import ConfigurationError
from limits.storage import storage_from_string

from rest_facade.config import InvalidSettings
from rest_facade.windows import ENTRIES_MAX, WINDOW_S, Verdict, verdict

STORAGE_TIMEOUT_S = 1.0
USED_UP_S = 1.0
"""How long a name that is used up is not asked about: another facade may have counted what it gives back."""
GIVE_BACK_S = 1.0
"""What a window must have left for a refused cost to be given back: later it would be given to the next one."""


class StorageFailed(Exception):
    """Redis did not answer, or answered with an error."""


class _Hit:
    __slots__ = ("cost", "future", "limit")

    def __init__(self, limit: int, cost: int, future: asyncio.Future[Verdict]) -> None:
        self.limit = limit
        self.cost = cost
        self.future = future


class SharedWindows:
    """Counters by name, each for a minute from its first hit by anybody."""

    def __init__(self, storage: Storage, clock: Callable[[], float] = time.time) -> None:
        self._storage = storage
        self._clock = clock
        self._waiting: dict[str, list[_Hit]] = {}
        self._drains: set[asyncio.Task[None]] = set()
        self._used_up: dict[str, tuple[float, float]] = {}  # believed until, end of the window; by name

    async def take(self, name: str, *, limit: int, cost: int = 1) -> Verdict:
        """Count `cost` if it fits: all of it or nothing. Raises StorageFailed."""
        now = self._clock()
        until, ends = self._used_up.get(name, (0.0, 0.0))
        if until > now:
            return verdict(False, limit, count=limit, left_s=ends - now, now=now)
        hit = _Hit(limit, cost, asyncio.get_running_loop().create_future())
        if name in self._waiting:
            self._waiting[name].append(hit)
        else:
            self._waiting[name] = [hit]
            drain = asyncio.create_task(self._drain(name), name="rate limit hits")
            self._drains.add(drain)
            drain.add_done_callback(self._drains.discard)
        return await hit.future

    async def connect(self) -> None:
        """Ask for nothing, so that the connection is there. Raises StorageFailed."""
        try:
            async with asyncio.timeout(STORAGE_TIMEOUT_S):
                is_there = await self._storage.check()
        except Exception as error:  # noqa: BLE001 - the client library has many
            raise StorageFailed(type(error).__name__) from None
        if not is_there:
            raise StorageFailed("no answer")

    async def close(self) -> None:
        """Wait for what is being counted, then disconnect."""
        while self._drains:
            await asyncio.wait(self._drains)
        if isinstance(self._storage, RedisStorage):
            client: Any = self._storage.bridge
            await client.storage.aclose()  # the library has no way of its own

    async def _drain(self, name: str) -> None:
        while hits := self._waiting[name]:
            self._waiting[name] = []
            try:
                async with asyncio.timeout(STORAGE_TIMEOUT_S):
                    await self._settle(name, hits)
            except Exception as error:  # noqa: BLE001 - the client library has many, and none may hang a request
                for hit in hits:
                    if not hit.future.done():
                        hit.future.set_exception(StorageFailed(type(error).__name__))
        del self._waiting[name]

    async def _settle(self, name: str, hits: list[_Hit]) -> None:
        total = sum(hit.cost for hit in hits)
        before = await self._storage.incr(name, WINDOW_S, amount=total) - total
        ends = await self._storage.get_expiry(name)
        now = self._clock()
        count, given_back = before, 0
        for hit in hits:
            allowed = count + hit.cost <= hit.limit
            if allowed:
                count += hit.cost
            elif hit.cost > 1:
                given_back += hit.cost
            if not hit.future.done():
                hit.future.set_result(verdict(allowed, hit.limit, count=count, left_s=ends - now, now=now))
        if given_back and ends - now > GIVE_BACK_S:
            await self._storage.incr(name, WINDOW_S, amount=-given_back)
        elif count >= hits[-1].limit:
            self._note_used_up(name, min(ends, now + USED_UP_S), ends)

    def _note_used_up(self, name: str, until: float, ends: float) -> None:
        if len(self._used_up) >= ENTRIES_MAX:
            self._used_up.clear()
        self._used_up[name] = (until, ends)


def redis_storage(url: str) -> Storage:
    """The library's Redis storage. Raises InvalidSettings if the address or the client library is not there."""
    try:
        storage = storage_from_string(f"async+{url}", implementation="redispy")
    except (ConfigurationError, ValueError) as error:
        raise InvalidSettings([f"INFINIREACH_RATE_LIMIT_STORAGE: {error}"]) from None
    assert isinstance(storage, Storage), "asynchronous addresses give asynchronous storages"
    return storage
