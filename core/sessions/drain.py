"""Everything that waits, in one transaction.

Owns the drain loop: while one transaction runs, the next batch gathers. No timers, so an idle system answers at once
and a busy one batches by itself. Knows nothing of what the items are.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from core.errors import InfiniReachError, OutcomeUnknown, Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")


class Drain(Generic[Item, Result]):
    """Runs `work(items) -> results` over all that waits, in the order given. A batch weighs at most `batch_max`, or is
    a single item; an item weighs 1 if nothing else is said.

    If a batch fails, its items are tried one by one, so that one bad item harms nobody else. If its error is
    retriable no item is at fault: all of them get it, at once. What nobody waits for any more is not begun.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], Awaitable[Sequence[Result]]],
        *,
        batch_max: int,
        waiting_max: int,
        weight: Callable[[Item], int] = lambda _: 1,
    ) -> None:
        self._work = work
        self._weight = weight
        self._batch_max = batch_max
        self._waiting_max = waiting_max
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._wake = asyncio.Event()
        self._has_ended = False

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """Have `item` worked on; the future gives its result or its own error. Raises Unavailable when full or at the
        end."""
        if self._has_ended or len(self._waiting) >= self._waiting_max:
            raise Unavailable
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._wake.set()
        return future

    async def run(self) -> None:
        """Drain for ever; the owner cancels it, and nobody is left waiting."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while batch := self._take():
                    await self._drain(batch)
        finally:
            self._has_ended = True
            for _, future in self._waiting:
                _fail(future, Unavailable())

    def _take(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        batch: list[tuple[Item, asyncio.Future[Result]]] = []
        room = self._batch_max
        while self._waiting:
            item, future = self._waiting[0]
            weight = 0 if future.done() else self._weight(item)
            if batch and weight > room:
                break
            self._waiting.popleft()
            if not future.done():
                room -= weight
                batch.append((item, future))
        return batch

    async def _drain(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._work([item for item, _ in batch])
        except asyncio.CancelledError:
            for _, future in batch:
                _fail(future, OutcomeUnknown())
            raise
        except Exception as error:  # noqa: BLE001 - each item gets its own verdict below
            if len(batch) == 1 or (isinstance(error, InfiniReachError) and error.retriable):
                for _, future in batch:
                    _fail(future, error)
                return
            for entry in batch:
                await self._drain([entry])
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)


def _fail(future: asyncio.Future[Result], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
