"""Use cases that time causes: holds end, deadlines pass.

Owns that no message waits for ever: every one reaches a final state by its deadline, or soon after.
"""

from collections.abc import Sequence

from sqlalchemy import RowMapping, select
from sqlalchemy.orm import Session

from core.message_changes import MessageChanges
from core.message_state import REASON_EXPIRED, REASON_UNKNOWN, Evidence
from core.store import messages as queries
from core.store.rows import AddressRow

SWEEP_MAX = 1000
"""Messages that one sweep handles; what is left is for the next."""

ABANDON_AFTER_MS = 3_600_000
"""How long past its deadline a driver's report on a message is waited for before it counts as unknown."""

_message = queries.message
_address = AddressRow.__table__  # pyright: ignore[reportAttributeAccessIssue]


def release_held(session: Session, now_ms: int) -> set[str]:
    """Queue messages whose hold is over, for the devices that have their numbers now; answers the devices."""
    where = (queries.HELD, _message.c.hold_until_ms <= now_ms)
    query = select(_message).where(*where).order_by(_message.c.hold_until_ms).limit(SWEEP_MAX)
    rows = session.execute(query.with_for_update(skip_locked=True)).mappings().all()
    owners = _owners(session, rows) if rows else {}
    changes = MessageChanges(now_ms)
    devices = set()
    for row in rows:
        message = queries.as_record(row)
        changes.move(message, Evidence.RELEASED)
        key = (message.tenant_id, message.channel, message.source)
        message.device_id = owners.get(key, message.device_id)
        devices.add(message.device_id)
    changes.save(session)
    return devices


def expire_due(session: Session, now_ms: int) -> int:
    """Expire waiting messages whose deadline has passed; answers how many."""
    where = (queries.UNSETTLED, queries.WAITING, _message.c.not_after_ms <= now_ms)
    query = select(_message).where(*where).order_by(_message.c.not_after_ms).limit(SWEEP_MAX)
    changes = MessageChanges(now_ms)
    rows = session.execute(query.with_for_update(skip_locked=True)).mappings().all()
    for row in rows:
        message = queries.as_record(row)
        detail = "Its deadline passed before a device could send it."
        changes.move(message, Evidence.EXPIRED, reason=REASON_EXPIRED, detail=detail)
        changes.note(message, "expired")
    changes.save(session)
    return len(rows)


def give_up_on_abandoned(session: Session, now_ms: int) -> int:
    """Settle as unknown what a driver took and never reported on, connected or not; answers how many."""
    where = (queries.UNSETTLED, queries.SENDING, _message.c.not_after_ms <= now_ms - ABANDON_AFTER_MS)
    query = select(_message).where(*where).order_by(_message.c.not_after_ms).limit(SWEEP_MAX)
    changes = MessageChanges(now_ms)
    rows = session.execute(query.with_for_update(skip_locked=True)).mappings().all()
    for row in rows:
        message = queries.as_record(row)
        detail = "Its driver took it and never said what became of it."
        changes.move(message, Evidence.UNKNOWN, reason=REASON_UNKNOWN, detail=detail)
        changes.note(message, "unknown", attempt=message.attempt, cause="no report")
    changes.save(session)
    return len(rows)


def _owners(session: Session, messages: Sequence[RowMapping]) -> dict[tuple[str, str, str], str]:
    columns = (_address.c.tenant_id, _address.c.channel, _address.c.number, _address.c.device_id)
    where = (
        _address.c.channel.in_({message["channel"] for message in messages}),
        _address.c.number.in_({message["source"] for message in messages}),
    )
    rows = session.execute(select(*columns).where(*where))
    return {(tenant_id, channel, number): device_id for tenant_id, channel, number, device_id in rows}
