"""Devices come, change and go with their drivers.

Owns who has a number, and which state a device is in when its driver says hello or is away for long. What a tenant does
with its devices is in device_admin.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, delete, or_, select, update
from sqlalchemy.orm import Session

from core import events
from core.device_events import device_event, device_event_type, device_events
from core.ids import new_uuid
from core.store import messages as queries
from core.store.bulk import insert_rows, update_rows
from core.store.rows import AddressRow, DeviceRow, DriverRow, record

_driver = DriverRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_device = DeviceRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_address = AddressRow.__table__  # pyright: ignore[reportAttributeAccessIssue]

AWAY_MAX = 500
"""Devices that one sweep marks offline; what is left is for the next."""

_SAID = ("state", "state_reason", "remedy", "pairing_payload", "window", "features", "deleted_ms")
"""What a hello says of a device that is known. Its driver has a time of its own at which it was seen."""

Number = tuple[str, str]
"""A channel and a number on it."""


@dataclass(frozen=True, slots=True)
class OfferedAddress:
    """A number of an offered device, E.164."""

    channel: str
    number: str
    slot: int
    ready: bool


@dataclass(frozen=True, slots=True)
class OfferedDevice:
    """A device as the driver's hello describes it."""

    key: str
    name: str
    state: str
    window: int
    addresses: tuple[OfferedAddress, ...]
    features: str = ""
    """As core.contents stores them; empty: its driver does not say."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A device or number that is not accepted, and why."""

    device_key: str
    number: str
    detail: str


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A driver's devices as they are after its hello, in its order, and what of them was refused."""

    devices: list[DeviceRow]
    refusals: list[Refusal]


class Enrolment:
    """One transaction's worth of drivers with their devices: reads what all of them need, decides for one driver
    after the other, writes everything at once.

    The drivers are locked. `offers`: by driver id.
    """

    def __init__(self, session: Session, offers: Mapping[str, Sequence[OfferedDevice]], now_ms: int) -> None:
        self._session = session
        self._now_ms = now_ms
        self._devices: dict[str, DeviceRow] = {}
        self._of_driver: dict[str, dict[str, DeviceRow]] = {driver_id: {} for driver_id in offers}
        for device in _devices(session, _device.c.driver_id, offers):
            self._devices[device.id] = device
            self._of_driver[device.driver_id][device.key] = device
        self._new: dict[str, DeviceRow] = {}
        self._changed: dict[str, DeviceRow] = {}
        self._events: list[dict[str, Any]] = []
        self._addresses = _lock_addresses(
            session,
            {_number(address) for own in offers.values() for device in own for address in device.addresses},
            self._devices,
        )
        self._before = {number: vars(row).copy() for number, row in self._addresses.items()}
        self._numbers: dict[str, set[Number]] = {}
        for number, row in self._addresses.items():
            self._numbers.setdefault(row.device_id, set()).add(number)
        strangers = self._numbers.keys() - self._devices.keys()
        for device in _devices(session, _device.c.id, strangers):
            self._devices[device.id] = device
        self._free: list[Number] = []

    def enrol(self, driver: DriverRow, offered: Sequence[OfferedDevice]) -> Enrolled:
        """Take the devices that a driver's hello describes; those that it no longer names are away."""
        absent = self._of_driver[driver.id]
        happened: list[tuple[DeviceRow, str]] = []
        present: list[tuple[DeviceRow, OfferedDevice]] = []
        for each in offered:
            device = absent.pop(each.key, None) or self._new_device(driver, each)
            event_type = device_event_type(device.state, each.state)
            if event_type:
                happened.append((device, event_type))
            self._say(device, each)
            present.append((device, each))
        refusals = [
            refusal
            for device, each in present
            for address in each.addresses
            if (refusal := self._take(device, address)) is not None
        ]
        # Only now: a number that moved within the driver took its messages along.
        for device, each in present:
            self._drop_others(device, each)
        for device in absent.values():
            if device.deleted_ms is None and device.state != "offline":
                device.state = "offline"
                self._changed[device.id] = device
                happened.append((device, "device.offline"))
        for device, event_type in happened:
            numbers = {number for _, number in self._numbers.get(device.id, ())}
            self._events.append(device_event(device, event_type, numbers, self._now_ms))
        return Enrolled([device for device, _ in present], refusals)

    def save(self) -> None:
        """Write what the hellos changed, and nothing else."""
        session = self._session
        insert_rows(session, _device, [vars(device) for device in self._new.values()])
        changes = [
            {"id": device.id, "seen_ms": self._now_ms, **{name: getattr(device, name) for name in _SAID}}
            for device in self._changed.values()
        ]
        update_rows(session, _device, changes)
        self._save_addresses()
        free = {number: self._addresses[number] for number in self._free if number in self._addresses}
        _bring_queued(session, free)
        events.append(session, self._events)

    def _new_device(self, driver: DriverRow, offered: OfferedDevice) -> DeviceRow:
        device: DeviceRow = record({
            "id": new_uuid(), "tenant_id": driver.tenant_id, "driver_id": driver.id, "key": offered.key,
            "name": offered.name or offered.key, "state": "offline", "state_reason": "", "remedy": "",
            "pairing_payload": "", "enabled": True, "window": 0, "signal_percent": -1, "battery_percent": -1,
            "features": "", "seen_ms": self._now_ms, "created_ms": self._now_ms, "deleted_ms": None,
        })  # fmt: skip
        self._devices[device.id] = self._new[device.id] = device
        return device

    def _say(self, device: DeviceRow, offered: OfferedDevice) -> None:
        before = [getattr(device, name) for name in _SAID]
        if device.state != offered.state:
            device.state_reason = device.remedy = device.pairing_payload = ""
        device.state, device.window, device.deleted_ms = offered.state, offered.window, None
        device.features = offered.features
        if before != [getattr(device, name) for name in _SAID] and device.id not in self._new:
            self._changed[device.id] = device

    def _take(self, device: DeviceRow, address: OfferedAddress) -> Refusal | None:
        number = _number(address)
        row = self._addresses.get(number)
        if row is None:
            row = self._addresses[number] = record({"channel": address.channel, "number": address.number})
            self._free.append(number)
        elif row.device_id != device.id:
            if not self._may_take_over(device, row):
                detail = f"Another device has the {address.channel} number {address.number}."
                return Refusal(device.key, address.number, detail)
            _lock_whole(self._session, number)
            _move_waiting(self._session, row, device.id)
            self._numbers[row.device_id].discard(number)
        row.tenant_id, row.device_id = device.tenant_id, device.id
        row.slot, row.ready = address.slot, address.ready
        self._numbers.setdefault(device.id, set()).add(number)
        return None

    def _may_take_over(self, device: DeviceRow, address: AddressRow) -> bool:
        """A number moves within its tenant only, from a device that is away or of the same driver (a SIM was moved)."""
        if address.tenant_id != device.tenant_id:
            return False
        other = self._devices[address.device_id]
        return other.driver_id == device.driver_id or other.state == "offline" or other.deleted_ms is not None

    def _drop_others(self, device: DeviceRow, offered: OfferedDevice) -> None:
        """Free the numbers that the device no longer has."""
        own = self._numbers.get(device.id, set())
        for number in own - {_number(address) for address in offered.addresses}:
            own.discard(number)
            del self._addresses[number]

    def _save_addresses(self) -> None:
        outdated: dict[str, list[str]] = {}
        for (channel, number), row in self._before.items():
            after = self._addresses.get((channel, number))
            if after is None or vars(after) != row:
                outdated.setdefault(channel, []).append(number)
        for channel, numbers in outdated.items():
            for chunk in queries.in_chunks(numbers):
                where = (_address.c.channel == channel, _address.c.number.in_(chunk))
                self._session.execute(delete(_address).where(*where))
        fresh = [
            vars(row) for number, row in self._addresses.items() if self._before.get(number) != vars(row)
        ]
        insert_rows(self._session, _address, fresh)


def _devices(session: Session, column: Any, values: Iterable[str]) -> list[DeviceRow]:
    """Records of the devices with one of the values in a column."""
    return [
        record(row)
        for chunk in queries.in_chunks(values)
        for row in session.execute(select(_device).where(column.in_(chunk)).order_by(_device.c.id)).mappings()
    ]


def _number(address: OfferedAddress) -> Number:
    return address.channel, address.number


def _lock_addresses(
    session: Session, offered: Collection[Number], device_ids: Iterable[str]
) -> dict[Number, AddressRow]:
    """The rows of those of these numbers that somebody has, and of those that the devices have; locked.

    Shared, as accepts lock them: of the many drivers that come back few change a number, and the others must not wait
    until nobody happens to accept for theirs.
    """
    channels = {channel for channel, _ in offered}
    of_channel = _address.c.channel.in_(channels)
    conditions = [
        *((of_channel, _address.c.number.in_(chunk)) for chunk in queries.in_chunks(n for _, n in offered)),
        *((_address.c.device_id.in_(chunk),) for chunk in queries.in_chunks(device_ids)),
    ]
    rows: dict[Number, AddressRow] = {}
    for where in conditions:
        query = select(_address).where(*where).order_by(_address.c.channel, _address.c.number)
        for row in session.execute(query.with_for_update(read=True)).mappings():
            rows.setdefault((row["channel"], row["number"]), record(row))
    return rows


def _lock_whole(session: Session, number: Number) -> None:
    """Wait for what is just accepted for a number: it has to move along."""
    where = (_address.c.channel == number[0], _address.c.number == number[1])
    session.execute(select(_address.c.number).where(*where).with_for_update())


def _move_waiting(session: Session, address: AddressRow, device_id: str) -> None:
    message = queries.message
    # Held ones first: what is released in between is queued by then. One statement for both would find no index of
    # the device's own.
    for waits in (queries.HELD, queries.QUEUED):
        session.execute(
            update(message)
            .where(
                message.c.device_id == address.device_id,
                waits,
                message.c.source == address.number,
                message.c.channel == address.channel,
            )
            .values(device_id=device_id)
        )


def _bring_queued(session: Session, addresses: Mapping[Number, AddressRow]) -> None:
    """Queue for the devices of these numbers what their tenant accepted for them while another device had them.

    What is held finds the device of its number when it is released.
    """
    if not addresses:
        return
    message = queries.message
    tenants = {address.tenant_id for address in addresses.values()}
    numbers = {number for _, number in addresses}
    columns = (message.c.id, message.c.tenant_id, message.c.channel, message.c.source)
    changes: list[dict[str, str]] = []
    for device_id in _with_queued(session, tenants):
        for chunk in queries.in_chunks(numbers):
            where = (queries.QUEUED, message.c.device_id == device_id, message.c.source.in_(chunk))
            for row in session.execute(select(*columns).where(*where).with_for_update()):
                address = addresses.get((row.channel, row.source))
                if address is not None and address.tenant_id == row.tenant_id:
                    changes.append({"id": row.id, "device_id": address.device_id})
    update_rows(session, message, changes)


def _with_queued(session: Session, tenant_ids: Collection[str]) -> list[str]:
    """Devices of these tenants that have queued messages; begins with the queues, which are mostly fewer."""
    found: list[str] = []
    for chunk in queries.in_chunks(queries.devices_with_queued(session)):
        where = (_device.c.id.in_(chunk), _device.c.tenant_id.in_(tenant_ids))
        found.extend(session.execute(select(_device.c.id).where(*where)).scalars())
    return found


def mark_away(session: Session, now_ms: int, patience_ms: int, *, judges_leases: bool = True) -> int:
    """Mark devices offline whose driver has been gone for longer than `patience_ms` or whose lease ran out.

    `judges_leases`: without it a lease that ran out means nothing. At most AWAY_MAX; answers how many. A driver that is
    just coming back is left alone.
    """
    gone = and_(_driver.c.connected.is_(False), _driver.c.seen_ms <= now_ms - patience_ms)
    if judges_leases:
        gone = or_(gone, _driver.c.lease_until_ms <= now_ms - patience_ms)
    query = (
        select(DeviceRow)
        .join(DriverRow, _driver.c.id == _device.c.driver_id)
        .where(_device.c.state != "offline", _device.c.deleted_ms.is_(None), gone)
        .limit(AWAY_MAX)
        .with_for_update(of=(DriverRow, DeviceRow), key_share=True, skip_locked=True)
    )
    return _mark_offline(session, session.execute(query).scalars(), now_ms)


def mark_replaced(session: Session, tenant_id: str, driver_names: Collection[str], now_ms: int) -> int:
    """Mark the devices of these drivers of a tenant offline; answers how many.

    For whoever knows that none of them runs and another driver is about to come with the same numbers: it must not
    wait until they count as gone.
    """
    query = (
        select(DeviceRow)
        .join(DriverRow, _driver.c.id == _device.c.driver_id)
        .where(_driver.c.tenant_id == tenant_id, _driver.c.name.in_(driver_names))
        .where(_device.c.state != "offline", _device.c.deleted_ms.is_(None))
        .with_for_update(of=(DriverRow, DeviceRow), key_share=True)
    )
    return _mark_offline(session, session.execute(query).scalars(), now_ms)


def _mark_offline(session: Session, devices: Iterable[DeviceRow], now_ms: int) -> int:
    away = list(devices)
    for device in away:
        device.state = "offline"
        session.add(device)
    session.flush()
    happened = [(device, "device.offline") for device in away]
    events.append(session, device_events(session, happened, now_ms))
    return len(away)
