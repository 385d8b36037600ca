"""Endpoints and deliveries in a database, as tests of them need them."""

from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from core import events, webhooks
from core.delivery.claims import Want, claim
from core.ids import new_id
from core.store.rows import DeliveryRow, WebhookRow
from core.vault import Vault
from core.webhooks import NewWebhook
from tests.fakes.database import TENANT_A
from tests.fakes.set_clock import START_MS

NOW_MS = START_MS
LATER_MS = NOW_MS + 60_000
VAULT = Vault({"00000001": bytes(32)})
PLAIN = NewWebhook(
    TENANT_A, url="https://example.com/hook?a=1", events=(), timeout_s=10, ordered=False, description=""
)


def make(session: Session, **changes: Any) -> WebhookRow:
    """An endpoint of tenant A that wants everything, but for `changes`."""
    return webhooks.create_webhook(session, replace(PLAIN, **changes), VAULT, NOW_MS)[0]


def deliver(session: Session, webhook: WebhookRow, **values: Any) -> DeliveryRow:
    """A delivery to an endpoint, of an event that exists; pending and due but for `values`."""
    event = events.new_event("message.sent", tenant_id=webhook.tenant_id, at_ms=NOW_MS, data={})
    events.append(session, [event])
    fields: dict[str, Any] = {
        "id": new_id(NOW_MS),
        "tenant_id": webhook.tenant_id,
        "webhook_id": webhook.id,
        "event_id": event["id"],
        "event_type": "message.sent",
        "state": "pending",
        "due_ms": NOW_MS,
        "created_ms": NOW_MS,
    }
    row = DeliveryRow(**fields | values)
    session.add(row)
    session.flush()
    return row


def claimed(session: Session, webhook: WebhookRow) -> list[str]:
    """What a worker gets at LATER_MS, in order."""
    found = claim(session, [Want(webhook.id, 100, 100)], LATER_MS, worker="worker")
    return [delivery.delivery_id for delivery in found.deliveries]
