"""Use cases of driver sessions: they open, stay alive and end.

Owns epochs, leases and where a driver's facts go on. Many sessions open in one transaction, since many drivers come
back at the same moment; the devices that each of them brings along are those of core.devices.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from core.accounts import USE_NOTED_EVERY_MS
from core.devices import Enrolment, OfferedDevice, Refusal
from core.dispatch import lose_journals, settled_elsewhere
from core.errors import InfiniReachError, ProtocolViolation, Unauthenticated
from core.ids import new_uuid
from core.store.bulk import insert_rows, update_rows
from core.store.messages import in_chunks
from core.store.rows import DriverRow, DriverTokenRow, record

_driver = DriverRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_token = DriverTokenRow.__table__  # pyright: ignore[reportAttributeAccessIssue]

_OPENED = (
    "id", "kind", "version", "token_id", "instance_id", "journal_id", "epoch", "applied_sequence", "connected",
    "seen_ms", "lease_until_ms",
)  # fmt: skip
"""What an opening says of a driver that is known."""


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


def open_sessions(
    session: Session, hellos: Sequence[Hello], now_ms: int, lease_ms: int
) -> list[OpenedSession | InfiniReachError]:
    """Open a session with a new epoch for each hello; every older session of its driver is superseded from now on.

    One answer for each, in their order. An error is that hello's own, and nothing was changed for it:
    JournalRolledBack; Unauthenticated for a token that was revoked since the stream began.
    """
    answers: list[OpenedSession | InfiniReachError] = []
    for turn in _turns(hellos):
        answers.extend(_open_turn(session, turn, now_ms, lease_ms))
    return answers


def _turns(hellos: Sequence[Hello]) -> Iterator[list[Hello]]:
    """The hellos in their order, in turns in which no driver comes twice: its second one supersedes the first."""
    turn: dict[tuple[str, str], Hello] = {}
    for hello in hellos:
        if (hello.tenant_id, hello.driver_name) in turn:
            yield list(turn.values())
            turn = {}
        turn[hello.tenant_id, hello.driver_name] = hello
    yield list(turn.values())


def _open_turn(
    session: Session, hellos: Sequence[Hello], now_ms: int, lease_ms: int
) -> list[OpenedSession | InfiniReachError]:
    revoked = _use_tokens(session, {hello.token_id for hello in hellos}, now_ms)
    drivers = _lock_drivers(session, hellos)
    answers: list[OpenedSession | InfiniReachError] = []
    opened: list[tuple[OpenedSession, Hello, DriverRow]] = []
    for hello in hellos:
        driver = drivers.get((hello.tenant_id, hello.driver_name)) or _new_driver(hello, now_ms)
        try:
            if hello.token_id in revoked:
                raise Unauthenticated("The driver token was revoked.")
            answer = _take_over(driver, hello, now_ms, lease_ms)
        except InfiniReachError as error:
            answers.append(error)
            continue
        answers.append(answer)
        opened.append((answer, hello, driver))
    _save_drivers(session, [driver for _, _, driver in opened])
    lose_journals(session, {answer.driver_id for answer, _, _ in opened if answer.journal_lost}, now_ms)
    settled = settled_elsewhere(session, {driver.id: hello.open_commands for _, hello, driver in opened})
    enrolment = Enrolment(session, {driver.id: hello.devices for _, hello, driver in opened}, now_ms)
    for answer, hello, driver in opened:
        answer.drop_commands.extend(settled[driver.id])
        enrolled = enrolment.enrol(driver, hello.devices)
        answer.keys.update((device.id, device.key) for device in enrolled.devices)
        answer.windows.update((device.id, device.window) for device in enrolled.devices)
        answer.refusals.extend(enrolled.refusals)
    enrolment.save()
    return answers


def _use_tokens(session: Session, token_ids: Collection[str], now_ms: int) -> set[str]:
    """Note that these tokens are used, at most once a minute each; answers which of them are revoked."""
    revoked: set[str] = set()
    due: list[str] = []
    for chunk in in_chunks(token_ids):
        columns = (_token.c.id, _token.c.revoked_ms, _token.c.last_used_ms)
        for row in session.execute(select(*columns).where(_token.c.id.in_(chunk))):
            if row.revoked_ms is not None:
                revoked.add(row.id)
            elif row.last_used_ms is None or row.last_used_ms <= now_ms - USE_NOTED_EVERY_MS:
                due.append(row.id)
    if due:
        last = _token.c.last_used_ms  # looked at again: others may have noted it meanwhile
        not_yet = or_(last.is_(None), last <= now_ms - USE_NOTED_EVERY_MS)
        session.execute(update(_token).where(_token.c.id.in_(due), not_yet).values(last_used_ms=now_ms))
    return revoked


def _lock_drivers(session: Session, hellos: Sequence[Hello]) -> dict[tuple[str, str], DriverRow]:
    """The known drivers by tenant and name, locked in the order of their ids, as everywhere.

    Locked whole, as nothing else locks them: who relies on an epoch only has to keep this out.
    """
    names: dict[str, list[str]] = {}
    for hello in hellos:
        names.setdefault(hello.tenant_id, []).append(hello.driver_name)
    ids: list[str] = []
    for tenant_id, own in names.items():
        for chunk in in_chunks(own):
            where = (_driver.c.tenant_id == tenant_id, _driver.c.name.in_(chunk))
            ids.extend(session.execute(select(_driver.c.id).where(*where)).scalars())
    drivers: dict[tuple[str, str], DriverRow] = {}
    for chunk in in_chunks(ids):
        query = select(_driver).where(_driver.c.id.in_(chunk)).order_by(_driver.c.id).with_for_update()
        for row in session.execute(query).mappings():
            drivers[row["tenant_id"], row["name"]] = record(row)
    return drivers


def _new_driver(hello: Hello, now_ms: int) -> DriverRow:
    return record({
        "id": new_uuid(), "tenant_id": hello.tenant_id, "name": hello.driver_name, "kind": "", "version": "",
        "token_id": "", "instance_id": "", "journal_id": "", "epoch": 0, "applied_sequence": 0, "connected": False,
        "lease_until_ms": 0, "seen_ms": now_ms, "created_ms": now_ms,
    })  # fmt: skip


def _take_over(driver: DriverRow, hello: Hello, now_ms: int, lease_ms: int) -> OpenedSession:
    """Make the hello's session the driver's newest. Raises JournalRolledBack."""
    journal_lost = driver.epoch > 0 and driver.journal_id != hello.journal_id
    facts_missing = _place_in_journal(driver, hello)
    driver.kind, driver.version = hello.driver_kind, hello.driver_version
    driver.token_id, driver.instance_id = hello.token_id, hello.instance_id
    driver.journal_id = hello.journal_id
    driver.epoch += 1
    driver.connected, driver.seen_ms, driver.lease_until_ms = True, now_ms, now_ms + lease_ms
    return OpenedSession(
        driver_id=driver.id,
        epoch=driver.epoch,
        resume_after=driver.applied_sequence,
        journal_lost=journal_lost,
        facts_missing=facts_missing,
        keys={},
        windows={},
        drop_commands=[],
    )


def _save_drivers(session: Session, drivers: Sequence[DriverRow]) -> None:
    """Write the drivers of sessions that opened; one with its first session is new."""
    insert_rows(session, _driver, [vars(driver) for driver in drivers if driver.epoch == 1])
    known = [driver for driver in drivers if driver.epoch > 1]
    update_rows(session, _driver, [{name: getattr(driver, name) for name in _OPENED} for driver in known])


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


def close_sessions(session: Session, sessions: Sequence[tuple[str, int]], now_ms: int) -> None:
    """Note that sessions (driver id, epoch) ended; nothing where a newer one is live."""
    ended = _newest(session, sessions)
    closed = {"connected": False, "seen_ms": now_ms, "lease_until_ms": now_ms}
    update_rows(session, _driver, [{"id": driver_id, **closed} for driver_id in sorted(ended)])


def renew_leases(
    session: Session, sessions: Sequence[tuple[str, int]], now_ms: int, lease_ms: int
) -> set[tuple[str, int]]:
    """Renew the leases of live sessions (driver id, epoch); answers those of them that a newer one has replaced."""
    live = _newest(session, sessions)
    renewed = {"connected": True, "seen_ms": now_ms, "lease_until_ms": now_ms + lease_ms}
    update_rows(session, _driver, [{"id": driver_id, **renewed} for driver_id in sorted(live)])
    return {(driver_id, epoch) for driver_id, epoch in sessions if live.get(driver_id) != epoch}


def _newest(session: Session, sessions: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Those of the sessions (driver id, epoch) that are their drivers' newest; their drivers are locked."""
    wanted = set(sessions)
    found: dict[str, int] = {}
    for chunk in in_chunks(driver_id for driver_id, _ in sessions):
        query = select(_driver.c.id, _driver.c.epoch).where(_driver.c.id.in_(chunk))
        for row in session.execute(query.order_by(_driver.c.id).with_for_update(key_share=True)):
            if (row.id, row.epoch) in wanted:
                found[row.id] = row.epoch
    return found


def revoked_tokens(session: Session, token_ids: Sequence[str]) -> set[str]:
    """Which of these driver tokens are revoked or gone."""
    where = (_token.c.id.in_(token_ids), _token.c.revoked_ms.is_(None))
    return set(token_ids) - set(session.execute(select(_token.c.id).where(*where)).scalars())
