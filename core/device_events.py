"""Events about devices: which change gives which, and what it says.

Owns the rule. Whoever changes a device's state records them in the same transaction.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import events
from core.payloads import device_data
from core.store import messages as queries
from core.store.rows import AddressRow, DeviceRow

_address = AddressRow.__table__  # pyright: ignore[reportAttributeAccessIssue]


def device_event_type(before: str, after: str) -> str | None:
    """The event that a change of a device's state gives, if any; a degraded device is there, with troubles."""
    if after == before:
        return None
    if after in ("attention", "offline"):
        return f"device.{after}"
    return "device.online" if before in ("attention", "offline") else None


def device_events(
    session: Session, happened: Sequence[tuple[DeviceRow, str]], now_ms: int
) -> list[dict[str, Any]]:
    """The rows of events about devices: each device with the type of what happened to it."""
    numbers: dict[str, set[str]] = {}
    for chunk in queries.in_chunks(device.id for device, _ in happened):
        query = select(_address.c.device_id, _address.c.number).where(_address.c.device_id.in_(chunk))
        for device_id, number in session.execute(query):
            numbers.setdefault(device_id, set()).add(number)
    return [
        device_event(device, event_type, numbers.get(device.id, ()), now_ms)
        for device, event_type in happened
    ]


def device_event(device: DeviceRow, event_type: str, numbers: Iterable[str], now_ms: int) -> dict[str, Any]:
    """The row of one event about a device that has these numbers."""
    return events.new_event(
        event_type,
        tenant_id=device.tenant_id,
        at_ms=now_ms,
        data=device_data(device, numbers=sorted(numbers), at_ms=now_ms),
        device_id=device.id,
    )
