"""Use cases that hand messages to driver sessions: claim, and reconcile after a reconnect.

Owns who has which message. An epoch fences every step: a session that is not its driver's newest gets nothing.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Integer, bindparam, select
from sqlalchemy.orm import Session

from core import contents
from core.errors import SessionSuperseded
from core.ids import command_id, parse_command_id
from core.message_changes import MessageChanges
from core.message_state import REASON_UNKNOWN, REASON_UNSUPPORTED, Evidence, State, retry_wait_ms
from core.store import messages as queries
from core.store.bulk import update_rows
from core.store.rows import DeviceRow, DriverRow, MessageRow

_message = queries.message
_driver = DriverRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_device = DeviceRow.__table__  # pyright: ignore[reportAttributeAccessIssue]

_oldest = (
    select(_message)
    .where(
        _message.c.device_id == bindparam("device"),
        queries.QUEUED,
        # Reckoned, so that the planner seeks the device and does not look through all deadlines.
        _message.c.not_after_ms + 0 > bindparam("now"),
    )
    .order_by(_message.c.id)
    .limit(bindparam("room", type_=Integer))
    .with_for_update(skip_locked=True)
)
"""Built once: it runs for every device of a claim."""


@dataclass(frozen=True, slots=True)
class ReadyDevice:
    """A device that a live session would send with: `free` more commands fit in its window."""

    device_id: str
    driver_id: str
    epoch: int
    free: int

    def capped(self, free: int) -> "ReadyDevice":
        """The same device, with room for `free` commands only."""
        return replace(self, free=free)


@dataclass(frozen=True, slots=True)
class Command:
    """One attempt at a message, as a driver is told of it."""

    command_id: str
    message_id: str
    driver_id: str
    device_id: str
    channel: str
    source: str
    destination: str
    body: str
    encoding: str
    segments: int
    not_after_ms: int
    traceparent: str | None
    content: contents.Content | None = None


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a claim gave. `drained`: devices with nothing more to give, `disabled`: those among them that may give
    nothing. `superseded`: driver and epoch of sessions that a newer one has replaced. `failed`: how many messages
    ended because their device can send them no more."""

    commands: list[Command]
    drained: set[str]
    disabled: set[str]
    superseded: set[tuple[str, int]]
    failed: int = 0


def claim(session: Session, ready: Sequence[ReadyDevice], now_ms: int) -> Claimed:
    """Move the oldest queued messages of each ready device to SENDING, as many as fit, in one transaction.

    Never gives a command that is open already: offering those again is reconcile's part. A message that its device can
    send no more fails.
    """
    epochs = _epochs(session, {device.driver_id for device in ready})
    enabled = _features_of_enabled(session, [device.device_id for device in ready])
    claimed = Claimed([], set(), set(), set())
    steps, changes, failures = [], [], _Failures(now_ms)
    for device in ready:
        if epochs.get(device.driver_id) != device.epoch:
            claimed.superseded.add((device.driver_id, device.epoch))
            continue
        if device.device_id not in enabled:
            claimed.drained.add(device.device_id)
            claimed.disabled.add(device.device_id)
            continue
        waiting = _oldest_queued(session, device.device_id, device.free, now_ms)
        if len(waiting) < device.free:
            claimed.drained.add(device.device_id)
        for message in waiting:
            if failures.take(message, enabled[device.device_id]):
                continue
            message.attempt += 1
            claimed.commands.append(_command(message, device.driver_id))
            attributes = {
                "attempt": str(message.attempt),
                "device": device.device_id,
                "epoch": str(device.epoch),
            }
            steps.append(queries.step(message.id, now_ms, "claimed", attributes))
            changes.append({
                "id": message.id,
                "state": State.SENDING.value,
                "attempt": message.attempt,
                "driver_id": device.driver_id,
                "epoch": device.epoch,
                "claimed_ms": now_ms,
            })
    update_rows(session, _message, changes)
    queries.append_steps(session, steps)
    failures.changes.save(session)
    return replace(claimed, failed=failures.count)


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a session's driver has: the commands in its journal without a result, and its devices."""

    driver_id: str
    epoch: int
    open_commands: Collection[str]
    device_ids: Collection[str]


@dataclass(frozen=True, slots=True)
class Reconciled:
    """`offer`: commands to send again, same ids. `held`: commands the driver has, by device. `waiting`: those of its
    devices that have messages in their queues. `failed`: messages that ended, since their device can send them no more.
    """

    offer: list[Command]
    held: dict[str, list[str]]
    waiting: list[str] = field(default_factory=list[str])
    failed: list[str] = field(default_factory=list[str])


def reconcile(
    session: Session, holdings: Sequence[Holdings], now_ms: int
) -> list[Reconciled | SessionSuperseded]:
    """Compare what is open here with what drivers hold, after their facts were applied; an answer for each.

    Open here and not held there never reached the network: offered again, or queued again if its device is gone. One
    that its device can send no more fails.
    SessionSuperseded: what a newer session was given is none of an older one's business.
    """
    epochs = _epochs(session, {own.driver_id for own in holdings})
    newest = {own.driver_id: own for own in holdings if epochs.get(own.driver_id) == own.epoch}
    results = {driver_id: Reconciled([], {}) for driver_id in newest}
    failures = _Failures(now_ms)
    changes = failures.changes
    sending = list(_sending(session, newest))
    features = _features_needed(session, sending)
    for driver_id, message in sending:
        own, result = newest[driver_id], results[driver_id]
        command = _command(message, driver_id)
        if command.command_id in own.open_commands:
            result.held.setdefault(message.device_id, []).append(command.command_id)
        elif message.device_id in own.device_ids:
            if failures.take(message, features.get(message.device_id, "")):
                result.failed.append(message.id)
                continue
            result.offer.append(command)
            result.held.setdefault(message.device_id, []).append(command.command_id)
            changes.note(
                message, "claimed", attempt=message.attempt, device=message.device_id, offered="again"
            )
        else:
            hold(changes, message, "device_away")
    changes.save(session)
    waiting = queries.with_queued(
        session, (device_id for own in newest.values() for device_id in own.device_ids)
    )
    for driver_id, own in newest.items():
        results[driver_id].waiting.extend(sorted(waiting.intersection(own.device_ids)))
    return [
        results[own.driver_id] if newest.get(own.driver_id) is own else SessionSuperseded()
        for own in holdings
    ]


def lose_journals(session: Session, driver_ids: Collection[str], now_ms: int) -> None:
    """Settle every open command of drivers as unknown: their journals were the proof of what never reached the network.

    In the transaction that opens the session, so that no later one can take these for commands that the driver never
    had, and offer them again.
    """
    changes = MessageChanges(now_ms)
    for _, message in _sending(session, driver_ids):
        detail = "The driver's journal was lost; nobody can tell whether the message went out."
        changes.move(message, Evidence.UNKNOWN, reason=REASON_UNKNOWN, detail=detail)
        changes.note(message, "unknown", attempt=message.attempt, cause="journal lost")
    changes.save(session)


def settled_elsewhere(session: Session, held: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Those of the open commands of each driver that are not open here: it must forget the ones it has not started."""
    parsed = (parse_command_id(command) for commands in held.values() for command in commands)
    columns = (_message.c.driver_id, _message.c.id, _message.c.attempt)
    still_open: set[tuple[str, str]] = set()
    for chunk in queries.in_chunks(each[0] for each in parsed if each):
        where = (_message.c.id.in_(chunk), queries.SENDING)
        for driver_id, message_id, attempt in session.execute(select(*columns).where(*where)):
            still_open.add((driver_id, command_id(message_id, attempt)))
    return {
        driver_id: [command for command in commands if (driver_id, command) not in still_open]
        for driver_id, commands in held.items()
    }


def hold(changes: MessageChanges, message: MessageRow, reason: str, asked_ms: int | None = None) -> None:
    """Have a message that certainly was not sent wait before its next attempt. `asked_ms`: what its driver wants."""
    delay_ms = retry_wait_ms(max(message.attempt, 1), asked_ms)
    changes.move(message, Evidence.RETRY)
    message.hold_reason = reason
    message.hold_until_ms = changes.now_ms + delay_ms
    changes.note(message, "retry", attempt=message.attempt, reason=reason, until_ms=message.hold_until_ms)


def _epochs(session: Session, driver_ids: set[str]) -> dict[str, int]:
    """The epochs of drivers; none of them changes before this transaction ends, since an opening locks them whole.

    What else is written of a driver, such as how far its facts were applied, does not wait for this, nor this for it.
    """
    rows = session.execute(
        select(_driver.c.id, _driver.c.epoch)
        .where(_driver.c.id.in_(driver_ids))
        .order_by(_driver.c.id)
        .with_for_update(read=True, key_share=True)
    )
    return {row.id: row.epoch for row in rows}


def _sending(session: Session, driver_ids: Iterable[str]) -> Iterator[tuple[str, MessageRow]]:
    """What drivers have, each message with its driver, oldest first; locked."""
    for chunk in queries.in_chunks(driver_ids):
        where = (_message.c.driver_id.in_(chunk), queries.SENDING)
        rows = session.execute(select(_message).where(*where).order_by(_message.c.id).with_for_update())
        for row in rows.mappings():
            yield row["driver_id"], queries.as_record(row)


class _Failures:
    """Messages that their devices can send no more: what they could was looked at when they were accepted."""

    def __init__(self, now_ms: int) -> None:
        self.changes = MessageChanges(now_ms)
        self.count = 0

    def take(self, message: MessageRow, stored_features: str) -> bool:
        """Fail the message, which no network has, if a device with these features cannot send it; whether it did."""
        accepted = _accepted(message)
        if not contents.needs_features(accepted):
            return False
        faults = contents.violations(accepted, stored_features)
        if not faults:
            return False
        said = "; ".join(fault.description for fault in faults)
        detail = f"Since it was accepted, what its device can send has changed: {said}."
        self.changes.move(message, Evidence.FAILED, reason=REASON_UNSUPPORTED, detail=detail)
        self.changes.note(message, "failed", attempt=message.attempt or None, reason=REASON_UNSUPPORTED)
        self.count += 1
        return True


def _accepted(message: MessageRow) -> contents.Accepted:
    return contents.Accepted(message.destination, message.body, contents.read(message.content))


def _features_needed(session: Session, sending: Iterable[tuple[str, MessageRow]]) -> dict[str, str]:
    """What devices can, as it is stored; only of those that are asked for more than every device can."""
    found: dict[str, str] = {}
    needed = (message.device_id for _, message in sending if contents.needs_features(_accepted(message)))
    for chunk in queries.in_chunks(needed):
        query = select(_device.c.id, _device.c.features).where(_device.c.id.in_(chunk))
        found.update((row.id, row.features) for row in session.execute(query))
    return found


def _features_of_enabled(session: Session, device_ids: Sequence[str]) -> dict[str, str]:
    """What devices can, as it is stored; of those that may send."""
    where = (_device.c.id.in_(device_ids), _device.c.enabled, _device.c.deleted_ms.is_(None))
    rows = session.execute(select(_device.c.id, _device.c.features).where(*where))
    return {row.id: row.features for row in rows}


def _oldest_queued(session: Session, device_id: str, limit: int, now_ms: int) -> list[MessageRow]:
    rows = session.connection().execute(_oldest, {"device": device_id, "now": now_ms, "room": limit})
    return [queries.as_record(row) for row in rows.mappings()]


def _command(message: MessageRow, driver_id: str) -> Command:
    return Command(
        command_id=command_id(message.id, message.attempt),
        message_id=message.id,
        driver_id=driver_id,
        device_id=message.device_id,
        channel=message.channel,
        source=message.source,
        destination=message.destination,
        body=message.body,
        encoding=message.encoding,
        segments=message.segments,
        not_after_ms=message.not_after_ms,
        traceparent=message.traceparent,
        content=contents.read(message.content),
    )
