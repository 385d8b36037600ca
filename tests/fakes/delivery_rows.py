"""Rows that tests of deliveries start from, and a short way to read what became of them.

Owns endpoints and events. Knows the tables and fan-out, none of what delivers.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from core.delivery.fanout import fan_out
from core.delivery.signing import new_secret
from core.events import PublishedEvent
from core.ids import new_id
from core.store.rows import AttemptRow, DeliveryRow, EventRow, WebhookRow
from tests.fakes.database import CREATED_MS, TENANT_A

SENT = "message.sent"
DELIVERED = "message.delivered"
INBOUND = "message.inbound"
EVERYTHING = "message.inbound message.sent message.delivered message.failed webhook.disabled"

_webhook = WebhookRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_event = EventRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_delivery = DeliveryRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_attempt = AttemptRow.__table__  # pyright: ignore[reportAttributeAccessIssue]


def add_webhook(session: Session, **values: Any) -> str:
    """An enabled endpoint of tenant A that wants everything, unless `values` say otherwise; answers its id."""
    row: dict[str, Any] = {
        "id": new_id(CREATED_MS),
        "tenant_id": TENANT_A,
        "url": "https://receiver.example/hook",
        "events": EVERYTHING,
        "description": "",
        "enabled": True,
        "disabled_reason": "",
        "timeout_s": 10,
        "ordered": False,
        "secret": new_secret().encode(),
        "version": 1,
        "created_ms": CREATED_MS,
        "updated_ms": CREATED_MS,
        "failures": 0,
    } | values
    session.connection().execute(insert(_webhook), row)
    return row["id"]


def add_events(
    session: Session, now_ms: int, types: Sequence[str] = (DELIVERED,), **values: Any
) -> list[PublishedEvent]:
    """Events of these types about one new message, as a relay would publish them."""
    message_id = new_id(now_ms)
    rows: list[dict[str, Any]] = [
        {
            "id": new_id(now_ms),
            "tenant_id": TENANT_A,
            "type": event_type,
            "message_id": message_id,
            "device_id": None,
            "body": b'{"event":"%b","timestamp":"2025-10-09T08:53:20Z","data":{"body":"%d"}}'
            % (event_type.encode(), number),
            "created_ms": now_ms,
        }
        | values
        for number, event_type in enumerate(types)
    ]
    session.connection().execute(insert(_event), rows)
    return [
        PublishedEvent(
            row["id"], row["tenant_id"], row["type"], row["message_id"], row["device_id"], row["created_ms"]
        )
        for row in rows
    ]


def add_deliveries(session: Session, now_ms: int, count: int = 1, **values: Any) -> list[str]:
    """`count` events, each about a message of its own, fanned out; answers the events' ids."""
    events = [event for _ in range(count) for event in add_events(session, now_ms, **values)]
    fan_out(session, events, now_ms)
    return [event.id for event in events]


def deliveries(session: Session, **where: Any) -> list[Any]:
    """The deliveries, oldest first, whose columns have these values."""
    query = _delivery.select().filter_by(**where).order_by(_delivery.c.id)
    return list(session.connection().execute(query))


def attempts(session: Session, delivery_id: str) -> list[Any]:
    """The attempts of a delivery in their order."""
    query = _attempt.select().filter_by(delivery_id=delivery_id).order_by(_attempt.c.number)
    return list(session.connection().execute(query))


def webhook(session: Session, webhook_id: str) -> Any:
    """An endpoint's row."""
    return session.connection().execute(_webhook.select().filter_by(id=webhook_id)).one()


def change_webhook(session: Session, webhook_id: str, **values: Any) -> None:
    """Change columns of an endpoint, as its management does."""
    session.connection().execute(_webhook.update().filter_by(id=webhook_id).values(**values))


def delete_webhook(session: Session, webhook_id: str) -> None:
    """Delete an endpoint and nothing else."""
    session.connection().execute(_webhook.delete().filter_by(id=webhook_id))


def events(session: Session, event_type: str) -> list[Any]:
    """The events of a type, oldest first."""
    return list(
        session.connection().execute(_event.select().filter_by(type=event_type).order_by(_event.c.id))
    )
