"""Windows of a minute."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits.errors import ConfigurationError

from rest_facade import shared_windows, windows
from rest_facade.config import InvalidSettings
from rest_facade.limits import RateLimiter
from rest_facade.shared_windows import SharedWindows
from rest_facade.windows import Windows


class Clock:
    """Time as a test wants it."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_as_many_hits_as_the_limit_pass_in_one_window() -> None:
    windows = Windows(Clock())
    assert [windows.take("a", limit=3).allowed for _ in range(5)] == [True, True, True, False, False]


def test_windows_of_two_names_are_apart() -> None:
    windows = Windows(Clock())
    assert windows.take("a", limit=1).allowed
    assert windows.take("b", limit=1).allowed


def test_new_window_begins_a_minute_after_the_first_hit() -> None:
    clock = Clock()
    windows = Windows(clock)
    assert windows.take("a", limit=1).allowed
    clock.now += 59.9
    refused = windows.take("a", limit=1)
    assert not refused.allowed
    assert refused.reset_s == 1
    clock.now += 0.2
    assert windows.take("a", limit=1).allowed


def test_a_clock_that_is_set_back_does_not_prolong_a_window() -> None:
    clock = Clock()
    windows = Windows(clock)
    assert windows.take("a", limit=1).allowed
    clock.now -= 500.0
    assert windows.count("a") == 0
    assert windows.take("a", limit=1).reset_s == 60


def test_verdict_tells_what_is_left_and_until_when() -> None:
    clock = Clock()
    windows = Windows(clock)
    windows.take("a", limit=100)
    clock.now += 17.5
    verdict = windows.take("a", limit=100)
    assert (verdict.limit, verdict.remaining, verdict.reset_s) == (100, 98, 43)
    assert verdict.reset_at == 1_060


def test_cost_that_does_not_fit_takes_nothing() -> None:
    windows = Windows(Clock())
    windows.take("a", limit=10, cost=4)
    refused = windows.take("a", limit=10, cost=7)
    assert not refused.allowed
    assert refused.remaining == 6
    assert windows.take("a", limit=10, cost=6).remaining == 0


def test_ended_windows_are_forgotten() -> None:
    clock = Clock()
    windows = Windows(clock)
    for number in range(100):
        windows.take(f"old {number}", limit=1)
    clock.now += 61
    for number in range(100):
        windows.take(f"new {number}", limit=1)
    assert windows.size == 100


def test_no_more_windows_are_kept_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "ENTRIES_MAX", 10)
    kept = Windows(Clock())
    for number in range(1_000):
        kept.take(str(number), limit=1)
    assert kept.size <= 10
    assert not kept.take("999", limit=1).allowed


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 5)), max_size=60))
def test_no_window_ever_lets_more_pass_than_its_limit(hits: list[tuple[float, int]]) -> None:
    clock = Clock()
    windows = Windows(clock)
    passed: list[tuple[float, int]] = []
    begun = -60.0
    for pause, cost in hits:
        clock.now += pause
        if clock.now >= begun + 60:
            begun, passed = clock.now, []
        if windows.take("a", limit=7, cost=cost).allowed:
            passed.append((clock.now, cost))
        assert sum(cost for _, cost in passed) <= 7


async def test_memory_is_not_shared() -> None:
    limiter = RateLimiter("memory://")
    assert not limiter.is_shared
    assert (await limiter.take_shared("a", limit=1)).allowed
    assert not limiter.take("a", limit=1).allowed


def test_redis_without_its_client_library_is_a_clear_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def storage(*_: object, **__: object) -> object:
        raise ConfigurationError("'redis' is a required dependency")

    monkeypatch.setattr(shared_windows, "storage_from_string", storage)
    with pytest.raises(InvalidSettings, match="INFINIREACH_RATE_LIMIT_STORAGE: 'redis'"):
        RateLimiter("redis://localhost")


class MemoryAsRedis:
    """A storage that facades of one test share; answers when the loop has turned."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.counts: dict[str, tuple[int, float]] = {}
        self.increments: list[int] = []
        self.failure: Exception | None = None

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        self.increments.append(amount)
        count, ends = self.counts.get(key, (0, 0.0))
        if ends <= self.clock():
            count, ends = 0, self.clock() + expiry
        self.counts[key] = (count + amount, ends)
        return count + amount

    async def get_expiry(self, key: str) -> float:
        await asyncio.sleep(0)
        return self.counts[key][1]

    async def check(self) -> bool:
        return self.failure is None


def shared(storage: MemoryAsRedis) -> RateLimiter:
    """A facade's limiter on a storage that others use too."""
    counting = SharedWindows(storage, storage.clock)  # pyright: ignore[reportArgumentType]
    return RateLimiter("redis://", storage.clock, shared=counting)


async def test_two_facades_let_exactly_the_limit_pass_together() -> None:
    storage = MemoryAsRedis(Clock())
    facades = [shared(storage), shared(storage)]
    hits = [facades[number % 2].take_shared("a", limit=100) for number in range(300)]
    verdicts = await asyncio.gather(*hits)
    assert sum(verdict.allowed for verdict in verdicts) == 100


async def test_hits_that_wait_together_are_one_increment() -> None:
    storage = MemoryAsRedis(Clock())
    facade = shared(storage)
    verdicts = await asyncio.gather(*(facade.take_shared("a", limit=100) for _ in range(50)))
    assert [verdict.remaining for verdict in verdicts] == list(range(99, 49, -1))
    assert len(storage.increments) <= 2


async def test_shared_name_that_is_used_up_is_not_asked_about_for_a_moment() -> None:
    storage = MemoryAsRedis(Clock())
    facade = shared(storage)
    await asyncio.gather(*(facade.take_shared("a", limit=5) for _ in range(5)))
    asked = len(storage.increments)
    refused = await facade.take_shared("a", limit=5)
    assert (refused.allowed, refused.remaining, refused.reset_s) == (False, 0, 60)
    assert len(storage.increments) == asked
    storage.clock.now += 61
    assert (await facade.take_shared("a", limit=5)).allowed


async def test_shared_cost_that_does_not_fit_is_given_back() -> None:
    storage = MemoryAsRedis(Clock())
    facade = shared(storage)
    assert (await facade.take_shared("a", limit=10, cost=4)).allowed
    assert not (await facade.take_shared("a", limit=10, cost=7)).allowed
    last = await facade.take_shared("a", limit=10, cost=6)
    assert (last.allowed, last.remaining) == (True, 0)


async def test_facade_counts_for_itself_while_the_storage_fails() -> None:
    storage = MemoryAsRedis(Clock())
    facade = shared(storage)
    storage.failure = ConnectionError("gone")
    await facade.open()
    assert [(await facade.take_shared("a", limit=1)).allowed for _ in range(2)] == [True, False]
    storage.failure = None
    storage.clock.now += 6
    assert (await facade.take_shared("a", limit=1)).allowed
    assert storage.increments == [1]


async def test_failure_in_between_is_counted_here() -> None:
    storage = MemoryAsRedis(Clock())
    facade = shared(storage)
    assert (await facade.take_shared("a", limit=5)).allowed
    storage.failure = ConnectionError("gone")
    verdicts = await asyncio.gather(*(facade.take_shared("a", limit=5) for _ in range(3)))
    assert all(verdict.allowed for verdict in verdicts)
    await facade.close()
