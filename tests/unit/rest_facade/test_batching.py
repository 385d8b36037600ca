"""Natural batching: what waits together is sent together, each gets its own result."""

import asyncio
from collections.abc import Sequence

import pytest

from rest_facade.batching import Batcher, BatchLimits
from rest_facade.errors import ApiError

LIMITS = BatchLimits(
    queue_items_max=10, batch_items_max=4, in_flight_max=2, parallel_items_min=2, wait_max_s=60
)


class Sender:
    """Records batches and answers them when a test says so; a result is its item in capitals."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.failures: list[ApiError] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.sending = 0
        self.sending_max = 0

    async def __call__(self, items: list[str]) -> Sequence[str]:
        self.batches.append(items)
        self.sending += 1
        self.sending_max = max(self.sending, self.sending_max)
        await self.gate.wait()
        self.sending -= 1
        if self.failures:
            raise self.failures.pop(0)
        return [item.upper() for item in items]


async def turns(count: int = 5) -> None:
    """Let the loop run what is ready."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_items_of_one_loop_turn_are_one_batch_and_each_gets_its_own_result() -> None:
    sender = Sender()
    batcher = Batcher(sender, LIMITS)
    futures = [batcher.submit(item, idempotent=False) for item in "abc"]
    assert await asyncio.gather(*futures) == ["A", "B", "C"]
    assert sender.batches == [["a", "b", "c"]]


async def test_what_gathers_while_a_batch_is_in_flight_is_the_next_batch() -> None:
    sender = Sender()
    sender.gate.clear()
    batcher = Batcher(sender, BatchLimits(10, 4, in_flight_max=1, parallel_items_min=1, wait_max_s=60))
    first = batcher.submit("a", idempotent=False)
    await turns()
    later = [batcher.submit(item, idempotent=False) for item in "bcdef"]
    await turns()
    assert sender.batches == [["a"]]
    sender.gate.set()
    assert await asyncio.gather(first, *later) == ["A", "B", "C", "D", "E", "F"]
    assert sender.batches == [["a"], ["b", "c", "d", "e"], ["f"]]


async def test_second_batch_is_begun_beside_the_first_only_when_enough_wait() -> None:
    sender = Sender()
    sender.gate.clear()
    batcher = Batcher(sender, LIMITS)
    futures = [batcher.submit("a", idempotent=False)]
    await turns()
    futures.append(batcher.submit("b", idempotent=False))
    await turns()
    assert sender.batches == [["a"]]
    futures.append(batcher.submit("c", idempotent=False))
    await turns()
    assert sender.batches == [["a"], ["b", "c"]]
    sender.gate.set()
    await asyncio.gather(*futures)


WEIGHED = BatchLimits(
    queue_items_max=100,
    batch_items_max=10,
    in_flight_max=1,
    parallel_items_min=1,
    wait_max_s=60,
    batch_weight_max=12,
    item_weight_max=6,
)


async def test_batch_is_no_heavier_than_its_limit_and_nothing_is_lost_or_turned_round() -> None:
    sender = Sender()
    batcher = Batcher(sender, WEIGHED, weigh=len)
    items = ["aaaaaa", "bbbbbb", "c", "dddddd", "eeee", "f", "gggggg"]
    futures = [batcher.submit(item, idempotent=False) for item in items]
    assert await asyncio.gather(*futures) == [item.upper() for item in items]
    assert sender.batches == [["aaaaaa", "bbbbbb"], ["c", "dddddd", "eeee", "f"], ["gggggg"]]


async def test_item_heavier_than_a_batch_is_sent_alone() -> None:
    sender = Sender()
    batcher = Batcher(sender, WEIGHED, weigh=len)
    items = ["a", "b" * 50, "c", "d"]
    futures = [batcher.submit(item, idempotent=False) for item in items]
    await asyncio.gather(*futures)
    assert sender.batches == [["a"], ["b" * 50], ["c", "d"]]


async def test_few_items_are_not_weighed() -> None:
    def never(_item: str) -> int:
        raise AssertionError("it was weighed")

    batcher = Batcher(Sender(), WEIGHED, weigh=never)
    futures = [batcher.submit(item, idempotent=False) for item in "ab"]
    assert await asyncio.gather(*futures) == ["A", "B"]


async def test_no_more_batches_than_allowed_are_in_flight() -> None:
    sender = Sender()
    sender.gate.clear()
    batcher = Batcher(sender, BatchLimits(100, 4, in_flight_max=3, parallel_items_min=1, wait_max_s=60))
    futures = []
    for number in range(40):
        futures.append(batcher.submit(str(number), idempotent=False))
        await turns(2)
    sender.gate.set()
    await asyncio.gather(*futures)
    assert sender.sending_max == 3


async def test_full_queue_refuses_at_once_and_names_nothing_accepted() -> None:
    sender = Sender()
    sender.gate.clear()
    batcher = Batcher(sender, BatchLimits(2, 1, in_flight_max=1, parallel_items_min=1, wait_max_s=60))
    sent = batcher.submit("a", idempotent=False)
    await turns()
    waiting = [batcher.submit(item, idempotent=False) for item in "bc"]
    assert batcher.room == 0
    with pytest.raises(ApiError) as refused:
        batcher.submit("d", idempotent=False)
    assert refused.value.code.name == "unavailable"
    assert ("Retry-After", "1") in refused.value.headers
    sender.gate.set()
    assert await asyncio.gather(sent, *waiting) == ["A", "B", "C"]


async def test_failure_of_a_batch_fails_each_item_with_an_exception_of_its_own() -> None:
    sender = Sender()
    sender.failures = [ApiError("unavailable", "The core is away.")]
    batcher = Batcher(sender, LIMITS)
    futures = [batcher.submit(item, idempotent=True) for item in "ab"]
    failures = await asyncio.gather(*futures, return_exceptions=True)
    assert [str(failure) for failure in failures] == ["The core is away."] * 2
    assert failures[0] is not failures[1]
    assert sender.batches == [["a", "b"]]


async def test_unknown_outcome_is_retried_once_for_idempotent_items_only() -> None:
    sender = Sender()
    sender.failures = [ApiError("outcome_unknown")]
    batcher = Batcher(sender, LIMITS)
    safe = batcher.submit("a", idempotent=True)
    unsafe = batcher.submit("b", idempotent=False)
    assert await safe == "A"
    with pytest.raises(ApiError) as unknown:
        await unsafe
    assert unknown.value.code.name == "outcome_unknown"
    assert sender.batches == [["a", "b"], ["a"]]


async def test_unknown_outcome_twice_is_told() -> None:
    sender = Sender()
    sender.failures = [ApiError("outcome_unknown"), ApiError("outcome_unknown")]
    batcher = Batcher(sender, LIMITS)
    with pytest.raises(ApiError) as unknown:
        await batcher.submit("a", idempotent=True)
    assert unknown.value.code.name == "outcome_unknown"
    assert sender.batches == [["a"], ["a"]]


async def test_retry_that_is_refused_leaves_the_outcome_unknown() -> None:
    sender = Sender()
    sender.failures = [ApiError("outcome_unknown"), ApiError("unavailable")]
    batcher = Batcher(sender, LIMITS)
    with pytest.raises(ApiError) as unknown:
        await batcher.submit("a", idempotent=True)
    assert unknown.value.code.name == "outcome_unknown"


async def test_too_few_results_leave_the_outcome_unknown() -> None:
    async def answer_nothing(_items: list[str]) -> Sequence[str]:
        return []

    batcher = Batcher(answer_nothing, LIMITS)
    with pytest.raises(ApiError) as unknown:
        await batcher.submit("a", idempotent=False)
    assert unknown.value.code.name == "outcome_unknown"


async def test_crash_while_sending_leaves_the_outcome_unknown_and_the_batcher_working() -> None:
    crashes = [RuntimeError("a fault")]

    async def send(items: list[str]) -> Sequence[str]:
        if crashes:
            raise crashes.pop()
        return items

    batcher = Batcher(send, LIMITS)
    with pytest.raises(ApiError) as unknown:
        await batcher.submit("a", idempotent=False)
    assert unknown.value.code.name == "outcome_unknown"
    assert await batcher.submit("b", idempotent=False) == "b"


async def test_item_that_waited_too_long_is_not_sent() -> None:
    sender = Sender()
    batcher = Batcher(sender, BatchLimits(10, 4, in_flight_max=1, parallel_items_min=1, wait_max_s=-1))
    with pytest.raises(ApiError) as late:
        await batcher.submit("a", idempotent=True)
    assert late.value.code.name == "unavailable"
    assert sender.batches == []


async def test_item_whose_caller_left_before_it_was_sent_is_not_sent() -> None:
    sender = Sender()
    batcher = Batcher(sender, LIMITS)
    left = batcher.submit("a", idempotent=False)
    stays = batcher.submit("b", idempotent=False)
    left.cancel()
    assert await stays == "B"
    assert sender.batches == [["b"]]


async def test_caller_that_leaves_while_its_item_is_in_flight_hurts_nobody() -> None:
    sender = Sender()
    sender.gate.clear()
    batcher = Batcher(sender, LIMITS)
    left = batcher.submit("a", idempotent=False)
    stays = batcher.submit("b", idempotent=False)
    await turns()
    left.cancel()
    sender.gate.set()
    assert await stays == "B"


async def test_item_submitted_as_soon_as_another_is_answered_is_sent() -> None:
    batcher = Batcher(Sender(), BatchLimits(10, 4, in_flight_max=1, parallel_items_min=9, wait_max_s=60))
    for item in "abcdefgh":
        assert await batcher.submit(item, idempotent=False) == item.upper()


async def test_finish_waits_for_everything_that_was_submitted() -> None:
    sender = Sender()
    batcher = Batcher(sender, LIMITS)
    futures = [batcher.submit(str(number), idempotent=False) for number in range(10)]
    await batcher.finish()
    assert all(future.done() for future in futures)
    assert batcher.waiting == 0
