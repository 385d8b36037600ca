"""The relay over a real store: every event of the outbox is published, in order, whatever fails on the way."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator, Sequence
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import Unavailable
from core.eventlog import relay as relay_module
from core.eventlog.metrics import RelayMetrics
from core.eventlog.port import EventLog
from core.eventlog.relay import Relay
from core.events import Outbox, PublishedEvent, append, mark_published, new_event
from core.store.engine import Store
from core.store.rows import EventRow
from tests.core_fixtures import NOW_MS
from tests.fakes.database import TENANT_A, file_store
from tests.fakes.driver_stream import eventually

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    with file_store(tmp_path) as store:
        yield store


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure is soon forgotten, and the poll helps only where a test is about it."""
    monkeypatch.setattr(relay_module, "RETRY_S", 0.005)
    monkeypatch.setattr(relay_module, "POLL_S", 3600.0)


class NotingLog:
    """A log that notes what it carries, and fails as often as it is told to."""

    def __init__(self, store: Store) -> None:
        self.batches: list[list[str]] = []
        self.failures = 0
        self.fails_after_positions = False
        self._store = store

    @property
    def published(self) -> list[str]:
        """The events in the order of their publication."""
        return [event_id for batch in self.batches for event_id in batch]

    async def publish(self, events: Sequence[PublishedEvent]) -> None:
        """Note the events and give them their positions."""
        ids = [event.id for event in events]
        if self.failures and not self.fails_after_positions:
            self.failures -= 1
            raise Unavailable("The log is away.")
        await self._store.run(mark_published, ids)
        self.batches.append(ids)
        if self.failures:
            self.failures -= 1
            raise Unavailable("The answer was lost.")


async def add(store: Store, count: int) -> list[str]:
    """Record events; answers their ids."""

    def record(session: Session) -> list[str]:
        rows = [
            new_event("message.sent", tenant_id=TENANT_A, at_ms=NOW_MS, data={"n": n}) for n in range(count)
        ]
        append(session, rows)
        return [row["id"] for row in rows]

    return await store.run(record)


async def positions(store: Store) -> list[tuple[str, int]]:
    """Every published event with its position, in that order."""
    table = EventRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
    query = (
        select(table.c.id, table.c.position).where(table.c.position.is_not(None)).order_by(table.c.position)
    )
    return await store.read(lambda session: [(row.id, row.position) for row in session.execute(query)])


@contextlib.asynccontextmanager
async def relaying(store: Store, log: EventLog) -> AsyncGenerator[Relay]:
    relay = Relay(store, log, RelayMetrics(CollectorRegistry()))
    task = asyncio.create_task(relay.run())
    try:
        yield relay
        assert not task.done(), "the relay ended"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_wake_publishes_what_the_outbox_holds_in_its_order(store: Store) -> None:
    log = NotingLog(store)
    ids = await add(store, 5)
    async with relaying(store, log) as relay:
        relay.wake()
        await eventually(lambda: log.published == ids)
        later = await add(store, 1)
        relay.wake()
        await eventually(lambda: log.published == ids + later)
    assert await positions(store) == [(each, n) for n, each in enumerate(ids + later, 1)]


async def test_events_of_which_nothing_told_are_found_by_the_poll(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "POLL_S", 0.005)
    log = NotingLog(store)
    async with relaying(store, log):
        ids = await add(store, 2)
        await eventually(lambda: log.published == ids)


async def test_a_backlog_is_published_batch_by_batch_without_another_wake(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "BATCH_MAX", 10)
    log = NotingLog(store)
    ids = await add(store, 35)
    async with relaying(store, log) as relay:
        relay.wake()
        await eventually(lambda: log.published == ids)
    assert [len(batch) for batch in log.batches] == [10, 10, 10, 5]


async def test_a_wake_while_it_publishes_is_not_lost(store: Store) -> None:
    log = NotingLog(store)
    ids: list[str] = []
    async with relaying(store, log) as relay:
        for _ in range(50):
            ids += await add(store, 1)
            relay.wake()
        await eventually(lambda: log.published == ids)


@pytest.mark.parametrize("fails_after_positions", [False, True])
async def test_a_log_that_fails_for_a_while_loses_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, fails_after_positions: bool
) -> None:
    monkeypatch.setattr(relay_module, "POLL_S", 0.005)
    log = NotingLog(store)
    log.failures, log.fails_after_positions = 3, fails_after_positions
    ids = await add(store, 4)
    async with relaying(store, log) as relay:
        relay.wake()
        await eventually(lambda: set(log.published) == set(ids))
        if not fails_after_positions:
            await eventually(lambda: log.failures == 0)
    assert await positions(store) == [(each, n) for n, each in enumerate(ids, 1)]


async def test_a_database_that_fails_for_a_while_does_not_end_the_relay(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = NotingLog(store)
    ids = await add(store, 2)
    read, failures = store.read, 0

    async def failing(*_: object) -> object:
        nonlocal failures
        failures += 1
        raise Unavailable

    async with relaying(store, log) as relay:
        monkeypatch.setattr(store, "read", failing)
        relay.wake()
        await eventually(lambda: failures)
        monkeypatch.setattr(store, "read", read)
        relay.wake()
        await eventually(lambda: log.published == ids)


async def test_a_relay_with_nothing_to_publish_does_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, looks = NotingLog(store), 0

    async def nothing(*_: object) -> Outbox:
        nonlocal looks
        looks += 1
        await asyncio.sleep(0)
        return Outbox(frozenset(), [])

    monkeypatch.setattr(store, "read", nothing)
    async with relaying(store, log) as relay:
        relay.wake()
        await eventually(lambda: looks)
        for _ in range(200):
            await asyncio.sleep(0)
    assert looks == 1


async def test_an_event_that_commits_after_later_ones_were_published_is_published(store: Store) -> None:
    log = NotingLog(store)
    early = new_event("message.sent", tenant_id=TENANT_A, at_ms=NOW_MS, data={})
    late = await add(store, 1)
    async with relaying(store, log) as relay:
        relay.wake()
        await eventually(lambda: log.published == late)
        await store.run(append, [early])
        relay.wake()
        await eventually(lambda: log.published == [*late, early["id"]])
    assert early["id"] < late[0]


async def test_two_relays_publish_everything_and_give_each_event_one_position(store: Store) -> None:
    logs = NotingLog(store), NotingLog(store)
    ids = await add(store, 50)
    async with relaying(store, logs[0]) as one, relaying(store, logs[1]) as two:
        one.wake()
        two.wake()
        await eventually(lambda: set(logs[0].published) | set(logs[1].published) == set(ids))
        more = await add(store, 1)
        one.wake()
        await eventually(lambda: more[0] in logs[0].published)
    given = await positions(store)
    assert [each for each, _ in given] == [*ids, *more]
    assert len({position for _, position in given}) == 51
