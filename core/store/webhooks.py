"""Queries on endpoints and on what was delivered to them, for those who look at them and change them.

The statements of the deliverer's hot paths are in core.store.deliveries.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, Subquery, case, delete, func, select, text, update
from sqlalchemy.orm import Session, aliased
from sqlmodel import col

from core.store.rows import AttemptRow, DeliveryRow, TenantRow, WebhookRow
from core.store.spans import span

_PAUSED = text("delivery.state = 'paused'")
"""Literal on purpose: a planner uses a partial index only for a condition that it can read."""

_NEWEST = (col(DeliveryRow.webhook_id).desc(), col(DeliveryRow.id).desc())
"""First."""


def lock_tenant(session: Session, tenant_id: str) -> TenantRow | None:
    """The tenant, locked, so that what is counted for it stays true until the transaction ends."""
    query = select(TenantRow).where(col(TenantRow.id) == tenant_id).with_for_update()
    return session.execute(query).scalar_one_or_none()


def count_webhooks(session: Session, tenant_id: str) -> int:
    """How many endpoints a tenant has."""
    query = select(func.count()).select_from(WebhookRow).where(col(WebhookRow.tenant_id) == tenant_id)
    return session.execute(query).scalar_one()


def webhooks(session: Session, tenant_id: str) -> Sequence[WebhookRow]:
    """The endpoints of a tenant, oldest first."""
    query = select(WebhookRow).where(col(WebhookRow.tenant_id) == tenant_id).order_by(col(WebhookRow.id))
    return session.execute(query).scalars().all()


def lock_webhook(session: Session, webhook_id: str) -> WebhookRow | None:
    """An endpoint of any tenant, locked, as it is now."""
    query = select(WebhookRow).where(col(WebhookRow.id) == webhook_id).with_for_update(key_share=True)
    return session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()


def delete_webhook(session: Session, webhook_id: str) -> None:
    """Remove an endpoint's row."""
    session.execute(delete(WebhookRow).where(col(WebhookRow.id) == webhook_id))


def move_paused(session: Session, webhook_id: str, *, state: str, now_ms: int, limit: int) -> int:
    """Move up to `limit` paused deliveries, the oldest, to another state; answers how many.

    Those that become pending are due at once, in the order they had.
    """
    oldest = (
        select(col(DeliveryRow.id))
        .where(_PAUSED, col(DeliveryRow.webhook_id) == webhook_id)
        .order_by(col(DeliveryRow.id))
        .limit(limit)
    )
    ids = session.execute(oldest).scalars().all()
    if ids:
        due_ms = col(DeliveryRow.due_ms)
        session.execute(
            update(DeliveryRow)
            .where(col(DeliveryRow.id).in_(ids))
            .values(
                state=state,
                due_ms=case((due_ms > now_ms, now_ms), else_=due_ms),
                finished_ms=None if state == "pending" else now_ms,
            )
            .execution_options(synchronize_session=False)
        )
    return len(ids)


def deliveries(session: Session, webhook_id: str, *, before_id: str, limit: int) -> Sequence[DeliveryRow]:
    """Deliveries of an endpoint, newest first; empty `before_id`: from the newest."""
    query = select(DeliveryRow).where(*_before(webhook_id, before_id))
    return session.execute(query.order_by(*_NEWEST).limit(limit)).scalars().all()


def deliveries_in_state(
    session: Session, webhook_id: str, *, state: str, before_id: str, limit: int, scan_max: int
) -> tuple[Sequence[DeliveryRow], str]:
    """Those in `state` among the newest `scan_max` before `before_id`; and the oldest id looked at.

    That id is empty if none older is left.
    """

    def scan(columns: Select[Any]) -> Subquery:
        return columns.where(*_before(webhook_id, before_id)).order_by(*_NEWEST).limit(scan_max).subquery()

    seen = aliased(DeliveryRow, scan(select(DeliveryRow)))
    newest = (col(seen.webhook_id).desc(), col(seen.id).desc())
    query = select(seen).where(col(seen.state) == state).order_by(*newest).limit(limit)
    rows = session.execute(query).scalars().all()
    ids = scan(select(col(DeliveryRow.id)))
    looked_at, oldest = session.execute(select(func.count(), func.min(ids.c.id)).select_from(ids)).one()
    return rows, oldest if looked_at == scan_max else ""


def _before(webhook_id: str, before_id: str) -> list[ColumnElement[bool]]:
    return span(DeliveryRow.webhook_id, webhook_id, DeliveryRow.id, before=before_id or None)


def lock_delivery(session: Session, delivery_id: str) -> DeliveryRow | None:
    """A delivery of any tenant, locked."""
    query = select(DeliveryRow).where(col(DeliveryRow.id) == delivery_id).with_for_update()
    return session.execute(query).scalar_one_or_none()


def attempts(session: Session, delivery_id: str) -> Sequence[AttemptRow]:
    """The attempts of a delivery, oldest first."""
    query = (
        select(AttemptRow).where(col(AttemptRow.delivery_id) == delivery_id).order_by(col(AttemptRow.number))
    )
    return session.execute(query).scalars().all()
