"""Rows that go in or change together are the rows that were given, whatever their texts and bytes hold."""

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlmodel import col

from core.events import append
from core.store.bulk import insert_rows, update_rows
from core.store.rows import EventRow, TenantRow, TimelineRow
from tests.fakes.database import TENANT_A, memory_session

pytestmark = pytest.mark.usefixtures("database")

TEXTS = [
    "", " ", "plain", "Grüße aus Köln", "日本語", "🇩🇪👩‍👩‍👧", "'; DROP TABLE message; --", '"quoted" \\ back',
    ":name %(name)s %s {} ${x}", "line\nbreak\ttab\r", "\u2028\u2029", "\x01\x1f\x7f", "null", "[1, 2]",
]  # fmt: skip
BODIES = [b"", b"\x00\xff\\x", b'{"a": "\xc3\xa4"}', bytes(range(256))]

event = EventRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
tenant = TenantRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
timeline = TimelineRow.__table__  # pyright: ignore[reportAttributeAccessIssue]


def tenant_row(number: int, name: str) -> dict[str, object]:
    return {"id": f"{number:024}", "name": name, "per_minute": 2**31 - 1, "created_ms": 2**53 + 1 + number}


def tenants(session: Session) -> list[dict[str, object]]:
    query = select(tenant).where(col(TenantRow.id) < TENANT_A).order_by(tenant.c.id)
    return [dict(row) for row in session.execute(query).mappings()]


def test_texts_and_numbers_come_back_as_they_were_given() -> None:
    with memory_session() as session:
        rows = [tenant_row(number, text) for number, text in enumerate(TEXTS)]
        insert_rows(session, tenant, rows)
        assert tenants(session) == rows


def test_bytes_and_missing_values_come_back_as_they_were_given() -> None:
    with memory_session() as session:
        rows = [
            {"id": f"{number:024}", "tenant_id": TENANT_A, "type": "message.sent", "message_id": None,
             "body": body, "created_ms": number}
            for number, body in enumerate(BODIES)
        ]  # fmt: skip
        insert_rows(session, event, rows)
        query = select(*(event.c[name] for name in rows[0])).order_by(event.c.id)
        assert [dict(row) for row in session.execute(query).mappings()] == rows


def test_rows_that_the_database_numbers_keep_the_order_they_were_given_in() -> None:
    with memory_session() as session:
        steps = [{"message_id": "m", "at_ms": 1, "step": str(n), "attributes": "{}"} for n in range(2_000)]
        insert_rows(session, timeline, steps)
        query = select(timeline.c.step).order_by(timeline.c.id)
        assert list(session.execute(query).scalars()) == [step["step"] for step in steps]


def test_no_rows_are_no_fault() -> None:
    with memory_session() as session:
        insert_rows(session, tenant, [])
        assert tenants(session) == []


def test_a_row_that_is_there_already_is_passed_over_only_where_that_is_wanted() -> None:
    with memory_session() as session:
        insert_rows(session, tenant, [tenant_row(1, "first")])
        again = [tenant_row(1, "again"), tenant_row(2, "second")]
        insert_rows(session, tenant, again, pass_over_known=True)
        assert [row["name"] for row in tenants(session)] == ["first", "second"]
        with pytest.raises(IntegrityError):
            insert_rows(session, tenant, [tenant_row(3, "third"), tenant_row(1, "again")])


def test_changed_rows_have_the_values_given_for_each_and_no_other_row_changes() -> None:
    with memory_session() as session:
        rows = [tenant_row(number, f"tenant {number}") for number in range(len(TEXTS) + 1)]
        insert_rows(session, tenant, rows)
        changes = [{"id": row["id"], "name": text} for row, text in zip(rows, TEXTS, strict=False)]
        update_rows(session, tenant, list(reversed(changes)))
        expected = [row | change for row, change in zip(rows, changes, strict=False)]
        assert tenants(session) == [*expected, rows[-1]]


def test_values_can_be_taken_away_and_a_row_that_is_not_there_is_no_fault() -> None:
    with memory_session() as session:
        append(session, [event_row(number) for number in (1, 2)])
        changes = [
            {"id": f"{number:024}", "traceparent": None, "body": b"\x00\xff", "position": 2**53 + 1}
            for number in (2, 3)
        ]
        update_rows(session, event, changes)
        query = select(event.c.traceparent, event.c.body, event.c.position).order_by(event.c.id)
        assert session.execute(query).all() == [("trace", b"{}", None), (None, b"\x00\xff", 2**53 + 1)]


def test_a_row_that_has_a_value_already_keeps_all_of_its_values_where_that_is_wanted() -> None:
    with memory_session() as session:
        append(session, [event_row(number) for number in (1, 2)])
        update_rows(session, event, [{"id": f"{1:024}", "position": 7}])
        changes = [{"id": f"{n:024}", "position": 8 + n, "traceparent": "new"} for n in (1, 2)]
        update_rows(session, event, changes, unset="position")
        query = select(event.c.position, event.c.traceparent).order_by(event.c.id)
        assert session.execute(query).all() == [(7, "trace"), (10, "new")]


def test_no_changes_are_no_fault() -> None:
    with memory_session() as session:
        update_rows(session, tenant, [])
        assert tenants(session) == []


def event_row(number: int) -> dict[str, object]:
    return {"id": f"{number:024}", "tenant_id": TENANT_A, "type": "message.sent", "message_id": None,
            "device_id": None, "body": b"{}", "traceparent": "trace", "created_ms": 1}  # fmt: skip
