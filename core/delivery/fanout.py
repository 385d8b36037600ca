"""From published events to deliveries: one row for each endpoint that wants the event.

Owns which endpoints that are. Knows no HTTP, and of the event log only what it says about an event.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from core.delivery.subscriptions import names_by_type
from core.events import PublishedEvent
from core.ids import new_id
from core.store import deliveries as queries


def fan_out(session: Session, events: Sequence[PublishedEvent], now_ms: int) -> dict[str, bool]:
    """Record a delivery of each event for each endpoint of its tenant that wants it.

    Answers these endpoints, and whether each is switched on: one that is off gets its deliveries paused. It may be
    switched meanwhile. What is due then though it is off is put away by the next claim; what is paused though it is
    on is looked for after the commit (core.delivery.backlogs). Idempotent: an event that was seen before makes no
    second delivery, though its endpoints are answered again.
    """
    endpoints = queries.endpoints_of_tenants(session, {event.tenant_id for event in events})
    if not endpoints:
        return {}
    rows: list[dict[str, Any]] = []
    found: dict[str, bool] = {}
    for event in events:
        for endpoint in endpoints.get(event.tenant_id, ()):
            name = names_by_type(endpoint.events).get(event.type)
            if name is None:
                continue
            rows.append(_delivery(event, endpoint.id, name=name, enabled=endpoint.enabled, now_ms=now_ms))
            found[endpoint.id] = endpoint.enabled
    queries.insert_new(session, rows)
    return found


def _delivery(
    event: PublishedEvent, webhook_id: str, *, name: str, enabled: bool, now_ms: int
) -> dict[str, Any]:
    return {
        "id": new_id(now_ms),
        "tenant_id": event.tenant_id,
        "webhook_id": webhook_id,
        "event_id": event.id,
        "event_type": name,
        "message_id": event.message_id,
        "replay": 0,
        "state": "pending" if enabled else "paused",
        "attempts": 0,
        "again": False,
        # Due since it happened, so that the age of what is due counts from there.
        "due_ms": event.created_ms,
        "created_ms": now_ms,
    }
