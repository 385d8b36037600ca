"""Queries on deliveries, their attempts and the endpoints they go to.

Owns the statements of the hot paths and how they use the indexes: whatever is asked of one endpoint seeks to its
rows and never walks another's backlog. Statements are built once, since building one costs more than running it.
Knows no rules.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Row, bindparam, exists, func, or_, select, text, update
from sqlalchemy.orm import Session

from core.store.bulk import insert_rows
from core.store.rows import AttemptRow, DeliveryRow, EventRow, WebhookRow

delivery = DeliveryRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
attempt = AttemptRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
webhook = WebhookRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_event = EventRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_sibling = delivery.alias("sibling")

PENDING = text("delivery.state = 'pending'")
"""Literal on purpose: a planner uses a partial index only for a condition that it can read."""

AnyRow: TypeAlias = Row[*tuple[Any, ...]]

_claimable: list[Any] = [
    delivery.c.id,
    delivery.c.webhook_id,
    delivery.c.event_id,
    delivery.c.event_type,
    delivery.c.message_id,
    delivery.c.replay,
    delivery.c.attempts,
    delivery.c.due_ms,
    delivery.c.lease_until_ms,
    _event.c.body,
    _event.c.traceparent,
]
_due = (
    select(*_claimable)
    .outerjoin(_event, _event.c.id == delivery.c.event_id)
    .where(
        PENDING,
        delivery.c.webhook_id == bindparam("endpoint"),
        delivery.c.again == bindparam("is_again"),
        delivery.c.due_ms <= bindparam("now"),
    )
    .order_by(delivery.c.due_ms, delivery.c.id)
    .limit(bindparam("count"))
)
_due_in_order = _due.with_for_update(of=delivery)
"""One that is just changed is waited for, not passed over: what stands behind it must not come before it."""
_free = or_(delivery.c.lease_until_ms.is_(None), delivery.c.lease_until_ms <= bindparam("now"))
_sibling_elsewhere = exists(
    select(_sibling.c.id)
    .where(
        _sibling.c.message_id == delivery.c.message_id,
        func.coalesce(_sibling.c.webhook_id, "") == delivery.c.webhook_id,
        func.coalesce(_sibling.c.state, "") == "pending",
        _sibling.c.lease_until_ms > bindparam("now"),
        _sibling.c.lease_token != bindparam("worker"),
    )
    # This and what is wrapped have the planner seek each message, and walk neither a backlog nor the table: its
    # statistics mostly are of a time at which next to nothing was pending.
    .offset(0)
)
_due_free = _due.where(_free, ~_sibling_elsewhere).with_for_update(skip_locked=True, of=delivery)

_ids = bindparam("ids", expanding=True)
_named = delivery.c.id.in_(_ids)

_endpoints_of_tenants = (
    select(webhook.c.id, webhook.c.tenant_id, webhook.c.events, webhook.c.enabled, webhook.c.ordered)
    .where(webhook.c.tenant_id.in_(_ids))
    .order_by(webhook.c.id)
)
_keep_from_ordered_claims = (
    select(webhook.c.id)
    .where(webhook.c.id.in_(_ids))
    .order_by(webhook.c.id)
    .with_for_update(read=True, key_share=True)
)
_lock_endpoints = select(webhook).where(webhook.c.id.in_(_ids)).order_by(webhook.c.id)
_lock_free_endpoints = _lock_endpoints.with_for_update(key_share=True, skip_locked=True)
_lock_still_endpoints = (
    select(webhook.c.id)
    .where(webhook.c.id.in_(_ids))
    .order_by(webhook.c.id)
    .with_for_update(skip_locked=True)
)
_lock_unwell_endpoints = _lock_endpoints.where(
    or_(webhook.c.failing_since_ms.is_not(None), webhook.c.id.in_(bindparam("troubled", expanding=True)))
).with_for_update(key_share=True)
_existing_endpoints = select(webhook.c.id).where(webhook.c.id.in_(_ids))
_endpoints_off = _existing_endpoints.where(webhook.c.enabled.is_(False))

_settling: list[Any] = [
    delivery.c[name] for name in ("id", "state", "attempts", "again", "due_ms", "lease_token")
]
_lock = select(*_settling).where(_named).order_by(delivery.c.id).with_for_update()
_pending_free = (
    select(delivery.c.id).where(PENDING, delivery.c.webhook_id == bindparam("endpoint"), _free)
).limit(bindparam("count"))

_lease = (
    update(delivery)
    .where(_named)
    .values(lease_token=bindparam("new_lease_token"), lease_until_ms=bindparam("new_lease_until_ms"))
)
_end_leases = (
    update(delivery)
    .where(PENDING, _named, delivery.c.lease_token == bindparam("worker"))
    .values(lease_token=None, lease_until_ms=None)
)
_close = (
    update(delivery)
    .where(_named)
    .values(
        state=bindparam("new_state"),
        finished_ms=bindparam("new_finished_ms"),
        lease_token=None,
        lease_until_ms=None,
    )
)
_count_attempts = update(delivery).where(_named).values(attempts=delivery.c.attempts + 1)
_finish = _close.values(attempts=delivery.c.attempts + 1)
_retry = (
    update(delivery)
    .where(delivery.c.id == bindparam("row_id"))
    .values(
        attempts=delivery.c.attempts + 1,
        again=bindparam("new_again"),
        due_ms=bindparam("new_due_ms"),
        lease_until_ms=bindparam("new_lease_until_ms"),
        lease_token=None,
    )
)
_recorded = select(*(attempt.c[name] for name in ("delivery_id", "at_ms", "duration_ms", "status"))).where(
    attempt.c.delivery_id.in_(_ids)
)
_waiting = text("""
    WITH RECURSIVE waiting(webhook_id) AS (
        SELECT min(webhook_id) FROM delivery WHERE state = 'pending'
        UNION ALL
        SELECT (
            SELECT min(delivery.webhook_id) FROM delivery
            WHERE delivery.state = 'pending' AND delivery.webhook_id > waiting.webhook_id
        )
        FROM waiting WHERE waiting.webhook_id IS NOT NULL
    )
    SELECT
        webhook_id,
        (SELECT min(due_ms) FROM delivery WHERE delivery.state = 'pending'
            AND delivery.webhook_id = waiting.webhook_id AND delivery.again = false),
        (SELECT min(due_ms) FROM delivery WHERE delivery.state = 'pending'
            AND delivery.webhook_id = waiting.webhook_id AND delivery.again = true)
    FROM waiting WHERE webhook_id IS NOT NULL
""")
"""Leaps from endpoint to endpoint over the index, so its cost is that of the endpoints, not of the deliveries."""

_stranded = text("""
    WITH RECURSIVE waiting(webhook_id) AS (
        SELECT min(webhook_id) FROM delivery WHERE state = 'paused'
        UNION ALL
        SELECT (
            SELECT min(delivery.webhook_id) FROM delivery
            WHERE delivery.state = 'paused' AND delivery.webhook_id > waiting.webhook_id
        )
        FROM waiting WHERE waiting.webhook_id IS NOT NULL
    )
    SELECT waiting.webhook_id
    FROM waiting LEFT JOIN webhook ON webhook.id = waiting.webhook_id
    WHERE waiting.webhook_id IS NOT NULL AND (webhook.id IS NULL OR webhook.enabled = true)
""")
"""Leaps as `_waiting` does: most backlogs belong to endpoints that are off, and may be long."""


def endpoints_of_tenants(session: Session, tenant_ids: Collection[str]) -> Mapping[str, list[AnyRow]]:
    """What fan-out needs of every endpoint (`id`, `events`, `enabled`), by tenant.

    Not locked: fan-outs overlap, so whoever wants to deliver to an endpoint, to change or to remove it would hardly
    have a turn. Ordered ones are, against claims only and their removal: see `lock_free_endpoints`.
    """
    by_tenant: dict[str, list[AnyRow]] = {}
    rows = session.connection().execute(_endpoints_of_tenants, {"ids": list(tenant_ids)}).all()
    if ordered := [row.id for row in rows if row.ordered]:
        session.connection().execute(_keep_from_ordered_claims, {"ids": ordered})
    for row in rows:
        by_tenant.setdefault(row.tenant_id, []).append(row)
    return by_tenant


def insert_new(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert deliveries; those that exist for the same event, endpoint and replay are left as they are."""
    insert_rows(session, delivery, rows, pass_over_known=True)


def lock_free_endpoints(session: Session, webhook_ids: Iterable[str]) -> dict[str, AnyRow]:
    """The endpoints among these that no other transaction holds, locked, so that claims of one take turns.

    Of ordered ones only those that nobody makes deliveries for at the moment: what that commits may come before what
    could be seen now. The others need not wait for a pause, which there may be none of.
    """
    found = session.connection().execute(_lock_free_endpoints, {"ids": list(webhook_ids)})
    rows = {row.id: row for row in found}
    ordered = [row.id for row in rows.values() if row.ordered]
    if ordered:
        still = set(session.connection().execute(_lock_still_endpoints, {"ids": ordered}).scalars())
        rows = {webhook_id: row for webhook_id, row in rows.items() if not row.ordered or webhook_id in still}
    return rows


def existing_endpoints(session: Session, webhook_ids: Iterable[str]) -> set[str]:
    """Which of these endpoints exist."""
    return set(session.connection().execute(_existing_endpoints, {"ids": list(webhook_ids)}).scalars())


def endpoints_off(session: Session, webhook_ids: Iterable[str]) -> set[str]:
    """Which of these endpoints are switched off."""
    return set(session.connection().execute(_endpoints_off, {"ids": list(webhook_ids)}).scalars())


def due_and_free(
    session: Session, webhook_id: str, *, again: bool, count: int, now_ms: int, worker: str
) -> Sequence[AnyRow]:
    """The oldest due deliveries that nobody has a lease on, with their events; no `body`: the event is gone.

    Left out are those with a delivery of the same message leased by another than `worker`.
    """
    values = {"endpoint": webhook_id, "is_again": again, "count": count, "now": now_ms, "worker": worker}
    return session.connection().execute(_due_free, values).all()


def due_in_order(
    session: Session, webhook_id: str, *, again: bool, count: int, now_ms: int
) -> Sequence[AnyRow]:
    """The oldest due deliveries, leased or not, with their events; no `body`: the event is gone."""
    values = {"endpoint": webhook_id, "is_again": again, "count": count, "now": now_ms}
    return session.connection().execute(_due_in_order, values).all()


def lease(session: Session, ids: Sequence[str], *, worker: str, until_ms: int) -> None:
    """Give deliveries to a worker."""
    values = {"ids": ids, "new_lease_token": worker, "new_lease_until_ms": until_ms}
    session.connection().execute(_lease, values)


def end_leases(session: Session, ids: Sequence[str], *, worker: str) -> None:
    """Take deliveries back that a worker has and did not begin."""
    session.connection().execute(_end_leases, {"ids": ids, "worker": worker})


def close(session: Session, ids: Sequence[str], *, state: str, now_ms: int) -> None:
    """Move deliveries to a final state without an attempt."""
    session.connection().execute(_close, {"ids": ids, "new_state": state, "new_finished_ms": now_ms})


def close_backlog(session: Session, webhook_id: str, *, state: str, now_ms: int, limit: int) -> int:
    """Move up to `limit` pending deliveries that nobody has to a waiting or final state; answers how many."""
    values = {"endpoint": webhook_id, "now": now_ms, "count": limit}
    ids = session.connection().execute(_pending_free, values).scalars().all()
    if ids:
        finished_ms = None if state == "paused" else now_ms
        changes = {"ids": ids, "new_state": state, "new_finished_ms": finished_ms}
        session.connection().execute(_close, changes)
    return len(ids)


def lock(session: Session, ids: Iterable[str]) -> dict[str, AnyRow]:
    """What settling needs of deliveries, by id, locked."""
    return {row.id: row for row in session.connection().execute(_lock, {"ids": list(ids)})}


def lock_unwell_endpoints(
    session: Session, webhook_ids: Iterable[str], *, troubled: Iterable[str]
) -> dict[str, AnyRow]:
    """The `troubled` ones among these endpoints and those that have been failing, by id, locked."""
    values = {"ids": list(webhook_ids), "troubled": list(troubled)}
    return {row.id: row for row in session.connection().execute(_lock_unwell_endpoints, values)}


def finish(session: Session, ids: Sequence[str], *, state: str, now_ms: int | None) -> None:
    """Count an attempt of each delivery and end its lease; `now_ms` is when it reached a final state."""
    session.connection().execute(_finish, {"ids": ids, "new_state": state, "new_finished_ms": now_ms})


def retry(session: Session, changes: Sequence[Mapping[str, Any]]) -> None:
    """Count an attempt of each delivery and say when the next is due.

    A change has `row_id`, `new_again`, `new_due_ms` and `new_lease_until_ms`.
    """
    if changes:
        session.connection().execute(_retry, list(changes))


def count_attempts(session: Session, ids: Sequence[str]) -> None:
    """Count an attempt of each delivery and change nothing else."""
    if ids:
        session.connection().execute(_count_attempts, {"ids": ids})


def recorded_attempts(session: Session, ids: Sequence[str]) -> set[tuple[Any, ...]]:
    """The attempts on record of deliveries: `delivery_id`, `at_ms`, `duration_ms`, `status` (0: no answer)."""
    return {tuple(row) for row in session.connection().execute(_recorded, {"ids": ids})}


def insert_attempts(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Record attempts."""
    insert_rows(session, attempt, rows)


def save_endpoint(session: Session, webhook_id: str, values: Mapping[str, Any]) -> None:
    """Change columns of one endpoint."""
    session.connection().execute(update(webhook).where(webhook.c.id == webhook_id).values(**values))


def waiting_endpoints(session: Session) -> Sequence[AnyRow]:
    """Every endpoint with pending deliveries, and when the oldest is due: first attempt, later attempt or replay."""
    return session.connection().execute(_waiting).all()


def stranded_endpoints(session: Session) -> Sequence[str]:
    """Every endpoint that has paused deliveries though it is switched on or gone."""
    return session.connection().execute(_stranded).scalars().all()
