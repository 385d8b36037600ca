"""Rate limits of several facades in a real Redis."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rest_facade import limits as limits_module
from rest_facade.limits import RateLimiter
from tools.engines.ports import free_port
from tools.engines.redis import Redis

LIMIT = 600
STORAGE_FAILED = "rate_limit_storage_failed"


@pytest.fixture
def redis(tmp_path: Path) -> Generator[Redis]:
    redis = Redis(tmp_path, free_port())
    redis.start()
    yield redis
    redis.kill()


@asynccontextmanager
async def facades(url: str, count: int = 2) -> AsyncGenerator[list[RateLimiter]]:
    """The limiters of so many facades."""
    limiters = [RateLimiter(url) for _ in range(count)]
    for limiter in limiters:
        await limiter.open()
    yield limiters
    for limiter in limiters:
        await limiter.close()


async def test_two_facades_admit_the_limit_within_one_percent_at_ten_times_the_rate(redis: Redis) -> None:
    async with facades(redis.url) as limiters:
        admitted = 0
        for _ in range(100):
            hits = [limiters[n % 2].take_shared("tenant/key", limit=LIMIT) for n in range(LIMIT // 10)]
            admitted += sum(verdict.allowed for verdict in await asyncio.gather(*hits))
        assert abs(admitted - LIMIT) <= LIMIT // 100
        headers = await limiters[0].take_shared("tenant/key", limit=LIMIT)
        assert (headers.allowed, headers.remaining) == (False, 0)
        assert 1 <= headers.reset_s <= 60


async def test_a_batch_that_does_not_fit_takes_nothing_from_anybody(redis: Redis) -> None:
    async with facades(redis.url) as (one, other):
        assert (await one.take_shared("key", limit=10, cost=6)).allowed
        assert not (await other.take_shared("key", limit=10, cost=5)).allowed
        assert (await other.take_shared("key", limit=10, cost=4)).allowed
        assert not (await one.take_shared("key", limit=10)).allowed


async def test_without_redis_each_facade_counts_for_itself_and_returns_to_it(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(limits_module, "PAUSE_S", 0.0)
    async with facades(redis.url) as (one, other):
        assert (await one.take_shared("key", limit=2)).allowed
        redis.kill()
        alone = [(await one.take_shared("key", limit=2)).allowed for _ in range(3)]
        assert alone == [True, True, False]
        assert (await other.take_shared("key", limit=2)).allowed
        assert STORAGE_FAILED in capsys.readouterr().out
        redis.start()
        together = [(await limiter.take_shared("key", limit=2)).allowed for limiter in (one, other, one)]
        assert together == [True, True, False]
