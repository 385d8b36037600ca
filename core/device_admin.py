"""Use cases on devices for their owner: look at them, rename, switch on and off, remove.

Owns what a tenant may do with its devices; how they come, change and go with their driver is in core.devices.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from core.errors import DeviceBusy, NotFound
from core.store import device_admin as queries
from core.store.rows import AddressRow, DeviceRow, DriverRow


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device with what belongs to it. `queued`: messages that wait for it or are with it."""

    row: DeviceRow
    driver: DriverRow
    addresses: Sequence[AddressRow]
    queued: int


@dataclass(frozen=True, slots=True)
class DeviceChange:
    """New values for a device, valid by form; None: as it is."""

    device_id: str
    name: str | None = None
    enabled: bool | None = None


def list_devices(session: Session, tenant_id: str) -> list[DeviceView]:
    """The tenant's devices, oldest first."""
    return _views(session, tenant_id, None)


def get_device(session: Session, tenant_id: str, device_id: str) -> DeviceView:
    """One device of the tenant. Raises NotFound."""
    views = _views(session, tenant_id, device_id)
    if not views:
        raise NotFound("There is no such device.")
    return views[0]


def update_device(session: Session, tenant_id: str, change: DeviceChange) -> DeviceView:
    """Change a device. Raises NotFound."""
    device = _locked(session, tenant_id, change.device_id)
    device.name = device.name if change.name is None else change.name
    device.enabled = device.enabled if change.enabled is None else change.enabled
    session.add(device)
    session.flush()
    return get_device(session, tenant_id, device.id)


def delete_device(session: Session, tenant_id: str, device_id: str, now_ms: int) -> None:
    """Remove a device and let its numbers go. From then on nothing is claimed for it and nothing accepted.

    What waits for it is failed by the caller afterwards, in steps (`core.messages.fail_waiting`): a queue may be long,
    and everybody else waits for a transaction. Raises NotFound, and DeviceBusy while a message is with its driver.
    Its row stays, since messages name it; it comes back if its driver offers it again.
    """
    device = _locked(session, tenant_id, device_id)
    if queries.is_sending(session, device):
        raise DeviceBusy
    queries.remove_addresses(session, device.id)
    device.state, device.deleted_ms = "offline", now_ms
    session.add(device)
    session.flush()


def removed_with_queue(session: Session) -> Sequence[str]:
    """Removed devices for which messages still wait: their removal was cut off."""
    return queries.removed_with_queue(session)


def _views(session: Session, tenant_id: str, device_id: str | None) -> list[DeviceView]:
    found = queries.devices_and_drivers(session, tenant_id, device_id=device_id)
    if not found:
        return []
    queued = queries.waiting_messages(session, tenant_id, device_id=device_id)
    owned: dict[str, list[AddressRow]] = {}
    for address in queries.addresses(session, tenant_id, device_id=device_id):
        owned.setdefault(address.device_id, []).append(address)
    return [DeviceView(row, driver, owned.get(row.id, ()), queued[row.id]) for row, driver in found]


def _locked(session: Session, tenant_id: str, device_id: str) -> DeviceRow:
    device = queries.lock_device(session, tenant_id, device_id)
    if device is None:
        raise NotFound("There is no such device.")
    return device
