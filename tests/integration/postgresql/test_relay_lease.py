"""One relay of several works, another takes over, and what one process appends reaches the relay of another."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.orm import Session

from core.delivery.fanout import fan_out
from core.eventlog import lease as lease_module
from core.eventlog import relay as relay_module
from core.eventlog.embedded import EmbeddedLog
from core.eventlog.lease import RelayLease
from core.eventlog.metrics import RelayMetrics
from core.eventlog.relay import Relay
from core.store.databases import open_store
from core.store.engine import Store
from core.store.hints import Hints, Subject
from core.store.leases import release, take
from core.store.migrate import migrate
from tests.fakes.database import add_tenants
from tests.fakes.driver_stream import eventually
from tests.fakes.outbox import Due, add_events, in_background, published
from tests.fakes.postgresql import shared_cluster
from tests.fakes.set_clock import SetClock

SHORT_MS = 200
LONG_MS = 3_600_000


@pytest.fixture(scope="module")
def url() -> str:
    url = shared_cluster().create_database("relay_lease")
    migrate(url)
    return url


@pytest.fixture
def store(url: str) -> Generator[Store]:
    store = open_store(url)
    yield store
    store.close()


@pytest.fixture(scope="module", autouse=True)
def tenants(url: str) -> None:
    store = open_store(url)
    asyncio.run(store.run(add_tenants))
    store.close()


class Core:
    """What one core has of it."""

    def __init__(self, store: Store, url: str) -> None:
        metrics = RelayMetrics(CollectorRegistry())
        self.hints = Hints(store, url)
        self.lease = RelayLease(store, metrics)
        log = EmbeddedLog(store, SetClock(), fan_out=fan_out, on_due=Due())
        self.relay = Relay(store, log, metrics, lease=self.lease, tell_others=self.hints.tell_events)


@contextlib.asynccontextmanager
async def core_on(url: str) -> AsyncGenerator[Core]:
    store = open_store(url)
    core = Core(store, url)
    try:
        async with (
            in_background(core.relay.run()),
            in_background(core.hints.run({Subject.EVENTS: core.relay.hear})),
        ):
            yield core
    finally:
        await asyncio.to_thread(store.close)


async def test_one_holder_at_a_time(store: Store) -> None:
    assert await store.run(take, "a", "one", LONG_MS)
    assert not await store.run(take, "a", "two", LONG_MS)
    assert await store.run(take, "a", "one", LONG_MS)
    assert await store.run(take, "b", "two", LONG_MS)
    await store.run(release, "a", "two")
    assert not await store.run(take, "a", "two", LONG_MS)
    await store.run(release, "a", "one")
    assert await store.run(take, "a", "two", LONG_MS)


async def test_a_lease_that_ran_out_is_anybodys(store: Store) -> None:
    assert await store.run(take, "c", "one", 0)
    assert await store.run(take, "c", "two", LONG_MS)
    assert not await store.run(take, "c", "one", LONG_MS)


async def test_another_core_takes_over_from_one_that_stops(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_module, "RENEW_S", 0.02)
    monkeypatch.setattr(lease_module, "LEASE_S", 3600.0)  # only letting go helps
    async with contextlib.AsyncExitStack() as stays_until_the_end:
        async with core_on(url) as stops:
            await eventually(lambda: stops.lease.is_held)
            stays = await stays_until_the_end.enter_async_context(core_on(url))
            assert not stays.lease.is_held
        await eventually(lambda: stays.lease.is_held)


async def test_another_core_takes_over_from_one_that_died(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "RENEW_S", 0.02)
    assert await store.run(take, lease_module.NAME, "dead", SHORT_MS)
    async with core_on(url) as core:
        await eventually(lambda: core.lease.is_held)


def taken_from(session: Session, holder: str) -> bool:
    release(session, lease_module.NAME, holder)
    return take(session, lease_module.NAME, "other", LONG_MS)


async def test_a_relay_whose_lease_cannot_be_renewed_stops_working(
    url: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "RENEW_S", 0.02)
    async with core_on(url) as core:
        await eventually(lambda: core.lease.is_held)
        assert await store.run(taken_from, core.lease.holder)
        await eventually(lambda: not core.lease.is_held)
        await store.run(release, lease_module.NAME, "other")


async def test_events_of_a_core_without_the_lease_reach_the_relay_without_its_poll(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "POLL_S", 3600.0)
    async with core_on(url) as works, core_on(url) as other:
        await eventually(lambda: works.lease.is_held or other.lease.is_held)
        working, waiting = (works, other) if works.lease.is_held else (other, works)
        store = open_store(url)
        try:
            ids = await store.run(add_events, 3)
            waiting.relay.wake()
            while not set(ids) <= set(await published(store, 0)):
                waiting.relay.wake()  # a hint from before the other listened is lost
                await asyncio.sleep(0.02)
            assert working.lease.is_held
        finally:
            await asyncio.to_thread(store.close)
