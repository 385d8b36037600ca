"""Events: appended in the caller's transaction, published by the relay afterwards.

Owns the event types and the outbox. Knows nothing of webhooks, brokers or transport.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, select, text
from sqlalchemy.orm import Session

from core.ids import new_id
from core.payloads import render
from core.store.bulk import insert_rows, update_rows
from core.store.rows import EventRow

EVENT_TYPES = (
    "message.inbound", "message.sent", "message.delivered", "message.failed", "message.read",
    "device.online", "device.offline", "device.attention", "webhook.disabled",
)  # fmt: skip
"""What a tenant can subscribe to."""

EVENT_TYPES_BY_DEFAULT = tuple(each for each in EVENT_TYPES if each != "message.read")
"""What an endpoint gets that names none: reading is told only to those who ask for it."""

_event = EventRow.__table__  # pyright: ignore[reportAttributeAccessIssue]

_last_position = select(func.coalesce(func.max(_event.c.position), 0)).where(_event.c.position.is_not(None))


def new_event(
    event_type: str,
    *,
    tenant_id: str,
    at_ms: int,
    data: dict[str, Any],
    message_id: str | None = None,
    device_id: str | None = None,
    traceparent: str | None = None,
) -> dict[str, Any]:
    """An event's row, its body rendered, ready for `append`."""
    return {
        "id": new_id(at_ms),
        "tenant_id": tenant_id,
        "type": event_type,
        "message_id": message_id,
        "device_id": device_id,
        "body": render(event_type, at_ms, data),
        "traceparent": traceparent,
        "created_ms": at_ms,
    }


def append(session: Session, events: Sequence[dict[str, Any]]) -> None:
    """Record events; they are as durable as the change that they tell of."""
    insert_rows(session, _event, events)


@dataclass(frozen=True, slots=True)
class PublishedEvent:
    """What a log carries of an event; its body stays in the database."""

    id: str
    tenant_id: str
    type: str
    message_id: str | None
    device_id: str | None
    created_ms: int


_carried = [_event.c[name] for name in ("id", "tenant_id", "type", "message_id", "device_id", "created_ms")]
_waiting_ids = (
    select(_event.c.id).where(_event.c.position.is_(None)).order_by(_event.c.id).limit(bindparam("count"))
)
_named = _event.c.id.in_(bindparam("ids", expanding=True))
_of_ids = select(*_carried).where(_named).order_by(_event.c.id)
_ids_of_ids = select(_event.c.id).where(_named)
_unpublished_of_ids = _of_ids.where(_event.c.position.is_(None)).with_for_update()

POSITIONS_LOCK = 0x1F11
"""PostgreSQL's advisory lock on the end of the feed; any number that nothing else in the database uses."""

_lock_positions = text("SELECT pg_advisory_xact_lock(:lock)").bindparams(lock=POSITIONS_LOCK)


@dataclass(frozen=True, slots=True)
class Outbox:
    """What has no position yet: which of the events under way, and the oldest others."""

    waiting: frozenset[str]
    events: Sequence[PublishedEvent]


def read_outbox(session: Session, under_way: frozenset[str], limit: int) -> Outbox:
    """Which of the events `under_way` have no position yet, and up to `limit` others that have none, oldest first.

    Reads ids from the index of such events only, so that many under way cost little.
    """
    count = len(under_way) + limit
    found = session.execute(_waiting_ids, {"count": count}).scalars().all()
    waiting = under_way.intersection(found)
    if found and len(found) == count:  # what lies behind the last one was not looked at
        waiting |= {each for each in under_way if each > found[-1]}
    new = [each for each in found if each not in under_way][:limit]
    return Outbox(waiting, _read(session, _of_ids, new))


def _read(session: Session, query: Any, ids: Sequence[str]) -> list[PublishedEvent]:
    return [PublishedEvent(*row) for row in session.execute(query, {"ids": ids})] if ids else []


def lock_unpublished(session: Session, event_ids: Sequence[str]) -> list[PublishedEvent]:
    """Those of the events that have no position, in the order given, each once; nobody else publishes them now."""
    found = {event.id: event for event in _read(session, _unpublished_of_ids, event_ids)}
    return [found.pop(each) for each in event_ids if each in found]


def known(session: Session, event_ids: Sequence[str]) -> set[str]:
    """Which of the events this database holds."""
    return set(session.execute(_ids_of_ids, {"ids": event_ids}).scalars())


def last_position(session: Session) -> int:
    """The highest position given so far; 0 before the first. Its event is never removed."""
    return session.execute(_last_position).scalar_one()


def mark_published(session: Session, event_ids: Sequence[str]) -> int:
    """Give events their positions in the feed, in the order given; answers the last position.

    Last in its transaction: who else does it waits until this one is committed, so that no position becomes visible
    before a smaller one. An event that has a position keeps it.
    """
    if session.connection().dialect.name == "postgresql":  # SQLite has one writer anyway
        session.execute(_lock_positions)
    last = last_position(session)
    changes = [{"id": event_id, "position": last + n} for n, event_id in enumerate(event_ids, 1)]
    update_rows(session, _event, changes, unset="position")
    return last + len(changes)
