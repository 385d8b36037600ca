"""Everything that waits, in one go: order, bounds, and that one bad item harms nobody else."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, Callable, Sequence

import pytest

from core.errors import InfiniReachError, NotFound, OutcomeUnknown, Unavailable
from core.sessions.drain import Drain

BAD = -1


class Work:
    """Notes its batches; waits in each as long as it is told to."""

    def __init__(self, failing: Callable[[list[int]], Exception | None] = lambda _: None) -> None:
        self.batches: list[list[int]] = []
        self.may_run = asyncio.Event()
        self.may_run.set()
        self.running = asyncio.Event()
        self._failing = failing

    @property
    def items(self) -> list[int]:
        """All items of all batches."""
        return list(itertools.chain.from_iterable(self.batches))

    async def __call__(self, items: list[int]) -> Sequence[str]:
        self.batches.append(items)
        self.running.set()
        await self.may_run.wait()
        error = self._failing(items)
        if error is not None:
            raise error
        return [f"did {item}" for item in items]


@contextlib.asynccontextmanager
async def draining(
    work: Work, *, batch_max: int = 100, waiting_max: int = 1000, weight: Callable[[int], int] = lambda _: 1
) -> AsyncGenerator[Drain[int, str]]:
    drain: Drain[int, str] = Drain(work, batch_max=batch_max, waiting_max=waiting_max, weight=weight)
    task = asyncio.create_task(drain.run())
    try:
        yield drain
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def busy(drain: Drain[int, str], work: Work) -> asyncio.Future[str]:
    """Have one item in work, so that what follows gathers."""
    work.may_run.clear()
    first = drain.submit(0)
    await work.running.wait()
    return first


async def test_an_item_alone_is_worked_on_at_once() -> None:
    work = Work()
    async with draining(work) as drain:
        assert await drain.submit(7) == "did 7"
        assert await drain.submit(8) == "did 8"
    assert work.batches == [[7], [8]]


async def test_what_gathers_meanwhile_is_the_next_batch_in_its_order() -> None:
    work = Work()
    async with draining(work) as drain:
        first = await busy(drain, work)
        futures = [drain.submit(n) for n in range(1, 51)]
        work.may_run.set()
        assert await asyncio.gather(first, *futures) == [f"did {n}" for n in range(51)]
    assert work.batches == [[0], list(range(1, 51))]


async def test_a_batch_is_bounded_and_the_rest_follows() -> None:
    work = Work()
    async with draining(work, batch_max=20) as drain:
        first = await busy(drain, work)
        futures = [drain.submit(n) for n in range(1, 51)]
        work.may_run.set()
        await asyncio.gather(first, *futures)
    assert [len(batch) for batch in work.batches] == [1, 20, 20, 10]
    assert work.items == list(range(51))


async def test_a_batch_is_bounded_by_the_weight_of_its_items() -> None:
    work = Work()
    async with draining(work, batch_max=10, weight=lambda item: item) as drain:
        first = await busy(drain, work)
        futures = [drain.submit(n) for n in (4, 6, 1, 100, 5, 5, 1)]
        work.may_run.set()
        await asyncio.gather(first, *futures)
    assert work.batches == [[0], [4, 6], [1], [100], [5, 5], [1]]


async def test_an_item_that_comes_while_the_last_batch_ends_is_not_forgotten() -> None:
    work = Work()
    async with draining(work) as drain:
        for n in range(100):
            future = drain.submit(n)
            future.add_done_callback(lambda _, n=n: drain.submit(1000 + n))
            await future
        assert await drain.submit(5000) == "did 5000"
    assert set(work.items) >= {*range(100), *range(1000, 1099)}


async def test_a_full_queue_refuses_at_once() -> None:
    work = Work()
    async with draining(work, waiting_max=2) as drain:
        first = await busy(drain, work)
        second, third = drain.submit(1), drain.submit(2)
        with pytest.raises(Unavailable):
            drain.submit(3)
        work.may_run.set()
        assert await asyncio.gather(first, second, third) == ["did 0", "did 1", "did 2"]
        assert await drain.submit(4) == "did 4"


@pytest.mark.parametrize("error", [ValueError("bad"), NotFound()])
async def test_one_bad_item_harms_nobody(error: Exception) -> None:
    work = Work(lambda items: error if BAD in items else None)
    async with draining(work) as drain:
        first = await busy(drain, work)
        futures = [drain.submit(n) for n in (1, BAD, 2)]
        work.may_run.set()
        results = await asyncio.gather(first, *futures, return_exceptions=True)
    assert results == ["did 0", "did 1", error, "did 2"]
    assert work.batches == [[0], [1, BAD, 2], [1], [BAD], [2]]


async def test_when_nothing_could_have_succeeded_nothing_is_tried_one_by_one() -> None:
    error = Unavailable()
    work = Work(lambda items: error if len(items) > 1 else None)
    async with draining(work) as drain:
        first = await busy(drain, work)
        futures = [drain.submit(n) for n in range(1, 100)]
        work.may_run.set()
        results = await asyncio.gather(first, *futures, return_exceptions=True)
        assert results == ["did 0", *[error] * 99]
        assert await drain.submit(7) == "did 7"
    assert len(work.batches) == 3


async def test_a_bad_item_alone_gets_its_own_error() -> None:
    work = Work(lambda _: InfiniReachError("no"))
    async with draining(work) as drain:
        with pytest.raises(InfiniReachError, match="no"):
            await drain.submit(1)
        with pytest.raises(InfiniReachError, match="no"):
            await drain.submit(2)


async def test_a_caller_that_went_away_disturbs_nobody() -> None:
    work = Work(lambda items: ValueError() if BAD in items else None)
    async with draining(work) as drain:
        first = await busy(drain, work)
        gone, bad, stays = drain.submit(1), drain.submit(BAD), drain.submit(2)
        gone.cancel()
        bad.cancel()
        work.may_run.set()
        assert await asyncio.gather(first, stays) == ["did 0", "did 2"]


async def test_cancelling_the_loop_ends_it() -> None:
    work = Work()
    async with draining(work) as drain:
        await busy(drain, work)
    assert work.batches == [[0]]


async def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    work = Work()
    async with draining(work) as drain:
        first = await busy(drain, work)
        left, second = drain.submit(1), drain.submit(2)
        left.cancel()
        work.may_run.set()
        assert await asyncio.gather(first, second) == ["did 0", "did 2"]
    assert work.items == [0, 2]


async def test_nobody_is_left_waiting_at_the_end() -> None:
    work = Work()
    async with draining(work) as drain:
        running = await busy(drain, work)
        waiting = drain.submit(1)
    assert isinstance(running.exception(), OutcomeUnknown)
    assert isinstance(waiting.exception(), Unavailable)
    with pytest.raises(Unavailable):
        drain.submit(2)
