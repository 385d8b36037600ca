"""Use cases on deliveries: look at them, have one made again.

Owns what a tenant may ask of its deliveries. Knows neither proto nor transport nor how a delivery is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from core.errors import NotFound
from core.store import webhooks as queries
from core.store.rows import AttemptRow, DeliveryRow, WebhookRow
from core.webhooks import get_webhook

SCAN_MAX = 10_000
"""Deliveries that one call looks at when only one state is wanted; bounds how long it takes."""


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries of an endpoint; empty `state`: all, empty `before_id`: from the newest."""

    webhook_id: str
    state: str
    before_id: str


def list_deliveries(
    session: Session, tenant_id: str, wanted: DeliveryFilter, limit: int
) -> tuple[Sequence[DeliveryRow], str]:
    """Up to `limit` deliveries of one endpoint, newest first, and the id before which to go on; empty at the
    end.

    Where few are in the wanted state, an answer may hold none and still a place to go on from. Raises
    NotFound.
    """
    webhook_id, before_id = get_webhook(session, tenant_id, wanted.webhook_id).id, wanted.before_id
    if not wanted.state:
        rows = queries.deliveries(session, webhook_id, before_id=before_id, limit=limit + 1)
        looked_at = ""
    else:
        rows, looked_at = queries.deliveries_in_state(
            session,
            webhook_id,
            state=wanted.state,
            before_id=before_id,
            limit=limit + 1,
            scan_max=SCAN_MAX,
        )
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else looked_at


def get_delivery(
    session: Session, tenant_id: str, delivery_id: str
) -> tuple[DeliveryRow, Sequence[AttemptRow]]:
    """One delivery and its attempts, oldest first. Raises NotFound."""
    row = _own(session.get(DeliveryRow, delivery_id), tenant_id)
    return row, queries.attempts(session, row.id)


def redeliver(session: Session, tenant_id: str, delivery_id: str, now_ms: int) -> DeliveryRow:
    """Make a delivery due now, whatever its state: the same event id and bytes. Raises NotFound.

    Attempts made so far count, so one that fails again follows the schedule from there. While its endpoint is
    switched off it is paused. One that is being delivered at this moment is left alone.
    """
    row = _own(queries.lock_delivery(session, delivery_id), tenant_id)
    webhook = session.get(WebhookRow, row.webhook_id)
    if webhook is None:
        raise NotFound("The endpoint of this delivery was removed.")
    if row.state == "pending" and row.lease_token is not None and (row.lease_until_ms or 0) > now_ms:
        return row
    waits_in_order = webhook.ordered and row.state == "pending"
    if not waits_in_order:  # else it keeps its place
        row.again = row.again or row.attempts > 0
        row.due_ms = now_ms
    row.state = "pending" if webhook.enabled else "paused"
    row.lease_until_ms = row.lease_token = row.finished_ms = None
    session.add(row)
    return row


def _own(row: DeliveryRow | None, tenant_id: str) -> DeliveryRow:
    if row is None or row.tenant_id != tenant_id:
        raise NotFound("There is no such delivery.")
    return row
