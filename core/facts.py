"""Use case: apply what drivers saw.

Owns the effect of each kind of fact. Facts of many sessions are applied in one transaction; a fact that was applied
before, or that comes from a superseded session, changes nothing. One that cannot be applied is kept aside.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import bindparam, delete, select
from sqlalchemy.orm import Session

from core.device_events import device_event_type, device_events
from core.dispatch import hold
from core.fact_values import DeviceChange, DriverFacts, Fact, Inbound, Report, Unreadable
from core.ids import first_id, new_id, parse_command_id
from core.message_changes import MessageChanges
from core.message_state import (
    REASON_CANCELLED,
    REASON_EXPIRED,
    REASON_UNKNOWN,
    RETRIED_REASONS,
    WAITING,
    Evidence,
    State,
)
from core.messages import count
from core.retention import KEPT_MS_MIN
from core.store import messages as queries
from core.store.bulk import insert_rows, update_rows
from core.store.rows import DeviceRow, DriverRow, MessageRow, RejectedFactRow

_driver = DriverRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_device = DeviceRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_rejected = RejectedFactRow.__table__  # pyright: ignore[reportAttributeAccessIssue]

_forget_rejected = delete(_rejected).where(
    *(_rejected.c[name] == bindparam(name) for name in ("driver_id", "journal_id", "sequence"))
)


_BEFORE_SENDING = {REASON_EXPIRED: Evidence.EXPIRED, REASON_CANCELLED: Evidence.CANCELLED}
"""What these reasons of a failure mean for a message that was not sent yet."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A fact that was kept aside; its reason as in the driver protocol. `detail` is logged, so it quotes no input."""

    sequence: int
    reason: str
    detail: str


@dataclass(slots=True)
class Applied:
    """`acknowledged`: every fact up to it is committed. `superseded`: nothing of this session counts any more.
    `gap`: facts are missing before the next one, which was left alone with all that follow it.
    `unsettled`: commands that were reported on and have no result yet, since a part was delivered first."""

    acknowledged: int = 0
    superseded: bool = False
    gap: bool = False
    rejected: list[Rejection] = field(default_factory=list)
    unsettled: set[str] = field(default_factory=set)


class _Rejected(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail


def apply_facts(session: Session, batches: Sequence[DriverFacts], now_ms: int) -> list[Applied]:
    """Apply facts of any number of sessions; one answer for each entry, in their order."""
    drivers = _lock_drivers(session, {batch.driver_id for batch in batches})
    application = _Application(session, now_ms, [fact for batch in batches for fact in batch.facts])
    results = []
    for batch in batches:
        driver = drivers.get(batch.driver_id)
        if driver is None or driver.epoch != batch.epoch:
            results.append(Applied(superseded=True))
            continue
        results.append(application.apply(driver, batch.facts))
    application.save(drivers.values())
    return results


class _Application:
    """One transaction's worth of facts."""

    def __init__(self, session: Session, now_ms: int, facts: Sequence[Fact]) -> None:
        self.session = session
        self.now_ms = now_ms
        self.changes = MessageChanges(now_ms)
        self.messages = _messages_of(session, facts)
        self.devices: dict[tuple[str, str], DeviceRow] = {}
        self.inbound: list[dict[str, Any]] = []
        self.aside: list[dict[str, Any]] = []
        self.answered: set[tuple[str, str]] = set()
        """Tenants and outbound messages of theirs that inbound ones answer."""

    def apply(self, driver: DriverRow, facts: Sequence[Fact]) -> Applied:
        result = Applied(acknowledged=driver.applied_sequence)
        known = self._look_up(driver, facts)
        for fact in facts:
            if fact.sequence <= result.acknowledged:
                continue
            if fact.sequence != result.acknowledged + 1:  # the frame before this one failed
                result.gap = True
                break
            try:
                self._apply_one(driver, fact, known)
            except _Rejected as rejected:
                result.rejected.append(Rejection(fact.sequence, rejected.reason, rejected.detail))
                self._keep_aside(driver, fact, rejected.reason)
            result.acknowledged = fact.sequence
        driver.applied_sequence = result.acknowledged
        reported = (fact.command_id for fact in facts if isinstance(fact, Report))
        result.unsettled = {command_id for command_id in reported if self._is_unsettled(command_id)}
        return result

    def _is_unsettled(self, command_id: str) -> bool:
        message_id, attempt = parse_command_id(command_id) or ("", 0)
        message = self.messages.get(message_id)
        return message is not None and message.state == State.SENDING and message.attempt == attempt

    def save(self, drivers: Collection[DriverRow]) -> None:
        queries.insert_all(self.session, self.inbound)
        self.changes.save(self.session)
        if self.aside:  # a journal that came back from a backup may bring a fact again
            self.session.connection().execute(_forget_rejected, self.aside)
            insert_rows(self.session, _rejected, self.aside)
        moved = [{"id": driver.id, "applied_sequence": driver.applied_sequence} for driver in drivers]
        update_rows(self.session, _driver, moved)

    def _look_up(self, driver: DriverRow, facts: Sequence[Fact]) -> set[str]:
        """Have the devices that facts name at hand; answers which inbound messages are known already."""
        keys = {fact.device_key for fact in facts if isinstance(fact, Inbound | DeviceChange)}
        for chunk in queries.in_chunks(key for key in keys if (driver.id, key) not in self.devices):
            where = (_device.c.driver_id == driver.id, _device.c.key.in_(chunk))
            for device in self.session.execute(select(DeviceRow).where(*where)).scalars():
                self.devices[driver.id, device.key] = device
        known: set[str] = set()
        for chunk in queries.in_chunks(_origin(driver, fact) for fact in facts if isinstance(fact, Inbound)):
            query = select(queries.message.c.origin).where(queries.message.c.origin.in_(chunk))
            known.update(self.session.execute(query).scalars())
        self._look_up_answered(driver, facts)
        return known

    def _look_up_answered(self, driver: DriverRow, facts: Sequence[Fact]) -> None:
        named = (_answered_id(fact) for fact in facts if isinstance(fact, Inbound))
        for chunk in queries.in_chunks(each for each in named if each):
            where = (
                queries.message.c.tenant_id == driver.tenant_id,
                queries.message.c.id.in_(chunk),
                queries.message.c.direction == "outbound",
            )
            found = self.session.execute(select(queries.message.c.id).where(*where)).scalars()
            self.answered.update((driver.tenant_id, message_id) for message_id in found)

    def _apply_one(self, driver: DriverRow, fact: Fact, known: set[str]) -> None:
        match fact:
            case Report():
                self._report(driver, fact)
            case Inbound():
                if _origin(driver, fact) not in known:
                    self._inbound(driver, fact)
            case DeviceChange():
                self._device_change(driver, fact)
            case Unreadable():
                raise _Rejected("INVALID_FACT", fact.problem)

    def _report(self, driver: DriverRow, report: Report) -> None:
        parsed = parse_command_id(report.command_id)
        message = self.messages.get(parsed[0]) if parsed else None
        if parsed and message is None and parsed[0] < first_id(self.now_ms - KEPT_MS_MIN):
            return  # of a message that may have been removed meanwhile: no fault of the driver's
        if parsed is None or message is None or not _may_report(driver, message, parsed[1]):
            raise _Rejected("UNKNOWN_COMMAND", "This driver was never given the command that the fact names.")
        is_over = message.state in WAITING and report.outcome not in (Evidence.SUBMITTED, Evidence.DELIVERED)
        if parsed[1] < message.attempt or is_over:
            self.changes.note(
                message,
                "late_report",
                attempt=parsed[1],
                outcome=report.outcome,
                reason=report.reason or None,
            )
            return
        if report.outcome is Evidence.DELIVERED:
            self._delivered(message, report)
        elif report.outcome is Evidence.FAILED:
            self._failed(message, report)
        else:
            self._settled(message, report)

    def _settled(self, message: MessageRow, report: Report) -> None:
        reason = {Evidence.CANCELLED: REASON_CANCELLED, Evidence.UNKNOWN: REASON_UNKNOWN}.get(report.outcome)
        moved = self.changes.move(message, report.outcome, reason=reason, detail=report.detail)
        name = report.outcome.value if moved else "late_report"
        references = ",".join(report.references) or None
        outcome = None if moved else report.outcome.value
        self.changes.note(message, name, attempt=message.attempt, references=references, outcome=outcome)

    def _delivered(self, message: MessageRow, report: Report) -> None:
        whole = (1 << message.segments) - 1
        reported = sum(1 << (n - 1) for n in {n for n in report.segments if 1 <= n <= message.segments})
        before = message.segments_delivered
        is_whole = report.is_read or not report.segments
        message.segments_delivered = whole if is_whole else before | reported
        if message.segments_delivered != before:  # else it is said twice
            self.changes.touch(message)
            shown = None if is_whole else ",".join(map(str, report.segments))
            self.changes.note(message, "delivered", attempt=message.attempt, segments=shown)
            if message.segments_delivered == whole:
                self.changes.move(message, Evidence.DELIVERED)
        if report.is_read and self.changes.read(message):
            self.changes.note(message, "read", attempt=message.attempt)

    def _failed(self, message: MessageRow, report: Report) -> None:
        if message.state == State.SENDING and report.reason in RETRIED_REASONS:
            hold(self.changes, message, report.reason, report.retry_delay_ms)
            return
        evidence = Evidence.UNKNOWN if report.reason == REASON_UNKNOWN else Evidence.FAILED
        if message.state == State.SENDING:
            evidence = _BEFORE_SENDING.get(report.reason, evidence)
        moved = self.changes.move(
            message, evidence, reason=report.reason, code=report.code, detail=report.detail
        )
        outcome = None if moved else report.outcome.value
        name = "failed" if moved else "late_report"
        self.changes.note(
            message,
            name,
            attempt=message.attempt,
            reason=report.reason,
            code=report.code or None,
            outcome=outcome,
        )

    def _inbound(self, driver: DriverRow, fact: Inbound) -> None:
        device = self._device(driver, fact.device_key)
        row: dict[str, Any] = {
            "id": new_id(self.now_ms),
            "tenant_id": driver.tenant_id,
            "direction": "inbound",
            "channel": fact.channel,
            "device_id": device.id,
            "source": fact.source,
            "destination": fact.destination,
            "body": fact.text,
            "content": fact.content,
            "reply_to_id": self._answered(driver, fact),
            "sender_name": fact.sender_name or None,
            "group_id": fact.group_id or None,
            "origin": _origin(driver, fact),
            "state": State.DELIVERED.value,
            "encoding": count(fact.channel, fact.text).encoding,
            "segments": fact.segments,
            "segments_delivered": 0,
            "attempt": 0,
            "events": 0,
            "sent_ms": fact.network_ms,
            "delivered_ms": self.now_ms,
            "not_after_ms": self.now_ms,
            "created_ms": self.now_ms,
        }
        message = MessageRow(**row)
        self.changes.announce_inbound(message)
        self.inbound.append(row | {"events": message.events})
        self.changes.note(message, "received", device=device.id, segments=fact.segments)

    def _answered(self, driver: DriverRow, fact: Inbound) -> str | None:
        """The message that it answers; None if the tenant has none such, whatever a network says."""
        answered_id = _answered_id(fact)
        return answered_id if (driver.tenant_id, answered_id) in self.answered else None

    def _device_change(self, driver: DriverRow, fact: DeviceChange) -> None:
        device = self._device(driver, fact.device_key)
        if device.deleted_ms is not None:  # its owner removed it; only the next hello brings it back
            return
        if fact.is_replayed and (fact.state, fact.window) != (device.state, device.window):
            return  # it was so before the hello, which says otherwise
        before, pairing_before = device.state, device.pairing_payload
        device.state, device.state_reason, device.remedy = fact.state, fact.reason, fact.remedy
        device.window, device.pairing_payload = fact.window, fact.pairing_payload
        device.signal_percent, device.battery_percent = fact.signal_percent, fact.battery_percent
        device.seen_ms = self.now_ms
        self.session.add(device)
        self.session.flush()
        event_type = device_event_type(before, fact.state)
        if fact.state == "attention" and fact.pairing_payload != pairing_before:
            event_type = "device.attention"  # a person needs the new code
        if event_type:
            self.changes.add_events(device_events(self.session, [(device, event_type)], self.now_ms))

    def _device(self, driver: DriverRow, key: str) -> DeviceRow:
        device = self.devices.get((driver.id, key))
        if device is None:
            raise _Rejected("UNKNOWN_DEVICE", "This driver has no device with the key that the fact names.")
        return device

    def _keep_aside(self, driver: DriverRow, fact: Fact, reason: str) -> None:
        self.aside.append({
            "driver_id": driver.id,
            "journal_id": driver.journal_id,
            "sequence": fact.sequence,
            "at_ms": self.now_ms,
            "reason": reason,
            "fact": json.dumps(asdict(fact)),
        })


def _may_report(driver: DriverRow, message: MessageRow, attempt: int) -> bool:
    """Whether the driver may have had this attempt; who had an earlier one is known no more, but for its tenant."""
    if attempt < message.attempt:
        return driver.tenant_id == message.tenant_id
    return attempt == message.attempt and driver.id == message.driver_id


def _lock_drivers(session: Session, driver_ids: set[str]) -> dict[str, DriverRow]:
    """Against other facts of theirs and against openings; claims for them go on beside this."""
    query = select(_driver).where(_driver.c.id.in_(driver_ids)).order_by(_driver.c.id)
    rows = session.execute(query.with_for_update(key_share=True))
    return {row["id"]: DriverRow(**row) for row in rows.mappings()}


def _messages_of(session: Session, facts: Sequence[Fact]) -> dict[str, MessageRow]:
    parsed = [parse_command_id(fact.command_id) for fact in facts if isinstance(fact, Report)]
    return queries.load(session, [named[0] for named in parsed if named])


def _answered_id(fact: Inbound) -> str:
    return (parse_command_id(fact.reply_to_command_id) or ("", 0))[0]


def _origin(driver: DriverRow, fact: Inbound) -> str:
    return f"{driver.id}:{driver.journal_id}:{fact.sequence}"
