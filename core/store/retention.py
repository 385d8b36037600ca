"""Queries that find and remove rows whose time is over.

Owns what may be removed: never what is still in progress, and nothing before that which names it. Every query looks
at a bounded run of ids. What another transaction has locked is left alone, so any number of processes may remove at
once. Knows no clock.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, delete, exists, or_, select, tuple_
from sqlalchemy.orm import Session

from core.ids import first_id
from core.store.rows import AttemptRow, DeliveryRow, EventRow, MessageRow, RejectedFactRow, TimelineRow

_message: Table = MessageRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_timeline: Table = TimelineRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_event: Table = EventRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_delivery: Table = DeliveryRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_attempt: Table = AttemptRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_rejected: Table = RejectedFactRow.__table__  # pyright: ignore[reportAttributeAccessIssue]

_unsettled = _message.c.state.in_(("queued", "scheduled", "sending"))
_unfinished = _delivery.c.state.in_(("pending", "paused"))


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """What was over before these times, in milliseconds, may go. `is_rehearsal`: nothing is removed, only counted."""

    messages_ms: int
    deliveries_ms: int
    is_rehearsal: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Up to `count` rows whose keys come after `after`."""

    after: str
    count: int


@dataclass(frozen=True, slots=True)
class Looked:
    """`last`: the highest key of a run, empty if nothing is left behind it. `removed`: rows by table."""

    last: str
    removed: dict[str, int]


def remove_deliveries(session: Session, run: Run, cutoffs: Cutoffs) -> Looked:
    """Remove finished deliveries and their attempts."""
    ids, last = _look(session, _delivery, run, cutoffs.deliveries_ms)
    ids = _chosen(session, _delivery, ids, ~_delivery_stays(cutoffs))
    return Looked(last, _remove(session, {_attempt: _attempt.c.delivery_id, _delivery: None}, ids, cutoffs))


def remove_events(session: Session, run: Run, cutoffs: Cutoffs, last_position: int) -> Looked:
    """Remove published events that no delivery needs.

    The one at `last_position` stays, since the next position follows from it.
    """
    ids, last = _look(session, _event, run, cutoffs.messages_ms)
    published = and_(_event.c.position.is_not(None), _event.c.position < last_position)
    needed = _needed(_delivery.c.event_id == _event.c.id, cutoffs)
    ids = _chosen(session, _event, ids, and_(published, ~needed))
    return Looked(last, _remove(session, {_event: None}, ids, cutoffs))


def remove_messages(session: Session, run: Run, cutoffs: Cutoffs) -> Looked:
    """Remove settled messages to which nothing happened for long, and their timelines."""
    ids, last = _look(session, _message, run, cutoffs.messages_ms)
    happened = (_message.c[name] for name in ("sent_ms", "delivered_ms", "failed_ms"))
    quiet = and_(*(or_(at.is_(None), at < cutoffs.messages_ms) for at in happened))
    needed = _needed(_delivery.c.message_id == _message.c.id, cutoffs)
    ids = _chosen(session, _message, ids, and_(~_unsettled, quiet, ~needed))
    return Looked(last, _remove(session, {_timeline: _timeline.c.message_id, _message: None}, ids, cutoffs))


def remove_rejected_facts(session: Session, run: Run, cutoffs: Cutoffs) -> Looked:
    """Remove facts that were kept aside, which hold what messages hold.

    Their keys do not begin with a time, so young ones are looked at too. Those are few: each has ended a stream.
    """
    if not cutoffs.messages_ms:
        return Looked("", {})
    columns = _rejected.primary_key.columns
    key = tuple_(*columns)
    look = select(*columns, _rejected.c.at_ms).order_by(*columns).limit(run.count)
    rows = session.execute(look.where(key > tuple_(*json.loads(run.after))) if run.after else look).all()
    ids = [tuple(row[:-1]) for row in rows if row.at_ms < cutoffs.messages_ms]
    if ids and not cutoffs.is_rehearsal:
        lock = select(*columns).where(key.in_(ids)).order_by(*columns).with_for_update(skip_locked=True)
        ids = [tuple(row) for row in session.execute(lock)]
        session.connection().execute(delete(_rejected).where(key.in_(ids)))
    last = json.dumps(list(rows[-1][:-1])) if len(rows) == run.count else ""
    return Looked(last, {_rejected.name: len(ids)} if ids else {})


def _look(session: Session, table: Table, run: Run, before_ms: int) -> tuple[Sequence[str], str]:
    """The ids of a run, by the primary key, and the last of them if more may follow."""
    key = table.c.id
    where = (key > run.after, key < first_id(before_ms))
    ids = session.execute(select(key).where(*where).order_by(key).limit(run.count)).scalars().all()
    return ids, ids[-1] if len(ids) == run.count else ""


def _chosen(session: Session, table: Table, ids: Sequence[str], where: ColumnElement[bool]) -> Sequence[str]:
    """Those among `ids` that may go, locked."""
    query: Select[Any] = select(table.c.id).where(table.c.id.in_(ids), where).order_by(table.c.id)
    return session.execute(query.with_for_update(skip_locked=True, of=table)).scalars().all() if ids else ()


def _remove(
    session: Session,
    named_by: dict[Table, ColumnElement[str] | None],
    ids: Sequence[str],
    cutoffs: Cutoffs,
) -> dict[str, int]:
    """Remove rows that go with `ids`, table by table; the column that names them, None: the table's own id."""
    removed: dict[str, int] = {}
    for table, column in named_by.items():
        named = (table.c.id if column is None else column).in_(ids)
        if cutoffs.is_rehearsal:
            removed[table.name] = len(ids) if column is None else 0
        elif ids:
            removed[table.name] = session.connection().execute(delete(table).where(named)).rowcount
    return {name: count for name, count in removed.items() if count}


def _needed(named: ColumnElement[bool], cutoffs: Cutoffs) -> ColumnElement[bool]:
    """Whether a delivery names a row; in a rehearsal, one that would stay."""
    where = and_(named, _delivery_stays(cutoffs)) if cutoffs.is_rehearsal else named
    return exists(select(_delivery.c.id).where(where))


def _delivery_stays(cutoffs: Cutoffs) -> ColumnElement[bool]:
    return or_(
        _unfinished,
        _delivery.c.id >= first_id(cutoffs.deliveries_ms),
        and_(_delivery.c.finished_ms.is_not(None), _delivery.c.finished_ms >= cutoffs.deliveries_ms),
    )
