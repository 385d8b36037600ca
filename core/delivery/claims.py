"""Who delivers what: claims of due deliveries, and their return.

Owns leases. A worker claims in one short transaction, sends outside of it, and settles in another; what it does not
settle in time is due again for anyone. Knows no HTTP and no scheduling.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from core.delivery.subscriptions import body_under
from core.store import deliveries as queries
from core.store.deliveries import AnyRow

START_WITHIN_MS = 5_000
"""A claimed delivery that was not begun after this time is given back, so that none is sent by a stale claim."""

LEASE_EXTRA_MS = 10_000
"""How long a lease outlasts the endpoint's deadline: the wait for the start, and time to settle."""

BACKLOG_STEP_MAX = 500
"""Deliveries of a disabled or deleted endpoint that one claim puts away; the rest is for the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where to deliver and how, as it was when its deliveries were claimed. `secret` is sealed."""

    webhook_id: str
    tenant_id: str
    url: str
    secret: bytes
    version: int
    timeout_s: int
    ordered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedDelivery:
    """A delivery that this worker has. `attempt` counts from 1 and is the one to make now."""

    delivery_id: str
    endpoint: Endpoint
    event_id: str
    event_type: str
    message_id: str | None
    attempt: int
    replay: int
    due_ms: int
    body: bytes
    traceparent: str | None

    @property
    def is_first(self) -> bool:
        """Whether the receiver never heard of this event before."""
        return self.attempt == 1 and self.replay == 0


@dataclass(frozen=True, slots=True)
class Want:
    """How many deliveries of an endpoint are wanted: first attempts; retries and replays.

    `slow`: how many of them are for the slow lane, for whoever wants.
    """

    webhook_id: str
    first: int
    again: int
    slow: int = 0


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim gave, oldest first for each endpoint.

    `unfinished`: endpoints to ask again soon. `closed`: those that are disabled or deleted.
    """

    deliveries: list[ClaimedDelivery] = field(default_factory=list)
    unfinished: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)


def claim(
    session: Session, wants: Sequence[Want], now_ms: int, *, worker: str, held: Collection[str] = ()
) -> Claimed:
    """Lease the oldest due deliveries of each endpoint to `worker`, at most as many as wanted.

    `held`: deliveries that the worker has already; whatever the clock did, it gets none of them twice. Deliveries
    of an ordered endpoint are a gapless run from its oldest. The backlog of a disabled endpoint is paused, that of
    a deleted one skipped, and so is what has lost its event, which a log may bring again long after it was removed.
    """
    claimed = Claimed()
    lost: list[str] = []
    rows = queries.lock_free_endpoints(session, (want.webhook_id for want in wants))
    leases: dict[int, list[str]] = {}
    for want in wants:
        row = rows.get(want.webhook_id)
        if row is None or not row.enabled:
            continue
        endpoint = _endpoint(row)
        until_ms = now_ms + endpoint.timeout_s * 1_000 + LEASE_EXTRA_MS
        for found in _due(session, want, now_ms, worker=worker, ordered=endpoint.ordered):
            if found.body is None:
                lost.append(found.id)
                claimed.unfinished.add(want.webhook_id)
            elif found.id not in held:
                claimed.deliveries.append(_claimed(found, endpoint))
                leases.setdefault(until_ms, []).append(found.id)
    if lost:
        queries.close(session, lost, state="skipped", now_ms=now_ms)
    for until_ms, ids in leases.items():
        queries.lease(session, ids, worker=worker, until_ms=until_ms)
    _put_away(session, wants, now_ms, rows=rows, claimed=claimed)
    return claimed


def release(session: Session, delivery_ids: Sequence[str], worker: str) -> None:
    """Give back deliveries that were not begun; they are due at once, at no cost in attempts."""
    queries.end_leases(session, delivery_ids, worker=worker)


def _due(session: Session, want: Want, now_ms: int, *, worker: str, ordered: bool) -> Sequence[AnyRow]:
    lanes = [(again, count) for again, count in ((False, want.first), (True, want.again)) if count > 0]
    if not ordered:
        return [
            row
            for again, count in lanes
            for row in queries.due_and_free(
                session, want.webhook_id, again=again, count=count, now_ms=now_ms, worker=worker
            )
        ]
    count = max(want.first, want.again)
    queue = [
        row
        for again in (False, True)
        for row in queries.due_in_order(session, want.webhook_id, again=again, count=count, now_ms=now_ms)
    ]
    queue.sort(key=lambda row: (row.due_ms, row.id))
    taken = (n for n, row in enumerate(queue) if (row.lease_until_ms or 0) > now_ms)
    return queue[: min(count, next(taken, count))]


def _put_away(
    session: Session,
    wants: Sequence[Want],
    now_ms: int,
    *,
    rows: dict[str, AnyRow],
    claimed: Claimed,
) -> None:
    """Clear the way of endpoints that get nothing: disabled, deleted, or just claimed from by another worker."""
    missing = [want.webhook_id for want in wants if want.webhook_id not in rows]
    busy = queries.existing_endpoints(session, missing) if missing else set[str]()
    claimed.unfinished.update(busy)
    states = {webhook_id: "paused" for webhook_id, row in rows.items() if not row.enabled}
    states |= {webhook_id: "skipped" for webhook_id in missing if webhook_id not in busy}
    for webhook_id, state in states.items():
        claimed.closed.add(webhook_id)
        changed = queries.close_backlog(
            session, webhook_id, state=state, now_ms=now_ms, limit=BACKLOG_STEP_MAX
        )
        if changed == BACKLOG_STEP_MAX:
            claimed.unfinished.add(webhook_id)


def _endpoint(row: AnyRow) -> Endpoint:
    return Endpoint(
        webhook_id=row.id,
        tenant_id=row.tenant_id,
        url=row.url,
        secret=row.secret,
        version=row.version,
        timeout_s=row.timeout_s,
        ordered=row.ordered,
    )


def _claimed(row: AnyRow, endpoint: Endpoint) -> ClaimedDelivery:
    return ClaimedDelivery(
        delivery_id=row.id,
        endpoint=endpoint,
        event_id=row.event_id,
        event_type=row.event_type,
        message_id=row.message_id,
        attempt=row.attempts + 1,
        replay=row.replay,
        due_ms=row.due_ms,
        body=body_under(row.event_type, row.body),
        traceparent=row.traceparent,
    )
