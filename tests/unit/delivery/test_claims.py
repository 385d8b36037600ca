"""Claims: who gets which due deliveries, and how they come back."""

from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from core.delivery import claims
from core.delivery.claims import LEASE_EXTRA_MS, Claimed, Want, claim, release
from core.delivery.fanout import fan_out
from core.store import deliveries as queries
from tests.fakes.database import Database, memory_session
from tests.fakes.delivery_rows import (
    DELIVERED,
    INBOUND,
    SENT,
    add_deliveries,
    add_events,
    add_webhook,
    change_webhook,
    delete_webhook,
    deliveries,
)
from tests.fakes.set_clock import START_MS

pytestmark = pytest.mark.usefixtures("database")

NOW_MS = START_MS
LEASE_MS = 10_000 + LEASE_EXTRA_MS


@pytest.fixture
def session() -> Iterator[Session]:
    with memory_session() as session:
        yield session


def claimed_events(claimed: Claimed) -> list[str]:
    return [delivery.event_id for delivery in claimed.deliveries]


def take(
    session: Session,
    *webhook_ids: str,
    now_ms: int = NOW_MS,
    worker: str = "worker",
    first: int = 10,
    again: int = 10,
    held: Sequence[str] = (),
) -> Claimed:
    wants = [Want(webhook_id, first, again) for webhook_id in webhook_ids]
    return claim(session, wants, now_ms, worker=worker, held=held)


def test_a_claim_gives_the_oldest_due_deliveries_and_all_that_sending_needs(session: Session) -> None:
    endpoint = add_webhook(session, url="https://receiver.example/hook?key=1", timeout_s=7, version=3)
    events = add_deliveries(session, NOW_MS, 3)

    got = take(session, endpoint, first=2)

    assert claimed_events(got) == events[:2]
    (row, _, _) = deliveries(session)
    first = got.deliveries[0]
    assert (first.delivery_id, first.attempt, first.replay, first.due_ms) == (row.id, 1, 0, NOW_MS)
    assert (first.event_type, first.message_id) == (DELIVERED, row.message_id)
    assert first.endpoint.url == "https://receiver.example/hook?key=1"
    assert (first.endpoint.timeout_s, first.endpoint.version, first.endpoint.ordered) == (7, 3, False)


def test_a_lease_lasts_for_the_deadline_and_ten_seconds(session: Session) -> None:
    endpoint = add_webhook(session, timeout_s=7)
    add_deliveries(session, NOW_MS)
    take(session, endpoint)
    (row,) = deliveries(session)
    assert (row.lease_token, row.lease_until_ms) == ("worker", NOW_MS + 17_000)
    assert row.due_ms == NOW_MS


def test_what_is_leased_is_given_to_nobody_until_the_lease_ends(session: Session) -> None:
    endpoint = add_webhook(session)
    events = add_deliveries(session, NOW_MS)
    take(session, endpoint)
    assert claimed_events(take(session, endpoint, now_ms=NOW_MS + LEASE_MS - 1, worker="other")) == []
    assert claimed_events(take(session, endpoint, now_ms=NOW_MS + LEASE_MS, worker="other")) == events


def test_a_worker_is_not_given_what_it_holds_whatever_the_clock_says(session: Session) -> None:
    endpoint = add_webhook(session)
    add_deliveries(session, NOW_MS)
    (delivery,) = take(session, endpoint).deliveries
    jumped = take(session, endpoint, now_ms=NOW_MS + 3_600_000, held=[delivery.delivery_id])
    assert claimed_events(jumped) == []


def test_what_is_not_due_yet_is_left(session: Session) -> None:
    endpoint = add_webhook(session)
    add_deliveries(session, NOW_MS + 1)
    assert claimed_events(take(session, endpoint)) == []
    assert len(take(session, endpoint, now_ms=NOW_MS + 1).deliveries) == 1


def test_first_attempts_and_later_ones_are_counted_apart(session: Session) -> None:
    endpoint = add_webhook(session)
    events = add_deliveries(session, NOW_MS, 4)
    session.execute(
        text("UPDATE delivery SET again = true, attempts = 1 WHERE event_id <= :last"), {"last": events[1]}
    )
    assert claimed_events(take(session, endpoint, first=1, again=0)) == [events[2]]
    got = take(session, endpoint, first=0, again=1)
    assert claimed_events(got) == [events[0]]
    assert got.deliveries[0].attempt == 2


def test_each_endpoint_gets_as_many_as_it_wants(session: Session) -> None:
    one, two = add_webhook(session), add_webhook(session)
    add_deliveries(session, NOW_MS, 5)
    got = claim(session, [Want(one, 1, 0), Want(two, 3, 0)], NOW_MS, worker="worker")
    by_endpoint = [delivery.endpoint.webhook_id for delivery in got.deliveries]
    assert (by_endpoint.count(one), by_endpoint.count(two)) == (1, 3)


def test_the_alias_changes_the_bytes_in_the_same_way_each_time(session: Session) -> None:
    endpoint = add_webhook(session, events="message.received")
    add_deliveries(session, NOW_MS, types=(INBOUND,))
    first = take(session, endpoint).deliveries[0]
    second = take(session, endpoint, now_ms=NOW_MS + LEASE_MS).deliveries[0]
    assert first.event_type == "message.received"
    assert first.body.startswith(b'{"event":"message.received",')
    assert first.body == second.body


def test_a_delivery_waits_while_another_worker_has_one_of_the_same_message(session: Session) -> None:
    endpoint = add_webhook(session)
    sent, delivered = add_events(session, NOW_MS, (SENT, DELIVERED))
    fan_out(session, [sent], NOW_MS)
    take(session, endpoint)
    fan_out(session, [delivered], NOW_MS)
    assert claimed_events(take(session, endpoint, worker="other")) == []
    assert claimed_events(take(session, endpoint)) == [delivered.id]


def test_a_message_at_one_endpoint_does_not_hold_it_up_at_another(session: Session) -> None:
    one, two = add_webhook(session), add_webhook(session)
    (event,) = add_events(session, NOW_MS)
    fan_out(session, [event], NOW_MS)
    take(session, one)
    assert claimed_events(take(session, two, worker="other")) == [event.id]


def test_what_is_released_is_due_at_once_in_its_old_place(session: Session) -> None:
    endpoint = add_webhook(session)
    events = add_deliveries(session, NOW_MS, 3)
    (delivery,) = take(session, endpoint, first=1).deliveries
    release(session, [delivery.delivery_id], "worker")
    assert claimed_events(take(session, endpoint, worker="other")) == events
    assert [row.attempts for row in deliveries(session)] == [0, 0, 0]


def test_a_worker_releases_nothing_that_another_has(session: Session) -> None:
    endpoint = add_webhook(session)
    add_deliveries(session, NOW_MS)
    (delivery,) = take(session, endpoint, worker="other").deliveries
    release(session, [delivery.delivery_id], "worker")
    assert [row.lease_token for row in deliveries(session)] == ["other"]


def test_an_ordered_endpoint_gives_a_run_from_its_oldest(session: Session) -> None:
    endpoint = add_webhook(session, ordered=True)
    events = add_deliveries(session, NOW_MS, 3)
    assert claimed_events(take(session, endpoint, first=2, again=2)) == events[:2]
    # The third is free, but what comes before it is not.
    assert claimed_events(take(session, endpoint, worker="other")) == []


def test_after_a_crash_an_ordered_endpoint_begins_with_its_oldest_again(session: Session) -> None:
    endpoint = add_webhook(session, ordered=True)
    events = add_deliveries(session, NOW_MS, 3)
    take(session, endpoint, first=2, again=2)
    assert claimed_events(take(session, endpoint, now_ms=NOW_MS + LEASE_MS, worker="other")) == events


def test_an_ordered_endpoint_mixes_first_attempts_and_replays_by_age(session: Session) -> None:
    endpoint = add_webhook(session, ordered=True)
    events = add_deliveries(session, NOW_MS, 3)
    session.execute(text("UPDATE delivery SET again = true WHERE event_id = :middle"), {"middle": events[1]})
    assert claimed_events(take(session, endpoint)) == events


def test_the_backlog_of_an_endpoint_that_is_off_is_paused_step_by_step(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "BACKLOG_STEP_MAX", 2)
    endpoint = add_webhook(session)
    add_deliveries(session, NOW_MS, 3)
    change_webhook(session, endpoint, enabled=False)

    got = take(session, endpoint)
    assert (got.deliveries, got.closed, got.unfinished) == ([], {endpoint}, {endpoint})
    got = take(session, endpoint)
    assert (got.closed, got.unfinished) == ({endpoint}, set())
    assert [row.state for row in deliveries(session)] == ["paused"] * 3


def test_the_backlog_of_a_deleted_endpoint_is_skipped(session: Session) -> None:
    endpoint = add_webhook(session)
    add_deliveries(session, NOW_MS)
    delete_webhook(session, endpoint)
    assert take(session, endpoint).closed == {endpoint}
    (row,) = deliveries(session)
    assert (row.state, row.finished_ms) == ("skipped", NOW_MS)


def test_deliveries_under_way_are_not_put_away_with_the_backlog(session: Session) -> None:
    endpoint = add_webhook(session)
    add_deliveries(session, NOW_MS, 2)
    take(session, endpoint, first=1)
    change_webhook(session, endpoint, enabled=False)
    take(session, endpoint, worker="other")
    assert [row.state for row in deliveries(session)] == ["pending", "paused"]


def test_the_poll_finds_every_endpoint_with_something_pending_and_when_it_is_due(session: Session) -> None:
    one, two, three = (add_webhook(session) for _ in range(3))
    add_deliveries(session, NOW_MS, 2)
    session.execute(
        text("UPDATE delivery SET again = true, due_ms = due_ms + 5 WHERE webhook_id = :one"), {"one": one}
    )
    session.execute(text("UPDATE delivery SET state = 'dead' WHERE webhook_id = :two"), {"two": two})
    found = {tuple(row) for row in queries.waiting_endpoints(session)}
    assert found == {(one, None, NOW_MS + 5), (three, NOW_MS, None)}


def test_a_backlog_is_stranded_if_its_endpoint_is_on_or_gone(session: Session) -> None:
    on, off, gone, without = (add_webhook(session) for _ in range(4))
    add_deliveries(session, NOW_MS, 2)
    session.execute(
        text("UPDATE delivery SET state = 'paused' WHERE webhook_id <> :without"), {"without": without}
    )
    change_webhook(session, off, enabled=False)
    delete_webhook(session, gone)
    assert queries.stranded_endpoints(session) == sorted([on, gone])


@pytest.mark.parametrize("statement", ["_due_free", "_due", "_pending_free", "_waiting", "_stranded"])
@pytest.mark.parametrize("database", [Database.SQLITE], indirect=True)
def test_what_is_asked_of_one_endpoint_seeks_and_never_scans(session: Session, statement: str) -> None:
    compiled = str(getattr(queries, statement).compile(dialect=session.get_bind().dialect))
    parameters = ("x",) * compiled.count("?")
    plan = [
        row.detail
        for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", parameters)
    ]
    on_tables = [step for step in plan if " delivery" in step or " sibling" in step or " event" in step]
    assert on_tables
    assert all(step.startswith("SEARCH") and "INDEX" in step for step in on_tables), plan
    assert not any("SEARCH sibling USING INDEX delivery_due" in step for step in plan), plan


@pytest.mark.parametrize(
    ("statement", "clause"),
    [
        ("_due_free", "FOR UPDATE OF delivery SKIP LOCKED"),
        ("_due_in_order", "FOR UPDATE OF delivery"),
        ("_keep_from_ordered_claims", "FOR KEY SHARE"),
        ("_lock_free_endpoints", "FOR NO KEY UPDATE SKIP LOCKED"),
        ("_lock_still_endpoints", "FOR UPDATE SKIP LOCKED"),
        ("_lock_unwell_endpoints", "FOR NO KEY UPDATE"),
        ("_lock", "FOR UPDATE"),
    ],
)
def test_rows_are_locked_where_several_may_write(statement: str, clause: str) -> None:
    compiled = str(getattr(queries, statement).compile(dialect=postgresql.dialect()))
    assert compiled.rstrip().endswith(clause)
