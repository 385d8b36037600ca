"""What is old and over goes, and nothing else; whatever the order of steps, and wherever they end."""

import itertools
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from core import event_feed, events, retention
from core.delivery.claims import Want, claim
from core.delivery_log import get_delivery
from core.event_feed import FeedRequest
from core.ids import command_id, first_id
from core.message_state import Evidence
from core.messages import Accepted, accept, get
from core.retention import DAY_MS, STEPS, Retention
from core.store.rows import DELIVERY_STATES, MESSAGE_STATES, SCHEMA
from tests.core_fixtures import TTL_MS, apply, claimed_command, connect, new_message, report, settle
from tests.fakes.database import TENANT_A, memory_session
from tests.fakes.delivery_rows import add_webhook
from tests.fakes.set_clock import START_MS

pytestmark = pytest.mark.usefixtures("database")

NOW_MS = START_MS + 400 * DAY_MS
KEEP = Retention(days=90, delivery_days=30)
LIVE = {"queued", "scheduled", "sending"}
WAITING = {"pending", "paused"}
TABLES = {
    name: SCHEMA.tables[name]
    for name in ("message", "timeline", "event", "delivery", "delivery_attempt", "rejected_fact")
}


@pytest.fixture
def session() -> Generator[Session]:
    with memory_session() as session:
        yield session


@dataclass(frozen=True)
class Past:
    """A message, its event and the event's delivery, some days ago."""

    days: int
    state: str = "delivered"
    settled_days: int | None = None
    is_published: bool = True
    delivery: str | None = "delivered"
    finished_days: int | None = None


_numbers = itertools.count()


def an_id(at_ms: int) -> str:
    """An id of a moment that may be before those of others: a source of ids would never go back."""
    return f"{first_id(at_ms)[:12]}{next(_numbers):012x}"


def put(session: Session, past: Past, position: int | None = None) -> dict[str, str]:
    """Insert one past; answers its ids by table."""
    at_ms = NOW_MS - past.days * DAY_MS
    settled_ms = at_ms if past.settled_days is None else NOW_MS - past.settled_days * DAY_MS
    finished_ms = at_ms if past.finished_days is None else NOW_MS - past.finished_days * DAY_MS
    message_id, event_id, delivery_id = (an_id(at_ms) for _ in range(3))
    message = {
        "id": message_id, "tenant_id": TENANT_A, "direction": "outbound", "channel": "sms", "device_id": "d",
        "source": "+1", "destination": "+2", "body": "x", "external_id": message_id, "state": past.state,
        "encoding": "gsm7", "segments": 1, "not_after_ms": at_ms, "created_ms": at_ms,
        "segments_delivered": 0, "attempt": 0, "events": 1,
        "sent_ms": None if past.state in LIVE else settled_ms,
    }  # fmt: skip
    rows: list[tuple[str, dict[str, Any]]] = [
        ("message", message),
        ("timeline", {"message_id": message_id, "at_ms": at_ms, "step": "claimed", "attributes": "{}"}),
        (
            "event",
            {
                "id": event_id, "tenant_id": TENANT_A, "type": "message.sent", "message_id": message_id,
                "body": b"{}", "created_ms": at_ms, "position": position if past.is_published else None,
            },
        ),
    ]  # fmt: skip
    if past.delivery:
        delivery = {
            "id": delivery_id, "tenant_id": TENANT_A, "webhook_id": "w", "event_id": event_id,
            "event_type": "message.sent", "message_id": message_id, "replay": 0, "state": past.delivery,
            "attempts": 1, "again": False, "due_ms": at_ms, "created_ms": at_ms,
            "finished_ms": None if past.delivery in WAITING else finished_ms,
        }  # fmt: skip
        attempt = {
            "delivery_id": delivery_id, "number": 1, "at_ms": at_ms, "status": 200, "error": "",
            "duration_ms": 1, "response": "",
        }  # fmt: skip
        rows += [("delivery", delivery), ("delivery_attempt", attempt)]
    for table, values in rows:
        session.connection().execute(insert(TABLES[table]), values)
    return {"message": message_id, "event": event_id, "delivery": delivery_id}


def put_all(session: Session, pasts: list[Past]) -> list[dict[str, str]]:
    """Insert pasts; the newest position belongs to none of them."""
    made = [put(session, past, position) for position, past in enumerate(pasts, 1)]
    put(session, Past(0, delivery=None), len(pasts) + 1)
    return made


def age(session: Session, message_id: str, **changes: Any) -> str:
    """Give a message the id of one that is long over; answers that."""
    old = an_id(NOW_MS - 91 * DAY_MS)
    table = TABLES["message"]
    session.execute(table.update().where(table.c.id == message_id).values(id=old, **changes))
    steps = TABLES["timeline"]
    session.execute(steps.update().where(steps.c.message_id == message_id).values(message_id=old))
    return old


def prune(session: Session, keep: Retention = KEEP, *, is_rehearsal: bool = False) -> dict[str, int]:
    """Take every step until nothing is left to look at."""
    cutoffs = keep.cutoffs(NOW_MS, is_rehearsal=is_rehearsal)
    removed: dict[str, int] = {}
    for step in STEPS:
        after = ""
        while True:
            looked = step(session, after, cutoffs)
            for table, count in looked.removed.items():
                removed[table] = removed.get(table, 0) + count
            if not (after := looked.last):
                break
    return removed


def count(session: Session, table: str) -> int:
    return session.execute(select(func.count()).select_from(TABLES[table])).scalar_one()


def ids(session: Session, table: str) -> set[str]:
    return set(session.execute(select(TABLES[table].c.id)).scalars())


def test_what_is_old_and_over_goes_with_all_that_belongs_to_it(session: Session) -> None:
    old, new = put_all(session, [Past(91), Past(89)])
    assert prune(session) == {"delivery_attempt": 2, "delivery": 2, "event": 1, "timeline": 1, "message": 1}
    assert old["message"] not in ids(session, "message")
    assert {new["message"], new["event"]} <= ids(session, "message") | ids(session, "event")
    assert prune(session) == {}


@pytest.mark.parametrize(
    ("past", "kept"),
    [
        *((Past(400, state=state, delivery=None), {"message"}) for state in sorted(LIVE)),
        (Past(400, settled_days=89, delivery=None), {"message"}),
        (Past(400, is_published=False, delivery=None), {"event"}),
        *((Past(400, delivery=state), {"message", "event", "delivery"}) for state in sorted(WAITING)),
        (Past(400, finished_days=29), {"message", "event", "delivery"}),
    ],
)
def test_what_is_in_progress_or_new_stays(session: Session, past: Past, kept: set[str]) -> None:
    (made,) = put_all(session, [past])
    prune(session)
    assert {table for table, key in made.items() if key in ids(session, table)} == kept
    assert count(session, "timeline") == 1 + ("message" in kept)
    assert count(session, "delivery_attempt") == ("delivery" in kept)


pasts = st.builds(
    Past,
    days=st.sampled_from([0, 29, 31, 89, 91, 300]),
    state=st.sampled_from(MESSAGE_STATES),
    settled_days=st.sampled_from([None, 0, 89, 91]),
    is_published=st.booleans(),
    delivery=st.sampled_from([None, *DELIVERY_STATES]),
    finished_days=st.sampled_from([None, 0, 29, 31, 91]),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(pasts, max_size=12),
    st.integers(1, 4),
    st.lists(st.integers(0, len(STEPS) - 1), max_size=12),
    st.builds(Retention, st.sampled_from([0, 1, 30, 90]), st.sampled_from([0, 1, 30, 90])),
)
def test_whatever_the_steps_nothing_live_goes_and_nothing_is_orphaned(
    history: list[Past], look_max: int, order: list[int], keep: Retention
) -> None:
    with pytest.MonkeyPatch.context() as patch, memory_session() as session:
        patch.setattr(retention, "LOOK_MAX", look_max)
        made = put_all(session, history)
        after = ["" for _ in STEPS]
        for number in order:  # as several processes do, each of which may die after any step
            after[number] = STEPS[number](session, after[number], keep.cutoffs(NOW_MS)).last
            check_whole(session, history, made, keep)
        prune(session, keep)
        check_whole(session, history, made, keep)
        assert prune(session, keep) == {}


def check_whole(session: Session, history: list[Past], made: list[dict[str, str]], keep: Retention) -> None:
    """Fail if something is gone that had to stay, or left that names what is gone."""
    messages, published, sent = (ids(session, table) for table in ("message", "event", "delivery"))
    for past, own in zip(history, made, strict=True):
        is_young = not keep.days or past.days < keep.days
        settled_days = past.days if past.settled_days is None else past.settled_days
        if is_young or past.state in LIVE or settled_days < keep.days:
            assert own["message"] in messages
        if is_young or not past.is_published:
            assert own["event"] in published
        if past.delivery in WAITING:
            assert {own["event"], own["delivery"], own["message"]} <= published | sent | messages
    tables = TABLES
    attempts = set(session.execute(select(tables["delivery_attempt"].c.delivery_id)).scalars())
    steps = set(session.execute(select(tables["timeline"].c.message_id)).scalars())
    named = session.execute(select(tables["delivery"].c.event_id, tables["delivery"].c.message_id)).all()
    assert attempts == sent
    assert steps == messages
    assert {row.event_id for row in named} <= published
    assert {row.message_id for row in named} <= messages


def test_a_rehearsal_counts_and_removes_nothing(session: Session) -> None:
    put_all(session, [Past(91), Past(31), Past(5), Past(400, delivery="pending")])
    before = {table: count(session, table) for table in TABLES}
    assert prune(session, is_rehearsal=True) == {"delivery": 2, "event": 1, "message": 1}
    assert {table: count(session, table) for table in TABLES} == before
    removed = prune(session)
    assert {table: removed[table] for table in ("delivery", "event", "message")} == {
        "delivery": 2, "event": 1, "message": 1,
    }  # fmt: skip


def put_rejected(session: Session, days: int, count: int, driver_id: str) -> None:
    """Facts that were kept aside together, some days ago."""
    at_ms = NOW_MS - days * DAY_MS
    rows = [
        {
            "driver_id": driver_id, "journal_id": "journal", "sequence": sequence, "at_ms": at_ms,
            "reason": "UNKNOWN_DEVICE", "fact": "{}",
        }
        for sequence in range(count)
    ]  # fmt: skip
    session.execute(insert(TABLES["rejected_fact"]), rows)


def test_facts_that_were_kept_aside_go_when_messages_of_their_age_do(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LOOK_MAX", 2)
    put_rejected(session, 91, 5, "old")
    put_rejected(session, 89, 5, "new")
    put_rejected(session, 400, 1, "older")
    assert prune(session, Retention(0, 30)) == {}
    assert prune(session, is_rehearsal=True) == {"rejected_fact": 6}
    assert prune(session) == {"rejected_fact": 6}
    drivers = session.execute(select(TABLES["rejected_fact"].c.driver_id).distinct()).scalars().all()
    assert (drivers, count(session, "rejected_fact")) == (["new"], 5)


def test_a_step_looks_at_a_bounded_number_of_rows_and_the_next_goes_on(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "LOOK_MAX", 2)
    put_all(session, [Past(400, state="queued", delivery=None)] * 2 + [Past(400, delivery=None)] * 3)
    cutoffs, after, removed = KEEP.cutoffs(NOW_MS), "", []
    for _ in range(3):
        looked = STEPS[2](session, after, cutoffs)
        removed.append(looked.removed.get("message", 0))
        after = looked.last
    assert removed == [0, 2, 1]
    assert after == ""


def test_positions_go_on_when_every_event_is_old(session: Session) -> None:
    made = [put(session, Past(300, delivery=None), position) for position in (1, 2, 3)]
    prune(session)
    assert ids(session, "event") == {made[-1]["event"]}
    fresh = events.new_event("message.sent", tenant_id=TENANT_A, at_ms=NOW_MS, data={})
    events.append(session, [fresh])
    assert events.mark_published(session, [fresh["id"]]) == 4
    rows, position = event_feed.read_feed(session, TENANT_A, FeedRequest(2, [], 10))
    assert ([row.id for row in rows], position) == ([made[-1]["event"], fresh["id"]], 4)


def test_a_removed_message_is_not_found_and_its_external_id_is_free(session: Session) -> None:
    connect(session)
    new = new_message(external_id="order-7")
    (first,) = accept(session, [new], NOW_MS - 91 * DAY_MS, TTL_MS)
    assert isinstance(first, Accepted)
    old = age(session, first.message_id, state="expired")
    prune(session)
    with pytest.raises(Exception, match="no such message"):
        get(session, TENANT_A, old)
    (second,) = accept(session, [new], NOW_MS, TTL_MS)
    assert isinstance(second, Accepted)
    assert second.created


def test_a_late_report_on_a_removed_message_is_acknowledged_and_changes_nothing(session: Session) -> None:
    opened = connect(session)
    command = claimed_command(session, opened)
    settle(session, opened, command, Evidence.SUBMITTED)
    message_id = age(session, command.message_id, sent_ms=1)
    assert prune(session)["message"] == 1
    applied = apply(session, opened, report(2, command_id(message_id, 1), Evidence.DELIVERED), now_ms=NOW_MS)
    assert (applied.acknowledged, applied.rejected) == (2, [])


def test_a_delivery_that_was_removed_is_not_found(session: Session) -> None:
    (made,) = put_all(session, [Past(31)])
    prune(session)
    with pytest.raises(Exception, match="no such delivery"):
        get_delivery(session, TENANT_A, made["delivery"])


def test_a_delivery_whose_event_is_gone_is_skipped_and_those_behind_it_are_not(session: Session) -> None:
    webhook_id = add_webhook(session)
    lost, found = put_all(session, [Past(31, delivery="pending"), Past(31, delivery="pending")])
    session.execute(TABLES["delivery"].update().values(webhook_id=webhook_id))
    session.execute(TABLES["event"].delete().where(TABLES["event"].c.id == lost["event"]))
    claimed = claim(session, [Want(webhook_id, first=1, again=0)], NOW_MS, worker="w1")
    assert (claimed.deliveries, claimed.unfinished) == ([], {webhook_id})
    claimed = claim(session, [Want(webhook_id, first=1, again=0)], NOW_MS, worker="w1")
    assert [each.delivery_id for each in claimed.deliveries] == [found["delivery"]]
    row, _ = get_delivery(session, TENANT_A, lost["delivery"])
    assert (row.state, row.finished_ms) == ("skipped", NOW_MS)


def test_zero_days_keep_for_ever(session: Session) -> None:
    put_all(session, [Past(9_999)])
    assert Retention(0, 0).is_for_ever
    assert prune(session, Retention(0, 0)) == {}
    assert prune(session, Retention(0, 30)) == {"delivery_attempt": 1, "delivery": 1}
