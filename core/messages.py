"""Use cases on messages: accept, look at, list, cancel.

Owns what a caller may ask of messages. Plain functions over a session; knows neither proto nor transport.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, Subquery, bindparam, func, select
from sqlalchemy.orm import Session

from core import contents
from core.errors import (
    DeviceNotFound,
    ExternalIdConflict,
    InfiniReachError,
    InvalidArgument,
    NotCancellable,
    NotFound,
)
from core.ids import first_id, new_id
from core.message_changes import MessageChanges
from core.message_state import REASON_CANCELLED, REASON_DEVICE_REMOVED, WAITING, Evidence, State
from core.segments import SegmentCount, count_segments
from core.store import messages as queries
from core.store.rows import AddressRow, DeviceRow, MessageRow
from core.store.spans import span

BATCH_MAX = 1000
"""Messages in one call."""

SCAN_MAX = 10_000
"""Messages that one list looks at; bounds how long it takes, however many a tenant has."""

CLOCK_JUMP_MS_MAX = 3_600_000
"""How far an id may be ahead of its message's time: ids rise even if the clock was set back."""

FAIL_MAX = 500
"""Waiting messages that fail in one transaction when their device is removed."""

_address = AddressRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_device = DeviceRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_message = queries.message

_owners_of = (
    select(_address.c.channel, _address.c.number, _address.c.tenant_id, _address.c.device_id)
    .where(
        _address.c.channel.in_(bindparam("channels", expanding=True)),
        _address.c.number.in_(bindparam("numbers", expanding=True)),
    )
    .order_by(_address.c.channel, _address.c.number)
)
"""Built once: it runs for every accept."""
_features_of = select(_device.c.id, _device.c.features).where(
    _device.c.id.in_(bindparam("ids", expanding=True))
)
_owners_to_keep = _owners_of.with_for_update(read=True)


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to accept; its fields are valid by form. `sender` is what the API calls `from`."""

    tenant_id: str
    to: str
    text: str
    sender: str
    channel: str
    external_id: str | None = None
    device_id: str | None = None
    traceparent: str | None = None
    content: contents.Content | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """`created` is False where external_id repeated an earlier message. `device_id` may have work now."""

    message_id: str
    created: bool
    device_id: str


def accept(
    session: Session, items: Sequence[NewMessage], now_ms: int, ttl_ms: int
) -> list[Accepted | InfiniReachError]:
    """Accept up to BATCH_MAX messages in one transaction; one result each, in their order.

    A result is an error where that message was refused: DeviceNotFound, ExternalIdConflict, InvalidArgument for what
    the device cannot send; the others stand.
    A repeated external_id with the same content answers the first message, also within one batch.
    """
    owners = _owners(session, items, for_share=True)  # a number that moves takes its waiting messages along
    known = _by_external_id(session, items)
    features = _features(session, items, owners)
    results: list[Accepted | InfiniReachError] = []
    rows: list[dict[str, Any]] = []
    for item in items:
        key = (item.tenant_id, item.external_id)
        if item.external_id is not None and key in known:
            results.append(_repeat(item, known[key]))
            continue
        tenant_id, device_id = owners.get((item.channel, item.sender), ("", ""))
        if tenant_id != item.tenant_id or (item.device_id and item.device_id != device_id):
            results.append(DeviceNotFound(item.sender))
            continue
        if contents.needs_features(item) and (faults := contents.violations(item, features[device_id])):
            results.append(InvalidArgument(faults))
            continue
        row = _new_row(item, device_id, now_ms, ttl_ms)
        rows.append(row)
        if item.external_id is not None:
            known[key] = row
        results.append(Accepted(row["id"], created=True, device_id=device_id))
    queries.insert_all(session, rows)
    return results


def owner_of(session: Session, item: NewMessage) -> str:
    """The device that would send `item`. Raises DeviceNotFound, InvalidArgument for what the device cannot send."""
    owners = _owners(session, [item])
    tenant_id, device_id = owners.get((item.channel, item.sender), ("", ""))
    if tenant_id != item.tenant_id or (item.device_id and item.device_id != device_id):
        raise DeviceNotFound(item.sender)
    features = _features(session, [item], owners)
    if contents.needs_features(item) and (faults := contents.violations(item, features[device_id])):
        raise InvalidArgument(faults)
    return device_id


def count(channel: str, text: str) -> SegmentCount:
    """How `text` would go out on `channel`; a channel without segments has one, in no encoding."""
    return count_segments(text) if channel == "sms" else SegmentCount("none", 1, len(text))


def get(session: Session, tenant_id: str, message_id: str) -> MessageRow:
    """One message of the tenant. Raises NotFound."""
    where = (_message.c.id == message_id, _message.c.tenant_id == tenant_id)
    row = session.execute(select(_message).where(*where)).mappings().first()
    if row is None:
        raise NotFound("There is no such message.")
    return queries.as_record(row)


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """What to list; None and empty mean any. Times are milliseconds, `until_ms` is exclusive."""

    state: str = ""
    channel: str = ""
    direction: str = ""
    sender: str = ""
    recipient: str = ""
    since_ms: int | None = None
    until_ms: int | None = None
    before_id: str = ""


def list_messages(
    session: Session, tenant_id: str, wanted: MessageFilter, limit: int
) -> tuple[list[MessageRow], str]:
    """Up to `limit` messages of the tenant, newest first, and the id before which to go on; empty at the end.

    One call looks at SCAN_MAX messages at most: where few are wanted, an answer may hold none and still a place to go
    on from.
    """
    equal = {
        "state": wanted.state,
        "channel": wanted.channel,
        "direction": wanted.direction,
        "source": wanted.sender,
        "destination": wanted.recipient,
    }
    seen = _scan(tenant_id, wanted, select(_message))
    query = select(seen).order_by(seen.c.tenant_id.desc(), seen.c.id.desc()).limit(limit + 1)
    for column, value in equal.items():
        if value:
            query = query.where(seen.c[column] == value)
    if wanted.since_ms is not None:
        query = query.where(seen.c.created_ms >= wanted.since_ms)
    if wanted.until_ms is not None:
        query = query.where(seen.c.created_ms < wanted.until_ms)
    rows = [queries.as_record(row) for row in session.execute(query).mappings()]
    if len(rows) > limit:
        return rows[:limit], rows[limit - 1].id
    scan = _scan(tenant_id, wanted, select(_message.c.id))
    looked_at, oldest = session.execute(select(func.count(), func.min(scan.c.id)).select_from(scan)).one()
    return rows, oldest if looked_at == SCAN_MAX else ""


def _scan(tenant_id: str, wanted: MessageFilter, query: Select[Any]) -> Subquery:
    """What one call looks at: the newest SCAN_MAX in the wanted time."""
    before = [wanted.before_id] if wanted.before_id else []
    if wanted.until_ms is not None:
        before.append(first_id(wanted.until_ms + CLOCK_JUMP_MS_MAX))
    where = span(
        _message.c.tenant_id,
        tenant_id,
        _message.c.id,
        since=None if wanted.since_ms is None else first_id(wanted.since_ms),
        before=min(before, default=None),
    )
    newest = (_message.c.tenant_id.desc(), _message.c.id.desc())
    return query.where(*where).order_by(*newest).limit(SCAN_MAX).subquery()


def cancel(session: Session, tenant_id: str, message_id: str, now_ms: int) -> MessageRow:
    """Withdraw a message that no driver has. Raises NotFound, NotCancellable."""
    message = queries.load(session, [message_id]).get(message_id)
    if message is None or message.tenant_id != tenant_id:
        raise NotFound("There is no such message.")
    if message.state not in WAITING:
        raise NotCancellable(f"The message is {message.state} and can no longer be cancelled.")
    changes = MessageChanges(now_ms)
    changes.move(message, Evidence.CANCELLED, reason=REASON_CANCELLED, detail="Cancelled by its owner.")
    changes.note(message, "cancelled")
    changes.save(session)
    return message


def fail_waiting(session: Session, device_id: str, now_ms: int) -> int:
    """Fail up to FAIL_MAX messages that wait for a removed device; answers how many.

    0: none is left, or the device has come back meanwhile.
    """
    device = session.get(DeviceRow, device_id, with_for_update=True)
    if device is None or device.deleted_ms is None:
        return 0
    changes = MessageChanges(now_ms)
    count = 0
    for state in (queries.QUEUED, queries.HELD):
        where = (_message.c.device_id == device_id, state)
        query = select(_message).where(*where).order_by(_message.c.id).limit(FAIL_MAX - count)
        for row in session.execute(query.with_for_update()).mappings().all():
            message = queries.as_record(row)
            changes.move(
                message, Evidence.FAILED, reason=REASON_DEVICE_REMOVED, detail="Its device was removed."
            )
            changes.note(message, "failed", reason=REASON_DEVICE_REMOVED)
            count += 1
    changes.save(session)
    return count


def _owners(
    session: Session, items: Sequence[NewMessage], *, for_share: bool = False
) -> dict[tuple[str, str], tuple[str, str]]:
    asked = {"channels": {item.channel for item in items}, "numbers": {item.sender for item in items}}
    rows = session.connection().execute(_owners_to_keep if for_share else _owners_of, asked)
    return {(channel, number): (tenant_id, device_id) for channel, number, tenant_id, device_id in rows}


def _features(
    session: Session, items: Sequence[NewMessage], owners: dict[tuple[str, str], tuple[str, str]]
) -> dict[str, str]:
    """What the devices can that are asked for more than every device can; by id, as it is stored.

    Not locked: a driver may say otherwise at any time, and then refuses what was accepted.
    """
    asked = {
        owners[item.channel, item.sender][1]
        for item in items
        if contents.needs_features(item) and (item.channel, item.sender) in owners
    }
    if not asked:
        return {}
    rows = session.connection().execute(_features_of, {"ids": asked})
    return {row.id: row.features for row in rows}


def _by_external_id(
    session: Session, items: Sequence[NewMessage]
) -> dict[tuple[str, str | None], dict[str, Any]]:
    wanted: dict[str, set[str]] = {}
    for item in items:
        if item.external_id is not None:
            wanted.setdefault(item.tenant_id, set()).add(item.external_id)
    known: dict[tuple[str, str | None], dict[str, Any]] = {}
    columns = [
        _message.c[name]
        for name in ("id", "external_id", "device_id", "source", "destination", "body", "channel", "content")
    ]
    for tenant_id, external_ids in wanted.items():
        where = (_message.c.tenant_id == tenant_id, _message.c.external_id.in_(external_ids))
        for row in session.execute(select(*columns).where(*where)).mappings():
            known[tenant_id, row["external_id"]] = dict(row)
    return known


def _repeat(item: NewMessage, first: dict[str, Any]) -> Accepted | InfiniReachError:
    content = (first["source"], first["destination"], first["body"], first["channel"])
    if content != (item.sender, item.to, item.text, item.channel):
        return ExternalIdConflict()
    if not contents.is_same(contents.read(first["content"]), item.content):
        return ExternalIdConflict()
    return Accepted(first["id"], created=False, device_id=first["device_id"])


def _new_row(item: NewMessage, device_id: str, now_ms: int, ttl_ms: int) -> dict[str, Any]:
    counted = count(item.channel, item.text)
    return {
        "id": new_id(now_ms),
        "tenant_id": item.tenant_id,
        "direction": "outbound",
        "channel": item.channel,
        "device_id": device_id,
        "source": item.sender,
        "destination": item.to,
        "body": item.text,
        "external_id": item.external_id,
        "content": contents.write(item.content),
        "group_id": item.to if item.to.endswith(contents.GROUP_SUFFIX) else None,
        "state": State.QUEUED.value,
        "encoding": counted.encoding,
        "segments": counted.segments,
        "segments_delivered": 0,
        "attempt": 0,
        "events": 0,
        "traceparent": item.traceparent,
        "not_after_ms": now_ms + ttl_ms,
        "created_ms": now_ms,
    }
