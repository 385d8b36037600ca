"""The outbox: what a transaction tells is as durable as what it did, and is positioned once."""

import json
from collections.abc import Generator

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core.events import (
    EVENT_TYPES,
    PublishedEvent,
    append,
    lock_unpublished,
    mark_published,
    new_event,
    read_outbox,
)
from core.store.rows import EventRow
from tests.core_fixtures import NOW_MS
from tests.fakes.database import TENANT_A, TENANT_B, memory_session

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def session() -> Generator[Session]:
    with memory_session() as session:
        yield session


def add(session: Session, count: int, tenant_id: str = TENANT_A) -> list[str]:
    rows = [
        new_event("message.sent", tenant_id=tenant_id, at_ms=NOW_MS, data={"n": n}, message_id=f"m{n}")
        for n in range(count)
    ]
    append(session, rows)
    return [row["id"] for row in rows]


def unpublished(session: Session, limit: int) -> list[PublishedEvent]:
    return list(read_outbox(session, frozenset(), limit).events)


def positions(session: Session) -> dict[str, int | None]:
    table = EventRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
    return {row.id: row.position for row in session.execute(select(table.c.id, table.c.position))}


def test_an_event_holds_the_bytes_that_will_be_sent(session: Session) -> None:
    row = new_event(
        "device.online",
        tenant_id=TENANT_A,
        at_ms=NOW_MS,
        data={"deviceId": "d", "name": "Büro"},
        device_id="d",
        traceparent="00-ab",
    )
    append(session, [row])
    stored = session.get_one(EventRow, row["id"])
    assert (
        stored.body
        == (
            '{"event":"device.online","timestamp":"2025-10-09T08:53:20Z","data":{"deviceId":"d","name":"Büro"}}'
        ).encode()
    )
    assert (stored.device_id, stored.message_id, stored.traceparent, stored.position) == (
        "d",
        None,
        "00-ab",
        None,
    )
    assert json.loads(stored.body)["event"] in EVENT_TYPES


def test_appending_nothing_is_nothing(session: Session) -> None:
    append(session, [])
    assert unpublished(session, 10) == []


def test_the_outbox_gives_its_oldest_first(session: Session) -> None:
    ids = add(session, 5)
    found = unpublished(session, 3)
    assert [event.id for event in found] == ids[:3]
    assert (found[0].tenant_id, found[0].type, found[0].message_id, found[0].created_ms) == (
        TENANT_A,
        "message.sent",
        "m0",
        NOW_MS,
    )


def test_publishing_numbers_events_on_from_the_last(session: Session) -> None:
    first = add(session, 3)
    assert mark_published(session, first) == 3
    second = add(session, 2, TENANT_B)
    assert [event.id for event in unpublished(session, 10)] == second
    assert mark_published(session, second) == 5
    assert positions(session) == dict(zip(first + second, range(1, 6), strict=True))
    assert unpublished(session, 10) == []


def test_positions_are_in_the_order_given_even_if_that_is_not_the_order_of_ids(session: Session) -> None:
    late, early = reversed(add(session, 2))
    mark_published(session, [late])
    mark_published(session, [early])
    assert positions(session) == {late: 1, early: 2}


def test_an_event_keeps_the_position_it_has(session: Session) -> None:
    ids = add(session, 2)
    mark_published(session, ids)
    mark_published(session, [*reversed(ids), *add(session, 1)])
    given = positions(session)
    assert [given[each] for each in ids] == [1, 2]
    assert len(set(given.values())) == 3


def test_publishing_nothing_answers_the_last_position(session: Session) -> None:
    assert mark_published(session, []) == 0
    mark_published(session, add(session, 4))
    assert mark_published(session, []) == 4


def test_no_two_events_have_one_position(session: Session) -> None:
    first, second = add(session, 2)
    mark_published(session, [first])
    with pytest.raises(IntegrityError):
        session.execute(EventRow.__table__.update().where(EventRow.id == second).values(position=1))  # pyright: ignore[reportAttributeAccessIssue]


def test_the_outbox_leaves_out_what_is_under_way_and_says_which_of_that_still_waits(session: Session) -> None:
    ids = add(session, 6)
    under_way = frozenset([ids[0], ids[1], ids[5]])
    mark_published(session, [ids[1]])
    found = read_outbox(session, under_way, 2)
    assert [event.id for event in found.events] == [ids[2], ids[3]]
    assert found.waiting == {ids[0], ids[5]}


def test_what_was_not_looked_at_counts_as_waiting(session: Session) -> None:
    ids = add(session, 6)
    found = read_outbox(session, frozenset([ids[5]]), 1)
    assert ([event.id for event in found.events], found.waiting) == ([ids[0]], {ids[5]})


def test_without_room_the_outbox_only_says_what_waits(session: Session) -> None:
    ids = add(session, 3)
    mark_published(session, [ids[0]])
    found = read_outbox(session, frozenset(ids[:2]), 0)
    assert (found.events, found.waiting) == ([], {ids[1]})


def test_of_events_to_publish_those_remain_that_exist_and_have_no_position_each_once(
    session: Session,
) -> None:
    ids = add(session, 4)
    mark_published(session, [ids[2]])
    asked = [ids[3], "unknown", ids[0], ids[2], ids[3]]
    assert [event.id for event in lock_unpublished(session, asked)] == [ids[3], ids[0]]
