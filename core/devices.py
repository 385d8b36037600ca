"""Use cases that drivers cause: a session opens, stays alive, ends; devices come and go with it.

Owns epochs, leases and who owns a number. What a tenant does with its devices is in device_admin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import and_, bindparam, or_, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from core import events
from core.device_events import device_event_type, device_events
from core.dispatch import lose_journal, settled_elsewhere
from core.errors import ProtocolViolation, Unauthenticated
from core.ids import new_uuid
from core.store import messages as queries
from core.store.rows import AddressRow, DeviceRow, DriverRow, DriverTokenRow

_driver = DriverRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_device = DeviceRow.__table__  # pyright: ignore[reportAttributeAccessIssue]

_queue_for = (
    update(queries.message)
    .where(queries.message.c.id == bindparam("row_id"))
    .values(device_id=bindparam("new_device_id"))
)


AWAY_MAX = 500
"""Devices that one sweep marks offline; what is left is for the next."""


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


@dataclass(frozen=True, slots=True)
class Hello:
    """A driver's first frame; valid by form. `open_commands`: in its journal, without a result."""

    tenant_id: str
    token_id: str
    driver_name: str
    driver_kind: str
    driver_version: str
    instance_id: str
    journal_id: str
    first_unacknowledged: int
    last_sequence: int
    devices: tuple[OfferedDevice, ...]
    open_commands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A device or number that is not accepted, and why."""

    device_key: str
    number: str
    detail: str


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """The session as the database knows it. `windows`: device id to window; `keys`: device id to the driver's key."""

    driver_id: str
    epoch: int
    resume_after: int
    journal_lost: bool
    facts_missing: int
    keys: dict[str, str]
    windows: dict[str, int]
    drop_commands: list[str]
    refusals: list[Refusal] = field(default_factory=list)


class JournalRolledBack(ProtocolViolation):
    """The driver's journal is older than what it reported before; give it a new journal."""

    status = "DATA_LOSS"
    reason = "JOURNAL_ROLLED_BACK"


def open_session(session: Session, hello: Hello, now_ms: int, lease_ms: int) -> OpenedSession:
    """Open a session with a new epoch; every older session of the driver is superseded from now on.

    Raises JournalRolledBack; Unauthenticated for a token that was revoked since the stream began.
    """
    token = session.get(DriverTokenRow, hello.token_id)
    if token is not None and token.revoked_ms is not None:
        raise Unauthenticated("The driver token was revoked.")
    driver = session.execute(
        select(DriverRow)
        .where(col(DriverRow.tenant_id) == hello.tenant_id, col(DriverRow.name) == hello.driver_name)
        .with_for_update()
    ).scalar_one_or_none()
    known_journal = driver.journal_id if driver else None
    if driver is None:
        driver = DriverRow(
            id=new_uuid(), tenant_id=hello.tenant_id, name=hello.driver_name, kind="", version="", token_id="",
            instance_id="", journal_id="", epoch=0, applied_sequence=0, connected=False, lease_until_ms=0,
            seen_ms=now_ms, created_ms=now_ms,
        )  # fmt: skip
    facts_missing = _place_in_journal(driver, hello)
    driver.kind, driver.version = hello.driver_kind, hello.driver_version
    driver.token_id, driver.instance_id, driver.journal_id = (
        hello.token_id,
        hello.instance_id,
        hello.journal_id,
    )
    driver.epoch += 1
    driver.connected, driver.seen_ms, driver.lease_until_ms = True, now_ms, now_ms + lease_ms
    session.add(driver)
    session.flush()
    journal_lost = known_journal is not None and known_journal != hello.journal_id
    if journal_lost:
        lose_journal(session, driver.id, now_ms)
    opened = OpenedSession(
        driver_id=driver.id,
        epoch=driver.epoch,
        resume_after=driver.applied_sequence,
        journal_lost=journal_lost,
        facts_missing=facts_missing,
        keys={},
        windows={},
        drop_commands=settled_elsewhere(session, driver.id, hello.open_commands),
    )
    _update_devices(session, driver, hello, opened=opened, now_ms=now_ms)
    return opened


def _place_in_journal(driver: DriverRow, hello: Hello) -> int:
    """Set where the driver's facts go on; answers how many facts are gone for good."""
    before_first = max(hello.first_unacknowledged - 1, 0)
    if driver.journal_id != hello.journal_id:
        driver.applied_sequence = before_first
        return 0
    if driver.applied_sequence > hello.last_sequence:
        raise JournalRolledBack(
            f"The journal ends at fact {hello.last_sequence}, but fact {driver.applied_sequence} was applied already."
        )
    missing = max(before_first - driver.applied_sequence, 0)
    driver.applied_sequence = max(driver.applied_sequence, before_first)
    return missing


def _update_devices(
    session: Session, driver: DriverRow, hello: Hello, *, opened: OpenedSession, now_ms: int
) -> None:
    rows = session.execute(select(DeviceRow).where(col(DeviceRow.driver_id) == driver.id)).scalars()
    known = {device.key: device for device in rows}
    happened: list[tuple[DeviceRow, str]] = []
    present: list[tuple[DeviceRow, OfferedDevice]] = []
    for offered in hello.devices:
        device = known.pop(offered.key, None)
        if device is None:
            device = DeviceRow(
                id=new_uuid(), tenant_id=driver.tenant_id, driver_id=driver.id, key=offered.key,
                name=offered.name or offered.key, state="offline", window=0, seen_ms=now_ms, created_ms=now_ms,
            )  # fmt: skip
        event_type = device_event_type(device.state, offered.state)
        if event_type:
            happened.append((device, event_type))
        if device.state != offered.state:
            device.state_reason = device.remedy = device.pairing_payload = ""
        device.state, device.window, device.seen_ms, device.deleted_ms = (
            offered.state,
            offered.window,
            now_ms,
            None,
        )
        session.add(device)
        opened.keys[device.id] = device.key
        opened.windows[device.id] = offered.window
        present.append((device, offered))
    session.flush()
    opened.refusals.extend(_take_addresses(session, present))
    _drop_addresses(
        session, present
    )  # only now: a number that moved within the driver took its messages along
    for device in known.values():
        if device.deleted_ms is None and device.state != "offline":
            device.state = "offline"
            session.add(device)
            happened.append((device, "device.offline"))
    session.flush()
    events.append(session, device_events(session, happened, now_ms))


def _take_addresses(session: Session, present: Sequence[tuple[DeviceRow, OfferedDevice]]) -> list[Refusal]:
    rows = _addresses(session, [address for _, offered in present for address in offered.addresses])
    refusals = []
    free: dict[tuple[str, str], DeviceRow] = {}
    for device, offered in present:
        for address in offered.addresses:
            row = rows.get((address.channel, address.number))
            if row is not None and row.device_id != device.id:
                if not _may_take_over(session, device, row):
                    detail = f"Another device has the {address.channel} number {address.number}."
                    refusals.append(Refusal(device.key, address.number, detail))
                    continue
                _move_waiting(session, row, device.id)
                row.device_id = device.id
            if row is None:
                row = AddressRow(
                    channel=address.channel, number=address.number, tenant_id=device.tenant_id,
                    device_id=device.id, slot=0, ready=False,
                )  # fmt: skip
                rows[address.channel, address.number] = row
                free[address.channel, address.number] = device
            row.slot, row.ready = address.slot, address.ready
            session.add(row)
    session.flush()
    _bring_queued(session, free)
    return refusals


def _addresses(session: Session, offered: Sequence[OfferedAddress]) -> dict[tuple[str, str], AddressRow]:
    """The rows of those of these numbers that somebody has, locked."""
    channels = {address.channel for address in offered}
    rows: dict[tuple[str, str], AddressRow] = {}
    for chunk in queries.in_chunks(address.number for address in offered):
        where = (col(AddressRow.channel).in_(channels), col(AddressRow.number).in_(chunk))
        order = (col(AddressRow.channel), col(AddressRow.number))
        found = session.execute(select(AddressRow).where(*where).order_by(*order).with_for_update()).scalars()
        rows.update(((row.channel, row.number), row) for row in found)
    return rows


def _drop_addresses(session: Session, present: Sequence[tuple[DeviceRow, OfferedDevice]]) -> None:
    """Free the numbers that these devices no longer have."""
    wanted = {
        device.id: {(address.channel, address.number) for address in offered.addresses}
        for device, offered in present
    }
    for chunk in queries.in_chunks(wanted):
        owned = session.execute(select(AddressRow).where(col(AddressRow.device_id).in_(chunk))).scalars()
        for row in owned:
            if (row.channel, row.number) not in wanted[row.device_id]:
                session.delete(row)
    session.flush()


def _may_take_over(session: Session, device: DeviceRow, address: AddressRow) -> bool:
    """A number moves within its tenant only, from a device that is away or of the same driver (a SIM was moved)."""
    if address.tenant_id != device.tenant_id:
        return False
    other = session.get_one(DeviceRow, address.device_id)
    return other.driver_id == device.driver_id or other.state == "offline" or other.deleted_ms is not None


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


def _bring_queued(session: Session, devices: Mapping[tuple[str, str], DeviceRow]) -> None:
    """Queue for these devices what their tenant accepted for their numbers while another device had them.

    What is held finds the device of its number when it is released.
    """
    message = queries.message
    tenants = {device.tenant_id for device in devices.values()}
    of_tenant = select(col(DeviceRow.id)).where(col(DeviceRow.tenant_id).in_(tenants))
    changes: list[dict[str, str]] = []
    for chunk in queries.in_chunks(number for _, number in devices):
        where = (queries.QUEUED, message.c.device_id.in_(of_tenant), message.c.source.in_(chunk))
        query = select(message.c.id, message.c.channel, message.c.source).where(*where).with_for_update()
        for message_id, channel, number in session.execute(query):
            device = devices.get((channel, number))
            if device is not None:
                changes.append({"row_id": message_id, "new_device_id": device.id})
    if changes:
        session.connection().execute(_queue_for, changes)


def close_session(session: Session, driver_id: str, epoch: int, now_ms: int) -> None:
    """Note that a session ended; nothing if a newer one is live."""
    session.execute(
        update(_driver)
        .where(_driver.c.id == driver_id, _driver.c.epoch == epoch)
        .values(connected=False, seen_ms=now_ms, lease_until_ms=now_ms)
    )


def renew_leases(
    session: Session, sessions: Sequence[tuple[str, int]], now_ms: int, lease_ms: int
) -> set[tuple[str, int]]:
    """Renew the leases of live sessions (driver id, epoch); answers those of them that a newer one has replaced."""
    epochs: dict[str, int] = {}
    for chunk in queries.in_chunks(driver_id for driver_id, _ in sessions):
        query = select(_driver.c.id, _driver.c.epoch).where(_driver.c.id.in_(chunk))
        epochs.update((row.id, row.epoch) for row in session.execute(query))
    for chunk in queries.in_chunks(d for d, epoch in sessions if epochs.get(d) == epoch):
        session.execute(
            update(_driver)
            .where(_driver.c.id.in_(chunk))
            .values(seen_ms=now_ms, lease_until_ms=now_ms + lease_ms, connected=True)
        )
    return {(driver_id, epoch) for driver_id, epoch in sessions if epochs.get(driver_id) != epoch}


def mark_away(session: Session, now_ms: int, patience_ms: int) -> int:
    """Mark devices offline whose driver has been gone for longer than `patience_ms` or whose lease ran out.

    At most AWAY_MAX; answers how many. A driver that is just coming back is left alone.
    """
    gone = or_(
        and_(_driver.c.connected.is_(False), _driver.c.seen_ms <= now_ms - patience_ms),
        _driver.c.lease_until_ms <= now_ms - patience_ms,
    )
    where = (_device.c.state != "offline", _device.c.deleted_ms.is_(None), gone)
    query = (
        select(DeviceRow)
        .join(DriverRow, _driver.c.id == _device.c.driver_id)
        .where(*where)
        .limit(AWAY_MAX)
        .with_for_update(of=(DriverRow, DeviceRow), skip_locked=True)  # as open_session and facts lock it
    )
    away = list(session.execute(query).scalars())
    for device in away:
        device.state = "offline"
        session.add(device)
    session.flush()
    happened = [(device, "device.offline") for device in away]
    events.append(session, device_events(session, happened, now_ms))
    return len(away)


def revoked_tokens(session: Session, token_ids: Sequence[str]) -> set[str]:
    """Which of these driver tokens are revoked or gone."""
    where = (col(DriverTokenRow.id).in_(token_ids), col(DriverTokenRow.revoked_ms).is_(None))
    return set(token_ids) - set(session.execute(select(col(DriverTokenRow.id)).where(*where)).scalars())
