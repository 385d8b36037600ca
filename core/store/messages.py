"""Queries on messages and their timelines.

Hot paths read plain rows into mutable records and write them back in one statement for all, since loading them
through the ORM costs more than the rest of a transaction. A record has the attributes of MessageRow.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import RowMapping, bindparam, select, text
from sqlalchemy.orm import Session
from sqlmodel import col

from core.store.bulk import insert_rows, update_rows
from core.store.rows import AttemptRow, DeliveryRow, DeviceRow, MessageRow, TimelineRow, record

message = MessageRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
timeline = TimelineRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_device = DeviceRow.__table__  # pyright: ignore[reportAttributeAccessIssue]

QUEUED = text("message.state = 'queued'")
SENDING = text("message.state = 'sending'")
HELD = text("message.state = 'scheduled'")
WAITING = text("message.state IN ('queued', 'scheduled')")
UNSETTLED = text("message.state IN ('queued', 'scheduled', 'sending')")
"""Literal on purpose: a planner uses a partial index only for a condition that it can read."""

VALUES_PER_QUERY_MAX = 1000
"""Values in one IN list; databases limit the parameters of a statement."""

_SAVED = (
    "state", "failure_reason", "failure_code", "failure_detail", "hold_reason", "hold_until_ms", "segments",
    "segments_delivered", "attempt", "device_id", "driver_id", "epoch", "events", "claimed_ms", "sent_ms",
    "delivered_ms", "failed_ms", "read_ms",
)  # fmt: skip
"""The columns that can change after a message was inserted."""


def as_record(row: RowMapping) -> MessageRow:
    """A mutable record of a whole row."""
    return record(row)


def in_chunks(values: Iterable[str]) -> Iterator[list[str]]:
    """Distinct values, sorted, in lists that one query takes."""
    ordered = sorted(set(values))
    for start in range(0, len(ordered), VALUES_PER_QUERY_MAX):
        yield ordered[start : start + VALUES_PER_QUERY_MAX]


def load(session: Session, ids: Iterable[str]) -> dict[str, MessageRow]:
    """Records of the messages that exist among `ids`, by id; locked against other writers."""
    records: dict[str, MessageRow] = {}
    for chunk in in_chunks(ids):
        query = select(message).where(message.c.id.in_(chunk)).order_by(message.c.id).with_for_update()
        records.update((row["id"], as_record(row)) for row in session.execute(query).mappings())
    return records


def insert_all(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Insert new messages; every dict has the same keys."""
    insert_rows(session, message, rows)


def save_all(session: Session, records: Iterable[MessageRow]) -> None:
    """Write back everything that can change of these records."""
    rows = [{"id": record.id, **{name: getattr(record, name) for name in _SAVED}} for record in records]
    update_rows(session, message, rows)


def step(message_id: str, at_ms: int, name: str, attributes: dict[str, Any]) -> dict[str, Any]:
    """A timeline row."""
    return {"message_id": message_id, "at_ms": at_ms, "step": name, "attributes": json.dumps(attributes)}


def append_steps(session: Session, steps: Sequence[dict[str, Any]]) -> None:
    """Add steps to timelines, in this order."""
    insert_rows(session, timeline, steps)


_DEVICES_WITH_QUEUED = text(
    """
    WITH RECURSIVE waiting(device_id) AS (
        SELECT min(device_id) FROM message WHERE state = 'queued'
        UNION ALL
        SELECT (SELECT min(device_id) FROM message WHERE state = 'queued' AND device_id > waiting.device_id)
        FROM waiting WHERE waiting.device_id IS NOT NULL
    )
    SELECT device_id FROM waiting WHERE device_id IS NOT NULL
    """
)


def devices_with_queued(session: Session) -> list[str]:
    """Devices that have queued messages; skips through the partial index, one step for each device."""
    return list(session.execute(_DEVICES_WITH_QUEUED).scalars())


_FIRST_QUEUED = select(message.c.id).where(QUEUED, message.c.device_id == _device.c.id).limit(1)
"""A value for each device, which no planner turns into a join over all queues."""

_WITH_QUEUED = select(_device.c.id).where(
    _device.c.id.in_(bindparam("ids", expanding=True)), _FIRST_QUEUED.scalar_subquery().is_not(None)
)


def with_queued(session: Session, device_ids: Iterable[str]) -> set[str]:
    """Those of these devices that have queued messages; looks at one message of each."""
    found: set[str] = set()
    for chunk in in_chunks(device_ids):
        found.update(session.execute(_WITH_QUEUED, {"ids": chunk}).scalars())
    return found


def timeline_of(session: Session, message_id: str, limit: int) -> list[TimelineRow]:
    """The newest stored steps of a message, newest first."""
    # Reckoned, so that the planner seeks the message and does not walk back through all timelines.
    newest = (timeline.c.id + 0).desc()
    query = select(TimelineRow).where(timeline.c.message_id == message_id).order_by(newest).limit(limit)
    return list(session.execute(query).scalars())


def webhook_attempts_of(
    session: Session, message_id: str, limit: int
) -> list[tuple[DeliveryRow, AttemptRow]]:
    """The newest attempts to tell webhooks of a message, newest first."""
    query = (
        select(DeliveryRow, AttemptRow)
        .join(AttemptRow, col(AttemptRow.delivery_id) == col(DeliveryRow.id))
        .where(col(DeliveryRow.message_id) == message_id)
        .order_by(col(AttemptRow.at_ms).desc())
        .limit(limit)
    )
    return [(delivery, attempt) for delivery, attempt in session.execute(query)]
