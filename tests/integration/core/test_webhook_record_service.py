"""WebhooksService over gRPC: the record of deliveries, and the feed of events."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from core import events
from core.store.rows import DeliveryRow
from infinireach.v1 import webhook_pb2
from infinireach.v1 import webhooks_service_pb2 as pb
from tests.fakes.core_apis import CoreApis, core_apis
from tests.fakes.database import TENANT_A
from tests.fakes.rpc_outcome import refusal
from tests.fakes.set_clock import START_MS
from tests.fakes.webhook_calls import add_deliveries, call, create, deliveries

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
async def apis(tmp_path: Path) -> AsyncGenerator[CoreApis]:
    async with core_apis(tmp_path) as apis:
        yield apis


def publish(session: Session, types: list[str]) -> list[str]:
    made = [
        events.new_event(name, tenant_id=TENANT_A, at_ms=START_MS, data={"n": n})
        for n, name in enumerate(types)
    ]
    events.append(session, made)
    ids = [event["id"] for event in made]
    events.mark_published(session, ids)
    return ids


# Deliveries


async def test_deliveries_come_in_pages_newest_first(apis: CoreApis) -> None:
    webhook_id = (await create(apis)).webhook.id
    ids = await apis.store.run(add_deliveries, webhook_id, ["pending", "dead", "pending", "dead", "pending"])
    seen: list[str] = []
    token = ""
    for expected in (2, 2, 1):
        page = await deliveries(apis, webhook_id, page_size=2, page_token=token)
        assert len(page.deliveries) == expected
        seen += [row.id for row in page.deliveries]
        token = page.next_page_token
    assert (seen, token) == (ids[::-1], "")
    dead = await deliveries(apis, webhook_id, state=webhook_pb2.DELIVERY_STATE_DEAD)
    assert [row.id for row in dead.deliveries] == [ids[3], ids[1]]


@pytest.mark.parametrize(
    ("field", "value"), [("page_size", -1), ("page_size", 201), ("page_token", "made-up"), ("state", 9)]
)
async def test_a_faulty_field_of_a_list_is_named(apis: CoreApis, field: str, value: Any) -> None:
    webhook_id = (await create(apis)).webhook.id
    refused = await refusal(deliveries(apis, webhook_id, **{field: value}))
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", [field])


async def test_a_delivery_is_shown_with_its_attempts(apis: CoreApis) -> None:
    webhook_id = (await create(apis)).webhook.id
    [delivery_id] = await apis.store.run(add_deliveries, webhook_id, ["pending"])
    found = await call(apis, "GetDelivery", pb.GetDeliveryRequest(delivery_id=delivery_id))
    delivery = found.delivery
    assert (delivery.id, delivery.webhook_id, delivery.event_type) == (
        delivery_id,
        webhook_id,
        "message.sent",
    )
    assert (delivery.attempts, delivery.message_id) == (1, "d" * 24)
    assert delivery.next_attempt_time.ToMilliseconds() == START_MS + 5000
    assert not delivery.HasField("finish_time")
    assert list(found.attempts) == [
        webhook_pb2.DeliveryAttempt(
            number=1, time={"seconds": START_MS // 1000}, status=500, duration_ms=3, response="Oops"
        )
    ]


def wait_for_retry(session: Session, delivery_id: str) -> None:
    """As an ordered endpoint waits: behind a lease that nobody has."""
    row = session.get_one(DeliveryRow, delivery_id)
    row.due_ms, row.lease_until_ms = START_MS, START_MS + 30_000
    session.add(row)


async def test_the_next_attempt_is_shown_where_there_is_one(apis: CoreApis) -> None:
    webhook_id = (await create(apis)).webhook.id
    ids = await apis.store.run(add_deliveries, webhook_id, ["pending", "dead"])
    await apis.store.run(wait_for_retry, ids[0])
    dead, pending = (await deliveries(apis, webhook_id)).deliveries
    assert pending.next_attempt_time.ToMilliseconds() == START_MS + 30_000
    assert not dead.HasField("next_attempt_time")


async def test_a_delivery_can_be_made_again(apis: CoreApis) -> None:
    webhook_id = (await create(apis)).webhook.id
    [delivery_id] = await apis.store.run(add_deliveries, webhook_id, ["dead"])
    answer = await call(apis, "RedeliverDelivery", pb.RedeliverDeliveryRequest(delivery_id=delivery_id))
    assert answer.delivery.state == webhook_pb2.DELIVERY_STATE_PENDING
    assert answer.delivery.next_attempt_time.ToMilliseconds() == START_MS
    assert apis.woken == [webhook_id]


# The feed


async def feed(apis: CoreApis, **fields: Any) -> Any:
    return await call(apis, "ListEvents", pb.ListEventsRequest(**fields))


async def test_the_feed_gives_the_stored_bytes_and_goes_on_from_its_cursor(apis: CoreApis) -> None:
    empty = await feed(apis)
    assert (list(empty.events), bool(empty.next_cursor)) == ([], True)
    ids = await apis.store.run(publish, ["message.sent", "message.delivered"])
    first = await feed(apis, after=empty.next_cursor, page_size=1)
    second = await feed(apis, after=first.next_cursor, page_size=1)
    nothing = await feed(apis, after=second.next_cursor)
    assert [event.id for page in (first, second) for event in page.events] == ids
    assert (list(nothing.events), nothing.next_cursor) == ([], second.next_cursor)
    [event] = first.events
    assert (event.type, event.create_time.ToMilliseconds()) == ("message.sent", START_MS)
    assert event.body == b'{"event":"message.sent","timestamp":"2025-10-09T08:53:20Z","data":{"n":0}}'


async def test_the_feed_names_an_event_as_its_reader_does(apis: CoreApis) -> None:
    await apis.store.run(publish, ["message.inbound", "message.sent"])
    [event] = (await feed(apis, types=["message.received"])).events
    assert event.type == "message.received"
    assert json.loads(event.body)["event"] == "message.received"
    assert [event.type for event in (await feed(apis)).events] == ["message.inbound", "message.sent"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("after", "made-up"), ("types", ["message.unheard"]), ("page_size", -1), ("page_size", 1001)],
)
async def test_a_faulty_field_of_the_feed_is_named(apis: CoreApis, field: str, value: Any) -> None:
    refused = await refusal(feed(apis, **{field: value}))
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", [field])


async def test_the_feed_needs_its_own_scope(apis: CoreApis) -> None:
    webhooks_only = await apis.key(TENANT_A, "webhooks")
    reader = await apis.key(TENANT_A, "messages:read")
    refused = await refusal(apis.call("webhooks.ListEvents", pb.ListEventsRequest(), webhooks_only))
    assert refused.metadata == {"scope": "messages:read"}
    await apis.call("webhooks.ListEvents", pb.ListEventsRequest(), reader)
    refused = await refusal(apis.call("webhooks.ListWebhooks", pb.ListWebhooksRequest(), reader))
    assert refused.metadata == {"scope": "webhooks"}
