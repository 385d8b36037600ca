"""Use case on events: read on from where one has come.

Owns the feed. The position that an event was given on its publication is the cursor; ids are not, since they
become visible out of order.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from core.delivery.subscriptions import ALIASES
from core.store.rows import EventRow
from core.store.spans import span

SCAN_MAX = 10_000
"""Events that one call looks at when only some types are wanted; bounds how long it takes."""

BYTES_MAX = 3 * 1024 * 1024
"""Bodies in one answer, so that it fits a client's usual limit of 4 MiB for a message."""


@dataclass(frozen=True, slots=True)
class FeedRequest:
    """Up to `limit` events after `position`; no `types`: all."""

    position: int
    types: Collection[str]
    limit: int


def read_feed(session: Session, tenant_id: str, request: FeedRequest) -> tuple[Sequence[EventRow], int]:
    """Published events of a tenant, oldest first, and the position to go on from.

    The position moves past events of other types too, so that each is looked at once; where many of them lie
    in between, an answer may hold no event and still a new position.
    """
    position = col(EventRow.position)
    new = span(EventRow.tenant_id, tenant_id, EventRow.position, after=request.position)
    in_order = (col(EventRow.tenant_id), position)
    query = select(EventRow).where(*new).order_by(*in_order).limit(request.limit)
    looked_at = request.position
    if request.types:
        types = {ALIASES.get(name, name) for name in request.types}
        scan = select(position).where(*new).order_by(*in_order).limit(SCAN_MAX).subquery()
        looked_at = session.execute(select(func.max(scan.c.position))).scalar_one() or looked_at
        query = query.where(col(EventRow.type).in_(sorted(types)), position <= looked_at)
    found = session.execute(query).scalars().all()
    rows = _that_fit(found)
    if not rows:
        return rows, looked_at
    last = rows[-1].position or 0
    is_all = len(rows) == len(found) < request.limit
    return rows, max(last, looked_at) if is_all else last


def _that_fit(rows: Sequence[EventRow]) -> Sequence[EventRow]:
    """The first rows whose bodies fit into one answer, and at least one."""
    size = 0
    for count, row in enumerate(rows):
        size += len(row.body)
        if size > BYTES_MAX and count:
            return rows[:count]
    return rows
