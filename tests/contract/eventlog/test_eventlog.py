"""What every event log promises, on each adapter and each database."""

import random
from collections.abc import AsyncGenerator, Generator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from core.errors import Unavailable
from core.eventlog import relay as relay_module
from core.eventlog.port import EventLog
from core.events import PublishedEvent, append, new_event
from core.store.engine import Store
from tests.contract.eventlog.logs import Kind, RunningLog, running
from tests.core_fixtures import NOW_MS
from tests.fakes.database import TENANT_A, TENANT_B, file_store
from tests.fakes.outbox import add_events, add_webhook, deliveries, feed, published

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    with file_store(tmp_path) as store:
        yield store


@pytest.fixture(params=list(Kind))
async def log(request: pytest.FixtureRequest, store: Store) -> AsyncGenerator[RunningLog]:
    async with running(request.param, store) as log:
        yield log


class FailingLog:
    """A log that refuses, before or after it has taken the events, as often as it is told to."""

    def __init__(self, log: EventLog, *, failures: int, takes_them: bool) -> None:
        self._log = log
        self._takes_them = takes_them
        self.failures = failures

    async def publish(self, events: Sequence[PublishedEvent]) -> None:
        """Publish, or not."""
        if self.failures == 0 or self._takes_them:
            await self._log.publish(events)
        if self.failures:
            self.failures -= 1
            raise Unavailable("The log is away.")


async def test_every_event_is_fanned_out_once_to_each_endpoint_that_wants_it(
    store: Store, log: RunningLog
) -> None:
    for webhook_id, tenant_id in (("one", TENANT_A), ("two", TENANT_A), ("theirs", TENANT_B)):
        await store.run(add_webhook, webhook_id, tenant_id)
    await store.run(add_webhook, "other", TENANT_A, "message.failed")
    async with log.relaying() as relay:
        ours = await store.run(add_events, 700, TENANT_A)
        theirs = await store.run(add_events, 5, TENANT_B)
        relay.wake()
        assert set(await published(store, 705)) == {*ours, *theirs}
    wanted = [(hook, each) for hook in ("one", "two") for each in ours] + [
        ("theirs", each) for each in theirs
    ]
    assert sorted(await deliveries(store)) == sorted(wanted)
    assert log.due.endpoints == {"one", "two", "theirs"}


async def test_events_of_one_device_keep_their_order(store: Store, log: RunningLog) -> None:
    devices: dict[str, list[str]] = {f"device-{n}": [] for n in range(6)}
    async with log.relaying() as relay:
        for n in range(60):
            device = random.Random(n).choice(list(devices))
            devices[device] += await store.run(add_events, 1 + n % 3, TENANT_A, device)
            relay.wake()
        found = await published(store, sum(map(len, devices.values())))
    for ids in devices.values():
        assert [each for each in found if each in ids] == ids


async def test_whoever_reads_on_from_the_last_position_misses_nothing(store: Store, log: RunningLog) -> None:
    read: list[tuple[int, str]] = []
    written: list[str] = []
    async with log.relaying() as relay:
        for n in range(40):
            written += await store.run(add_events, 7, TENANT_A, f"device-{n % 5}")
            relay.wake()
            read += await feed(store, read[-1][0] if read else 0)
        await published(store, len(written))
        read += await feed(store, read[-1][0] if read else 0)
    assert sorted(each for _, each in read) == sorted(written)
    assert len({position for position, _ in read}) == len(written)


async def test_what_is_published_twice_is_fanned_out_once(store: Store, log: RunningLog) -> None:
    await store.run(add_webhook, "hook", TENANT_A)
    ids = await store.run(add_events, 3)
    events = [PublishedEvent(each, TENANT_A, "message.sent", None, "device", NOW_MS) for each in ids]
    await log.log.publish([*events, *reversed(events)])
    first = await published(store, 3)
    await store.run(add_webhook, "late", TENANT_A)
    await log.log.publish(events)
    last = await store.run(add_events, 1)
    async with log.relaying():
        assert await published(store, 4) == [*first, *last]
    assert sorted(await deliveries(store)) == sorted([
        *(("hook", each) for each in [*ids, *last]),
        ("late", last[0]),
    ])


@pytest.mark.parametrize("takes_them", [False, True])
async def test_a_log_that_refuses_for_a_while_loses_nothing_and_keeps_the_order(
    store: Store, log: RunningLog, monkeypatch: pytest.MonkeyPatch, *, takes_them: bool
) -> None:
    monkeypatch.setattr(relay_module, "RETRY_S", 0.01)
    ids = await store.run(add_events, 20)
    async with log.relaying(FailingLog(log.log, failures=3, takes_them=takes_them)) as relay:
        relay.wake()
        assert await published(store, 20) == ids


async def test_an_event_that_commits_after_later_ones_is_published(store: Store, log: RunningLog) -> None:
    early = new_event("message.sent", tenant_id=TENANT_A, at_ms=NOW_MS, data={})
    late = await store.run(add_events, 1)
    assert early["id"] < late[0]
    async with log.relaying() as relay:
        relay.wake()
        assert await published(store, 1) == late
        await store.run(append, [early])
        relay.wake()
        assert await published(store, 2) == [*late, early["id"]]


async def test_an_event_that_is_gone_or_never_was_holds_nothing_up(store: Store, log: RunningLog) -> None:
    await store.run(add_webhook, "hook", TENANT_A)
    gone, kept = await store.run(add_events, 2)
    await store.run(lambda session: session.execute(text("DELETE FROM event WHERE id = :id"), {"id": gone}))
    unknown = "0" * 24
    await log.log.publish([
        PublishedEvent(each, TENANT_A, "message.sent", None, "device", NOW_MS)
        for each in (gone, unknown, kept)
    ])
    assert await published(store, 1) == [kept]
    assert await deliveries(store) == [("hook", kept)]


async def test_what_a_log_says_of_an_event_is_not_believed(store: Store, log: RunningLog) -> None:
    await store.run(add_webhook, "ours", TENANT_A)
    await store.run(add_webhook, "theirs", TENANT_B)
    (event_id,) = await store.run(add_events, 1, TENANT_A)
    await log.log.publish([PublishedEvent(event_id, TENANT_B, "message.failed", None, None, 1)])
    await published(store, 1)
    assert await deliveries(store) == [("ours", event_id)]
