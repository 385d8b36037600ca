"""Positions that several workers give at once: unique, and visible in order."""

import asyncio
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from core.delivery.fanout import fan_out
from core.eventlog.embedded import EmbeddedLog
from core.events import PublishedEvent, read_outbox
from core.store.engine import Store
from tests.fakes.database import TENANT_A, Database, chosen, file_store
from tests.fakes.outbox import Due, add_events, add_webhook, deliveries, feed
from tests.fakes.set_clock import SetClock

WORKERS = 6
EVENTS = 600


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    with chosen(Database.POSTGRESQL), file_store(tmp_path) as store:
        yield store


Batches = list[list[PublishedEvent]]


def apart(events: list[PublishedEvent], worker: int) -> Batches:
    """A share of the events, in small batches."""
    own = events[worker::WORKERS]
    return [own[start : start + 3] for start in range(0, len(own), 3)]


def overlapping(events: list[PublishedEvent], worker: int) -> Batches:
    """All events in batches, which begin and end elsewhere for each worker and come in another order."""
    size = 7 + worker
    batches = [events[start : start + size] for start in range(0, len(events), size)]
    return batches[:: -1 if worker % 2 else 1]


@pytest.mark.parametrize("batches_of", [apart, overlapping])
async def test_workers_that_publish_at_once_give_each_event_one_position_in_visible_order(
    store: Store, batches_of: Callable[[list[PublishedEvent], int], Batches]
) -> None:
    await store.run(add_webhook, "hook", TENANT_A)
    ids = await store.run(add_events, EVENTS)
    events = list((await store.read(read_outbox, frozenset(), EVENTS)).events)
    log = EmbeddedLog(store, SetClock(), fan_out=fan_out, on_due=Due())

    async def publish(worker: int) -> None:
        for batch in batches_of(events, worker):
            await log.publish(batch)

    read: list[tuple[int, str]] = []

    async def read_on(working: asyncio.Future[list[None]]) -> None:
        is_last = False
        while not is_last:
            is_last = working.done()
            read.extend(await feed(store, read[-1][0] if read else 0))

    working = asyncio.gather(*map(publish, range(WORKERS)))
    await read_on(working)
    await working
    assert sorted(event for _, event in read) == sorted(ids)
    assert sorted(await deliveries(store)) == sorted(("hook", each) for each in ids)
