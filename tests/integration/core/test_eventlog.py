"""The event log without a broker: positions and deliveries are one transaction."""

import asyncio
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.delivery.fanout import fan_out
from core.errors import InfiniReachError
from core.eventlog.embedded import EmbeddedLog
from core.eventlog.metrics import RelayMetrics
from core.eventlog.relay import Relay
from core.events import PublishedEvent, append, new_event, read_outbox
from core.store.engine import Store
from core.store.rows import DeliveryRow, WebhookRow
from tests.core_fixtures import NOW_MS
from tests.fakes.database import TENANT_A, TENANT_B, file_store
from tests.fakes.driver_stream import eventually
from tests.fakes.set_clock import SetClock

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    with file_store(tmp_path) as store:
        yield store


class Due:
    """Notes which endpoints were said to have something due."""

    def __init__(self) -> None:
        self.told: list[set[str]] = []

    def __call__(self, webhook_ids: Iterable[str]) -> None:
        self.told.append(set(webhook_ids))


def add_webhook(session: Session, webhook_id: str, tenant_id: str, events: str) -> None:
    session.add(
        WebhookRow(
            id=webhook_id,
            tenant_id=tenant_id,
            url="https://example.com/hook",
            events=events,
            timeout_s=10,
            ordered=False,
            secret=b"",
            created_ms=NOW_MS,
            updated_ms=NOW_MS,
        )
    )


def add_events(session: Session, *kinds: str, tenant_id: str = TENANT_A) -> None:
    append(session, [new_event(kind, tenant_id=tenant_id, at_ms=NOW_MS, data={}) for kind in kinds])


async def outbox(store: Store) -> list[PublishedEvent]:
    return list((await store.read(read_outbox, frozenset(), 1000)).events)


async def deliveries(store: Store) -> list[tuple[str, str]]:
    """Endpoint and event type of each delivery."""
    table = DeliveryRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
    query = select(table.c.webhook_id, table.c.event_type).order_by(table.c.id)
    return await store.read(lambda session: [(row[0], row[1]) for row in session.execute(query)])


async def test_publishing_positions_events_and_makes_their_deliveries(store: Store) -> None:
    await store.run(add_webhook, "ours", TENANT_A, "message.sent message.delivered")
    await store.run(add_webhook, "theirs", TENANT_B, "message.sent")
    await store.run(add_events, "message.sent", "message.failed", "message.delivered")
    due = Due()
    await EmbeddedLog(store, SetClock(), fan_out=fan_out, on_due=due).publish(await outbox(store))
    assert await outbox(store) == []
    assert await deliveries(store) == [("ours", "message.sent"), ("ours", "message.delivered")]
    assert due.told == [{"ours"}]


async def test_publishing_the_same_events_again_makes_no_second_delivery(store: Store) -> None:
    await store.run(add_webhook, "ours", TENANT_A, "message.sent")
    await store.run(add_events, "message.sent")
    events = await outbox(store)
    log = EmbeddedLog(store, SetClock(), fan_out=fan_out, on_due=Due())
    await log.publish(events)
    await log.publish(events)
    assert await deliveries(store) == [("ours", "message.sent")]


async def test_of_what_arrives_the_events_are_named_that_are_in_no_row(store: Store) -> None:
    await store.run(add_events, "message.sent", "message.sent")
    ours = await outbox(store)
    log = EmbeddedLog(store, SetClock(), fan_out=fan_out, on_due=Due())
    await log.publish(ours[:1])
    strange = [replace(ours[0], id=name) for name in ("strange", "stranger")]
    assert await log.receive([*ours, *strange, strange[0]]) == {"strange", "stranger"}
    assert await outbox(store) == []
    assert await log.receive(ours) == set()


async def test_a_fan_out_that_fails_leaves_its_events_unpublished(store: Store) -> None:
    def failing(_session: Session, _events: Sequence[PublishedEvent], _now_ms: int) -> dict[str, bool]:
        raise InfiniReachError("no")

    await store.run(add_events, "message.sent")
    events = await outbox(store)
    due = Due()
    with pytest.raises(InfiniReachError):
        await EmbeddedLog(store, SetClock(), fan_out=failing, on_due=due).publish(events)
    assert await outbox(store) == events
    assert due.told == []


async def test_from_a_committed_event_to_its_delivery(store: Store) -> None:
    await store.run(add_webhook, "ours", TENANT_A, "message.sent")
    due = Due()
    relay = Relay(
        store,
        EmbeddedLog(store, SetClock(), fan_out=fan_out, on_due=due),
        RelayMetrics(CollectorRegistry()),
    )
    task = asyncio.create_task(relay.run())
    await store.run(add_events, *["message.sent"] * 20)
    relay.wake()
    await eventually(lambda: due.told)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(await deliveries(store)) == 20
