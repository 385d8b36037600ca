"""How often a key or an address may call: fixed windows of a minute.

Owns counting, in this process or in Redis through the library `limits`, and the figures that the headers show.
Must not know HTTP.

The library's own memory storage starts a thread a hundred times a second that looks at every key: 8 to 38 µs of
CPU a hit. One event loop needs no thread, so counting in memory is done here.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import structlog
from limits.aio.storage import Storage
from limits.errors import ConfigurationError
from limits.storage import storage_from_string

WINDOW_S = 60
ENTRIES_MAX = 200_000
"""Windows kept in memory; past it the oldest are forgotten."""
SHARED_TIMEOUT_S = 0.25
SHARED_PAUSE_S = 5.0
"""How long requests are counted in memory after Redis failed, before it is tried again."""

log = structlog.get_logger()


@dataclass(slots=True)
class Verdict:
    """Whether a request may pass, and what the headers say."""

    allowed: bool
    limit: int
    remaining: int
    reset_s: int  # seconds until the window ends, at least 1
    reset_at: int  # the same as Unix time


class Windows:
    """Counters by name, each for a minute from its first hit. For one event loop."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._windows: dict[str, list[float]] = {}  # count and end; in the order of their ends

    def take(self, name: str, *, limit: int, cost: int = 1) -> Verdict:
        """Count `cost` if it fits: all of it or nothing."""
        now = self._clock()
        window = self._windows.get(name)
        if window is None or window[1] <= now:
            window = self._begin(name, now)
        allowed = window[0] + cost <= limit
        if allowed:
            window[0] += cost
        return _verdict(allowed, limit, count=window[0], left_s=window[1] - now, now=now)

    @property
    def size(self) -> int:
        """How many windows are kept."""
        return len(self._windows)

    def count(self, name: str) -> int:
        """What was counted in the window that runs."""
        window = self._windows.get(name)
        return int(window[0]) if window is not None and window[1] > self._clock() else 0

    def _begin(self, name: str, now: float) -> list[float]:
        windows = self._windows
        windows.pop(name, None)
        for oldest in list(islice(windows, 2)):
            if windows[oldest][1] <= now or len(windows) >= ENTRIES_MAX:
                del windows[oldest]
        window: list[float] = [0, now + WINDOW_S]
        windows[name] = window
        return window


class RateLimiter:
    """Counts the requests of API keys, in memory or for several facades together in Redis.

    While Redis does not answer, every facade counts for itself: a limit that is too generous for a while is
    better than a gateway that refuses everything.
    """

    def __init__(self, storage_url: str, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._local = Windows(clock)
        self._shared: Storage | None = (
            None if storage_url.startswith("memory:") else _shared_storage(storage_url)
        )
        self._paused_until = 0.0

    @property
    def is_shared(self) -> bool:
        """Whether `take_shared` is the one to ask."""
        return self._shared is not None

    def take(self, name: str, *, limit: int, cost: int = 1) -> Verdict:
        """Count in this process."""
        return self._local.take(name, limit=limit, cost=cost)

    async def take_shared(self, name: str, *, limit: int, cost: int = 1) -> Verdict:
        """Count in Redis, or in this process while it does not answer."""
        now = self._clock()
        if self._shared is None or now < self._paused_until:
            return self._local.take(name, limit=limit, cost=cost)
        try:
            async with asyncio.timeout(SHARED_TIMEOUT_S):
                return await self._take_from(self._shared, name, limit=limit, cost=cost)
        except (TimeoutError, OSError, *_classes(self._shared.base_exceptions)) as failure:
            self._paused_until = now + SHARED_PAUSE_S
            log.warning("rate_limit_storage_failed", error=type(failure).__name__, pause_s=SHARED_PAUSE_S)
            return self._local.take(name, limit=limit, cost=cost)

    async def _take_from(self, storage: Storage, name: str, *, limit: int, cost: int) -> Verdict:
        count = await storage.incr(name, WINDOW_S, amount=cost)
        allowed = count <= limit
        if not allowed and cost > 1:
            count = await storage.incr(name, WINDOW_S, amount=-cost)
        now = self._clock()
        return _verdict(allowed, limit, count=count, left_s=await storage.get_expiry(name) - now, now=now)


def _verdict(allowed: bool, limit: int, *, count: float, left_s: float, now: float) -> Verdict:
    reset_s = max(1, math.ceil(left_s))
    return Verdict(allowed, limit, max(0, limit - int(count)), reset_s, int(now) + reset_s)


def _shared_storage(url: str) -> Storage:
    """The library's Redis storage. Raises ConfigurationError if the client library is not installed."""
    storage = storage_from_string(f"async+{url}", implementation="redispy")
    if not isinstance(storage, Storage):
        raise ConfigurationError(f"{url} is no storage for rate limits")
    return storage


def _classes(exceptions: type[Exception] | tuple[type[Exception], ...]) -> tuple[type[Exception], ...]:
    return exceptions if isinstance(exceptions, tuple) else (exceptions,)
