"""Fan-out: which deliveries an event gets."""

from collections.abc import Iterator

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.orm import Session

from core.delivery.fanout import fan_out
from core.events import EVENT_TYPES_BY_DEFAULT
from tests.fakes.database import TENANT_B, memory_session
from tests.fakes.delivery_rows import DELIVERED, INBOUND, SENT, add_events, add_webhook, deliveries
from tests.fakes.set_clock import START_MS

pytestmark = pytest.mark.usefixtures("database")

NOW_MS = START_MS


@pytest.fixture
def session() -> Iterator[Session]:
    with memory_session() as session:
        yield session


def test_each_endpoint_that_wants_an_event_gets_one_delivery_of_it(session: Session) -> None:
    both = add_webhook(session, events=f"{SENT} {DELIVERED}")
    one = add_webhook(session, events=DELIVERED)
    sent, delivered = add_events(session, NOW_MS, (SENT, DELIVERED))

    assert fan_out(session, [sent, delivered], NOW_MS) == {both: True, one: True}

    rows = {(row.webhook_id, row.event_id, row.event_type, row.state) for row in deliveries(session)}
    assert rows == {
        (both, sent.id, SENT, "pending"),
        (both, delivered.id, DELIVERED, "pending"),
        (one, delivered.id, DELIVERED, "pending"),
    }


def test_only_an_endpoint_that_asks_for_it_is_told_that_a_message_was_read(session: Session) -> None:
    add_webhook(session, events=" ".join(EVENT_TYPES_BY_DEFAULT))
    asked = add_webhook(session, events="message.read")
    delivered, read = add_events(session, NOW_MS, (DELIVERED, "message.read"))
    fan_out(session, [delivered, read], NOW_MS)
    assert [row.webhook_id for row in deliveries(session) if row.event_id == read.id] == [asked]
    assert len(deliveries(session)) == 2


def test_an_event_is_due_since_it_happened(session: Session) -> None:
    add_webhook(session)
    (event,) = add_events(session, NOW_MS - 3_000)
    fan_out(session, [event], NOW_MS)
    (row,) = deliveries(session)
    assert (row.due_ms, row.created_ms, row.attempts, row.again) == (NOW_MS - 3_000, NOW_MS, 0, False)
    assert row.message_id == event.message_id


def test_an_event_seen_again_makes_no_second_delivery(session: Session) -> None:
    endpoint = add_webhook(session)
    published = add_events(session, NOW_MS)
    fan_out(session, published, NOW_MS)
    assert fan_out(session, published, NOW_MS + 1) == {endpoint: True}
    assert fan_out(session, [*published, *published], NOW_MS + 2) == {endpoint: True}
    assert len(deliveries(session)) == 1


def test_another_tenants_endpoint_gets_nothing(session: Session) -> None:
    add_webhook(session, tenant_id=TENANT_B)
    assert fan_out(session, add_events(session, NOW_MS), NOW_MS) == {}
    assert deliveries(session) == []


def test_an_endpoint_that_is_off_gets_its_deliveries_paused(session: Session) -> None:
    endpoint = add_webhook(session, enabled=False)
    assert fan_out(session, add_events(session, NOW_MS), NOW_MS) == {endpoint: False}
    assert [row.state for row in deliveries(session)] == ["paused"]


def test_an_endpoint_that_chose_the_alias_gets_inbound_messages_under_it(session: Session) -> None:
    add_webhook(session, events="message.received")
    fan_out(session, add_events(session, NOW_MS, (INBOUND, SENT)), NOW_MS)
    assert [row.event_type for row in deliveries(session)] == ["message.received"]


def test_deliveries_have_ids_in_the_order_of_their_events(session: Session) -> None:
    add_webhook(session)
    published = [event for _ in range(20) for event in add_events(session, NOW_MS, (SENT, DELIVERED))]
    fan_out(session, published, NOW_MS)
    assert [row.event_id for row in deliveries(session)] == [event.id for event in published]


def test_events_that_nobody_wants_cost_one_query_and_write_nothing(session: Session) -> None:
    add_webhook(session, events=SENT)
    published = [event for _ in range(500) for event in add_events(session, NOW_MS)]
    statements: list[str] = []
    sqlalchemy_event.listen(
        session.get_bind(), "before_cursor_execute", lambda *args: statements.append(args[2])
    )
    assert fan_out(session, published, NOW_MS) == {}
    assert [statement.split()[0] for statement in statements] == ["SELECT"]


def test_a_batch_of_500_events_for_20_endpoints_takes_two_statements(session: Session) -> None:
    for _ in range(20):
        add_webhook(session)
    published = [event for _ in range(500) for event in add_events(session, NOW_MS)]
    statements: list[str] = []
    sqlalchemy_event.listen(
        session.get_bind(), "before_cursor_execute", lambda *args: statements.append(args[2])
    )
    fan_out(session, published, NOW_MS)
    assert len(statements) == 2
    assert len(deliveries(session)) == 10_000
