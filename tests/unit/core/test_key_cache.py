"""What the process remembers of API keys, and for how long."""

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from core import accounts, credentials
from core.accounts import NewApiKey
from core.api import key_cache
from core.api.key_cache import REFUSED_TTL_S, TTL_S, KeyCache
from core.errors import Unauthenticated, Unavailable
from core.store.engine import Store
from tests.fakes.database import TENANT_A, file_store
from tests.fakes.set_clock import SetClock

pytestmark = pytest.mark.usefixtures("database")

REVOCATION_S_MAX = 5.0


class CountingStore:
    """A store that counts its transactions and can refuse to write."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reads = 0
        self.writes = 0
        self.writable = True

    async def read(self, function: Any, *args: Any) -> Any:
        self.reads += 1
        return await self.store.read(function, *args)

    async def run(self, function: Any, *args: Any) -> Any:
        if not self.writable:
            raise Unavailable
        self.writes += 1
        return await self.store.run(function, *args)


@pytest.fixture
def store(tmp_path: Path) -> Generator[CountingStore]:
    with file_store(tmp_path) as store:
        yield CountingStore(store)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def cache(store: CountingStore, clock: SetClock) -> KeyCache:
    return KeyCache(store, clock)  # pyright: ignore[reportArgumentType]


async def add_key(store: CountingStore, clock: SetClock, *, expires_ms: int | None = None) -> tuple[str, str]:
    """Id and text of a new key."""
    new = NewApiKey(TENANT_A, ["messages:send", "devices"], expires_ms=expires_ms)
    record, key = await store.store.run(accounts.create_api_key, new, clock.now_ms())
    return record.row.id, key


async def test_a_key_is_looked_up_once_within_its_time(
    cache: KeyCache, store: CountingStore, clock: SetClock
) -> None:
    key_id, key = await add_key(store, clock)
    for _ in range(3):
        found = await cache.resolve(key)
        assert (found.tenant_id, found.key_id, found.scopes) == (
            TENANT_A,
            key_id,
            {"messages:send", "devices"},
        )
        clock.advance(1)
    assert store.reads == 1
    clock.advance(1)
    await cache.resolve(key)
    assert store.reads == 2


async def test_a_revoked_key_stops_working_within_five_seconds(
    cache: KeyCache, store: CountingStore, clock: SetClock
) -> None:
    key_id, key = await add_key(store, clock)
    await cache.resolve(key)
    await store.store.run(accounts.revoke_api_key, TENANT_A, key_id, clock.now_ms())
    assert TTL_S < REVOCATION_S_MAX
    clock.advance(TTL_S)
    with pytest.raises(Unauthenticated):
        await cache.resolve(key)


async def test_resolving_now_sees_a_revocation_at_once(
    cache: KeyCache, store: CountingStore, clock: SetClock
) -> None:
    key_id, key = await add_key(store, clock)
    await cache.resolve_now(key)
    await store.store.run(accounts.revoke_api_key, TENANT_A, key_id, clock.now_ms())
    with pytest.raises(Unauthenticated):
        await cache.resolve_now(key)
    with pytest.raises(Unauthenticated):
        await cache.resolve(key)


async def test_a_remembered_key_stops_at_its_expiry(
    cache: KeyCache, store: CountingStore, clock: SetClock
) -> None:
    _, key = await add_key(store, clock, expires_ms=clock.now_ms() + 1000)
    await cache.resolve(key)
    clock.advance(1)
    with pytest.raises(Unauthenticated):
        await cache.resolve(key)
    assert store.reads == 1


async def test_a_malformed_key_touches_no_database(cache: KeyCache, store: CountingStore) -> None:
    for key in ("", "irk_", "irk_" + "A" * 46):
        with pytest.raises(Unauthenticated):
            await cache.resolve(key)
    assert store.reads == 0


async def test_a_refused_key_is_remembered_shortly(
    cache: KeyCache, store: CountingStore, clock: SetClock
) -> None:
    key = credentials.new_credential(credentials.API_KEY_PREFIX)
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            await cache.resolve(key)
    assert store.reads == 1
    clock.advance(REFUSED_TTL_S)
    new = NewApiKey(TENANT_A, ["admin"])
    await store.store.run(accounts.import_api_key, new, key, clock.now_ms())
    assert (await cache.resolve(key)).tenant_id == TENANT_A


async def test_a_flood_of_wrong_keys_drives_out_no_right_one(
    cache: KeyCache, store: CountingStore, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_cache, "KEYS_MAX", 2)
    monkeypatch.setattr(key_cache, "REFUSED_MAX", 2)
    _, key = await add_key(store, clock)
    await cache.resolve(key)
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await cache.resolve(credentials.new_credential(credentials.API_KEY_PREFIX))
    reads = store.reads
    await cache.resolve(key)
    assert store.reads == reads


async def test_the_number_of_remembered_keys_is_bounded(
    cache: KeyCache, store: CountingStore, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_cache, "KEYS_MAX", 2)
    keys = [(await add_key(store, clock))[1] for _ in range(3)]
    for key in keys:
        await cache.resolve(key)
    await cache.resolve(keys[2])
    assert store.reads == 3
    await cache.resolve(keys[0])
    assert store.reads == 4


async def test_equal_questions_at_the_same_time_become_one_query(
    cache: KeyCache, store: CountingStore, clock: SetClock
) -> None:
    _, key = await add_key(store, clock)
    found = await asyncio.gather(*(cache.resolve(key) for _ in range(50)))
    assert {one.tenant_id for one in found} == {TENANT_A}
    assert store.reads == 1


async def test_a_caller_that_goes_away_takes_the_answer_from_nobody(
    cache: KeyCache, store: CountingStore, clock: SetClock
) -> None:
    _, key = await add_key(store, clock)
    first, second = (asyncio.create_task(cache.resolve(key)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).tenant_id == TENANT_A
    assert first.cancelled()


def last_use(session: Session) -> list[int | None]:
    return [record.row.last_used_ms for record in accounts.list_api_keys(session, TENANT_A)]


async def test_the_use_of_a_key_is_noted_at_most_once_a_minute(
    cache: KeyCache, store: CountingStore, clock: SetClock
) -> None:
    _, key = await add_key(store, clock)
    first_ms = clock.now_ms()
    for _ in range(12):
        await cache.resolve(key)
        clock.advance(5)
    assert store.writes == 1
    assert await store.store.read(last_use) == [first_ms]
    await cache.resolve(key)
    assert await store.store.read(last_use) == [first_ms + 60_000]


async def test_a_key_is_good_while_nothing_can_be_written(
    cache: KeyCache, store: CountingStore, clock: SetClock
) -> None:
    _, key = await add_key(store, clock)
    store.writable = False
    assert (await cache.resolve(key)).tenant_id == TENANT_A
