"""Windows of a minute."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits.errors import ConfigurationError

from rest_facade import limits
from rest_facade.limits import RateLimiter, Windows


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
    monkeypatch.setattr(limits, "ENTRIES_MAX", 10)
    windows = Windows(Clock())
    for number in range(1_000):
        windows.take(str(number), limit=1)
    assert windows.size <= 10
    assert not windows.take("999", limit=1).allowed


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

    monkeypatch.setattr(limits, "storage_from_string", storage)
    with pytest.raises(ConfigurationError, match="redis"):
        RateLimiter("redis://localhost")
