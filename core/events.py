"""Events: appended in the caller's transaction, published by the relay afterwards.

Owns the event types and the outbox. Knows nothing of webhooks, brokers or transport.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from core.ids import new_id
from core.payloads import render
from core.store.rows import EventRow

EVENT_TYPES = (
    "message.inbound", "message.sent", "message.delivered", "message.failed",
    "device.online", "device.offline", "device.attention", "webhook.disabled",
)  # fmt: skip
"""What a tenant can subscribe to."""

_event = EventRow.__table__  # pyright: ignore[reportAttributeAccessIssue]

_insert = insert(_event)
_publish = (
    update(_event)
    .where(_event.c.id == bindparam("event_id"), _event.c.position.is_(None))
    .values(position=bindparam("new_position"))
)
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
    if events:
        session.execute(_insert, list(events))


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


def unpublished(session: Session, limit: int) -> list[PublishedEvent]:
    """Up to `limit` events that the relay has yet to publish, oldest first."""
    query = select(*_carried).where(_event.c.position.is_(None)).order_by(_event.c.id).limit(limit)
    return [PublishedEvent(*row) for row in session.execute(query)]


def mark_published(session: Session, event_ids: Sequence[str]) -> int:
    """Give events their positions in the feed, in the order given; answers the last position.

    One relay at a time calls this. An event that has a position keeps it.
    """
    last = session.execute(_last_position).scalar_one()
    changes = [{"event_id": event_id, "new_position": last + n} for n, event_id in enumerate(event_ids, 1)]
    if changes:
        session.connection().execute(_publish, changes)
    return last + len(changes)
