"""Requests in flight become one call to the core: natural batching without timers.

Owns the queue, its bounds and the retry of idempotent messages. Must not know gRPC, HTTP or JSON: what sends a
batch is a coroutine function that is given to it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

import structlog

from rest_facade.errors import ApiError

log = structlog.get_logger("rest_facade")

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bounds: waiting items, items in one batch, batches at once, seconds an item waits before it is sent.

    A further batch is begun while others are in flight only when `parallel_items_min` items wait: before that it
    is cheaper for them to gather. `batch_weight_max` bounds what is weighed; that many items that weigh at most
    `item_weight_max` each are not.
    """

    queue_items_max: int
    batch_items_max: int
    in_flight_max: int
    parallel_items_min: int
    wait_max_s: float
    batch_weight_max: int = 0
    item_weight_max: int = 0


class _Waiting(Generic[Item, Result]):
    __slots__ = ("future", "idempotent", "item", "queued_at")

    def __init__(
        self, item: Item, future: asyncio.Future[Result], idempotent: bool, queued_at: float
    ) -> None:
        self.item = item
        self.future = future
        self.idempotent = idempotent
        self.queued_at = queued_at


class Batcher(Generic[Item, Result]):
    """Takes items one by one, sends everything that waits in one batch, hands each its own result.

    `send` answers one result per item, in order, or raises ApiError for all of them; `outcome_unknown` says that
    the batch may have been applied, every other code that it was not. `weigh`: what an item adds to its batch.
    """

    def __init__(
        self,
        send: Callable[[list[Item]], Awaitable[Sequence[Result]]],
        limits: BatchLimits,
        weigh: Callable[[Item], int] | None = None,
    ) -> None:
        self._send = send
        self._limits = limits
        self._weigh = weigh
        self._unweighed_max = limits.batch_weight_max // limits.item_weight_max if weigh else 0
        self._queue: deque[_Waiting[Item, Result]] = deque()
        self._drains: set[asyncio.Task[None]] = set()
        self._starting = False  # a drain was begun and has not taken anything yet
        self._draining = 0  # drains that will look at the queue again

    @property
    def waiting(self) -> int:
        """Items that wait to be sent."""
        return len(self._queue)

    @property
    def room(self) -> int:
        """How many more items may wait."""
        return self._limits.queue_items_max - len(self._queue)

    def submit(self, item: Item, *, idempotent: bool) -> asyncio.Future[Result]:
        """Queue an item. The future holds its result or raises ApiError; cancelling it is harmless.

        An idempotent item is sent once more by itself if the outcome of the first time is unknown. Raises
        ApiError `unavailable` at once if the queue is full.
        """
        if len(self._queue) >= self._limits.queue_items_max:
            raise ApiError("unavailable", "Too many messages are waiting; nothing was accepted.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._queue.append(_Waiting(item, future, idempotent, loop.time()))
        if not self._starting and self._may_begin():
            self._starting = True
            self._draining += 1
            drain = loop.create_task(self._drain(), name="batch drain")
            self._drains.add(drain)
            drain.add_done_callback(self._drains.discard)
        return future

    def _may_begin(self) -> bool:
        return not self._draining or (
            self._draining < self._limits.in_flight_max
            and len(self._queue) >= self._limits.parallel_items_min
        )

    async def finish(self) -> None:
        """Wait until everything that was submitted has its result."""
        while self._drains:
            await asyncio.wait(self._drains)

    async def _drain(self) -> None:
        self._starting = False
        while batch := self._take():
            await self._deliver(batch)
        self._draining -= 1  # in one step with the last look: nothing can be queued in between

    def _take(self) -> list[_Waiting[Item, Result]]:
        queue = self._queue
        count = min(len(queue), self._limits.batch_items_max)
        if self._weigh is not None and count > self._unweighed_max:
            count = self._fitting(count, self._weigh)
        taken = list(islice(queue, count))
        if count == len(queue):
            queue.clear()
        else:
            for _ in range(count):
                queue.popleft()
        return taken

    def _fitting(self, count: int, weigh: Callable[[Item], int]) -> int:
        """How many of the first `count` items one batch can hold; at least one."""
        left = self._limits.batch_weight_max
        for fitting, waiting in enumerate(islice(self._queue, count)):
            left -= weigh(waiting.item)
            if left < 0:
                return max(fitting, 1)
        return count

    async def _deliver(self, batch: list[_Waiting[Item, Result]]) -> None:
        oldest = asyncio.get_running_loop().time() - self._limits.wait_max_s
        live: list[_Waiting[Item, Result]] = []
        for waiting in batch:
            if waiting.queued_at < oldest:
                _fail(waiting, ApiError("unavailable"))
            elif not waiting.future.done():
                live.append(waiting)
        unknown = await self._send_all(live)
        if unknown:
            await self._settle_unknown(unknown)

    async def _settle_unknown(self, unknown: list[_Waiting[Item, Result]]) -> None:
        """Send what is idempotent once more; whatever comes of that, the first time may have been applied."""
        again = [waiting for waiting in unknown if waiting.idempotent]
        for waiting in unknown:
            if not waiting.idempotent:
                _fail(waiting, ApiError("outcome_unknown"))
        await self._send_all(again, is_retry=True)

    async def _send_all(
        self, batch: list[_Waiting[Item, Result]], *, is_retry: bool = False
    ) -> list[_Waiting[Item, Result]]:
        """Send and settle a batch; answers those whose outcome is unknown, after a retry none."""
        if not batch:
            return []
        try:
            results = await self._send([waiting.item for waiting in batch])
            if len(results) != len(batch):
                raise ApiError("outcome_unknown")
        except ApiError as failure:
            if not is_retry and failure.code.name == "outcome_unknown":
                return batch
            reason = ApiError("outcome_unknown") if is_retry else failure
            for waiting in batch:
                _fail(waiting, reason)
            return []
        except Exception as error:  # noqa: BLE001 - whatever it was, the items must not wait for ever
            log.error("batch_failed", error=type(error).__qualname__, items=len(batch))
            for waiting in batch:
                _fail(waiting, ApiError("outcome_unknown"))
            return []
        for waiting, result in zip(batch, results, strict=True):
            if not waiting.future.done():
                waiting.future.set_result(result)
        return []


def _fail(waiting: _Waiting[Item, Result], failure: ApiError) -> None:
    """Give one item its own exception: one object raised in many tasks would collect all their tracebacks."""
    if not waiting.future.done():
        waiting.future.set_exception(
            ApiError(failure.code.name, failure.sentence, details=failure.details, headers=failure.headers)
        )
