"""Queries on devices for their owner: with their driver, their numbers and the length of their queue."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, delete, func, or_, select, text
from sqlalchemy.orm import Session
from sqlmodel import col

from core.store.rows import AddressRow, DeviceRow, DriverRow, MessageRow

QUEUED = text("message.state = 'queued'")
SCHEDULED = text("message.state = 'scheduled'")
SENDING = text("message.state = 'sending'")
"""Literal on purpose: a planner uses a partial index only for a condition that it can read."""


def devices_and_drivers(
    session: Session, tenant_id: str, *, device_id: str | None
) -> list[tuple[DeviceRow, DriverRow]]:
    """The tenant's devices that were not removed, oldest first, or the one named; each with its driver."""
    query = (
        select(DeviceRow, DriverRow)
        .join(DriverRow, col(DriverRow.id) == col(DeviceRow.driver_id))
        .where(col(DeviceRow.tenant_id) == tenant_id, col(DeviceRow.deleted_ms).is_(None))
        .order_by(col(DeviceRow.created_ms), col(DeviceRow.id))
    )
    if device_id is not None:
        query = query.where(col(DeviceRow.id) == device_id)
    return [(device, driver) for device, driver in session.execute(query)]


def lock_device(session: Session, tenant_id: str, device_id: str) -> DeviceRow | None:
    """One of the tenant's devices that was not removed, locked."""
    query = select(DeviceRow).where(
        col(DeviceRow.id) == device_id,
        col(DeviceRow.tenant_id) == tenant_id,
        col(DeviceRow.deleted_ms).is_(None),
    )
    return session.execute(query.with_for_update()).scalar_one_or_none()


def addresses(session: Session, tenant_id: str, *, device_id: str | None) -> Sequence[AddressRow]:
    """Numbers of the tenant's devices, or of the one named, by slot and channel."""
    query = select(AddressRow).where(_of(AddressRow, tenant_id, device_id))
    in_order = query.order_by(col(AddressRow.slot), col(AddressRow.channel), col(AddressRow.number))
    return session.execute(in_order).scalars().all()


def remove_addresses(session: Session, device_id: str) -> None:
    """Let a device's numbers go."""
    session.execute(delete(AddressRow).where(col(AddressRow.device_id) == device_id))


def waiting_messages(session: Session, tenant_id: str, *, device_id: str | None) -> Counter[str]:
    """How many messages wait for each device or are with it, by device."""
    of_device = _of(MessageRow, tenant_id, device_id)
    drivers = select(col(DeviceRow.driver_id)).where(col(DeviceRow.tenant_id) == tenant_id)
    counted: Counter[str] = Counter()
    for query in (
        _counts().where(QUEUED, of_device),
        _counts().where(SCHEDULED, of_device),
        _counts().where(SENDING, of_device, col(MessageRow.driver_id).in_(drivers)),
    ):
        for found_id, count in session.execute(query):
            counted[found_id] += count
    return counted


def is_sending(session: Session, device: DeviceRow) -> bool:
    """Whether a message is with the device's driver."""
    query = select(col(MessageRow.id)).where(
        SENDING, col(MessageRow.driver_id) == device.driver_id, col(MessageRow.device_id) == device.id
    )
    return session.execute(query.limit(1)).first() is not None


def removed_with_queue(session: Session) -> Sequence[str]:
    """Removed devices that have queued or held messages."""
    waits = [
        select(1).where(state, col(MessageRow.device_id) == col(DeviceRow.id)).exists()
        for state in (QUEUED, SCHEDULED)
    ]
    query = select(col(DeviceRow.id)).where(col(DeviceRow.deleted_ms).is_not(None), or_(*waits))
    return session.execute(query).scalars().all()


def _counts() -> Select[str, int]:
    return select(col(MessageRow.device_id), func.count()).group_by(col(MessageRow.device_id))


def _of(table: type[AddressRow] | type[MessageRow], tenant_id: str, device_id: str | None) -> Any:
    """Whether a row belongs to the device named, or to any of the tenant's."""
    if device_id is not None:
        return col(table.device_id) == device_id
    return col(table.device_id).in_(select(col(DeviceRow.id)).where(col(DeviceRow.tenant_id) == tenant_id))
