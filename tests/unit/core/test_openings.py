"""Many drivers come at once: a transaction of many openings leaves what as many of one would have left."""

import random
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.dispatch import Holdings, Reconciled, reconcile
from core.driver_sessions import Hello, JournalRolledBack, OpenedSession, open_sessions
from core.errors import InfiniReachError, SessionSuperseded, Unauthenticated
from core.message_state import Evidence
from core.store.rows import AddressRow, DeviceRow, DriverRow, DriverTokenRow, MessageRow
from tests.core_fixtures import (
    LEASE_MS,
    NOW_MS,
    NUMBER,
    OTHER_NUMBER,
    accept_one,
    claim_for,
    claimed_command,
    connect,
    device_of,
    events_of,
    hello,
    offered_device,
    settle,
    without_numbers,
)
from tests.fakes.database import TENANT_A, TENANT_B, memory_session

pytestmark = pytest.mark.usefixtures("database")

NUMBERS = (NUMBER, OTHER_NUMBER, "+15550000003")
MINUTE_MS = 60_000


@pytest.fixture
def session() -> Generator[Session]:
    with memory_session() as session:
        yield session


def open_all(
    session: Session, *hellos: Hello, now_ms: int = NOW_MS
) -> list[OpenedSession | InfiniReachError]:
    session.flush()
    return open_sessions(session, hellos, now_ms, LEASE_MS)


def opened(answer: OpenedSession | InfiniReachError) -> OpenedSession:
    assert isinstance(answer, OpenedSession), answer
    return answer


# One after the other, or together


def some_hello(rng: random.Random) -> Hello:
    """One of few drivers of two tenants, which quarrel over few numbers."""
    devices = tuple(
        offered_device(
            key,
            *rng.sample(NUMBERS, rng.randint(1, 2)),
            channel=rng.choice(("sms", "whatsapp")),
            state=rng.choice(("online", "offline", "attention")),
            window=rng.randint(1, 3),
        )
        for key in rng.sample(("m1", "m2", "m3"), rng.randint(1, 2))
    )
    return hello(
        *(device if rng.random() < 0.8 else without_numbers(device) for device in devices),
        tenant_id=rng.choice((TENANT_A, TENANT_A, TENANT_B)),
        driver_name=rng.choice(("d1", "d2", "d3")),
        journal_id=rng.choice(("j1", "j1", "j1", "j2")),
        first_unacknowledged=rng.randint(1, 3),
        last_sequence=rng.randint(2, 4),
    )


def accept_for_all(session: Session) -> None:
    """A message from each number that tenant A has."""
    own = select(AddressRow).where(AddressRow.tenant_id == TENANT_A)  # pyright: ignore[reportArgumentType]
    for row in session.execute(own.order_by(AddressRow.channel, AddressRow.number)).scalars():
        accept_one(session, sender=row.number, channel=row.channel)


def everything(session: Session) -> dict[str, Any]:
    """What is in the tables, with names in place of ids."""
    session.expire_all()
    drivers = {row.id: row for row in session.execute(select(DriverRow)).scalars()}
    names = {row.id: f"{row.tenant_id[0]}/{row.name}" for row in drivers.values()}
    devices = {
        row.id: f"{names[row.driver_id]}/{row.key}" for row in session.execute(select(DeviceRow)).scalars()
    }
    return {
        "drivers": sorted((names[r.id], r.epoch, r.journal_id, r.applied_sequence) for r in drivers.values()),
        "devices": sorted(
            (devices[r.id], r.state, r.window) for r in session.execute(select(DeviceRow)).scalars()
        ),
        "addresses": sorted(
            (r.channel, r.number, devices[r.device_id], r.slot, r.tenant_id)
            for r in session.execute(select(AddressRow)).scalars()
        ),
        "messages": sorted(
            (r.source, r.channel, devices[r.device_id], r.state)
            for r in session.execute(select(MessageRow)).scalars()
        ),
        "events": sorted(  # of each device in their order; devices that go together have none
            (
                (devices[data["deviceId"]], kind, data["status"], data["phoneNumbers"])
                for kind, data in events_of(session)
                if kind.startswith("device.")
            ),
            key=lambda event: event[0],
        ),
    }


def outcome(answer: OpenedSession | InfiniReachError) -> object:
    """What a driver is told, without ids."""
    if isinstance(answer, InfiniReachError):
        return answer.reason
    refusals = [(refusal.device_key, refusal.number) for refusal in answer.refusals]
    return (
        answer.epoch, answer.resume_after, answer.journal_lost, answer.facts_missing, refusals,
        sorted(answer.keys.values()), sorted(answer.windows.values()), len(answer.drop_commands),
    )  # fmt: skip


def lived_through(batches: Sequence[Sequence[Hello]], *, together: bool) -> tuple[list[object], object]:
    """What drivers are told and what is stored if the hellos of a batch are opened together, or one by one."""
    told: list[object] = []
    with memory_session() as session:
        for batch in batches:
            for turn in [batch] if together else [[each] for each in batch]:
                told.extend(map(outcome, open_all(session, *turn)))
            accept_for_all(session)
        return told, everything(session)


@pytest.mark.parametrize("seed", range(30))
def test_openings_in_one_transaction_do_what_as_many_of_one_would_have_done(seed: int) -> None:
    rng = random.Random(seed)
    batches = [[some_hello(rng) for _ in range(rng.randint(1, 6))] for _ in range(3)]
    assert lived_through(batches, together=True) == lived_through(batches, together=False)


# Each its own answer


def test_a_hello_that_is_refused_harms_no_other(session: Session) -> None:
    first = connect(session)
    settle(session, first, claimed_command(session, first), Evidence.SUBMITTED, Evidence.DELIVERED)
    add_token(session, "revoked", revoked_ms=NOW_MS)
    other = hello(offered_device("modem-2", OTHER_NUMBER), driver_name="driver-2")
    third = hello(offered_device("modem-3", NUMBERS[2]), driver_name="driver-3")
    rolled_back, unwanted, fine = open_all(
        session, hello(last_sequence=1), replace(other, token_id="revoked"), third
    )
    assert isinstance(rolled_back, JournalRolledBack)
    assert isinstance(unwanted, Unauthenticated)
    assert opened(fine).epoch == 1
    names = sorted(row.name for row in session.execute(select(DriverRow)).scalars())
    assert names == ["driver-1", "driver-3"]


def test_a_driver_that_comes_twice_is_superseded_by_its_later_hello(session: Session) -> None:
    older, newer = map(opened, open_all(session, hello(), hello(offered_device(window=2))))
    assert (older.driver_id, older.epoch, newer.epoch) == (newer.driver_id, 1, 2)
    assert list(newer.windows.values()) == [2]


def test_the_use_of_a_token_is_noted_once_a_minute(session: Session) -> None:
    add_token(session, "token-1")
    for now_ms in (NOW_MS, NOW_MS + 1, NOW_MS + MINUTE_MS):
        connect(session, now_ms=now_ms)
        used = session.execute(select(DriverTokenRow.last_used_ms)).scalar_one()  # pyright: ignore[reportArgumentType, reportCallIssue]
        assert used == (NOW_MS if now_ms < NOW_MS + MINUTE_MS else now_ms)


def add_token(session: Session, token_id: str, *, revoked_ms: int | None = None) -> None:
    token = DriverTokenRow(
        id=token_id, tenant_id=TENANT_A, name="t", secret_sha256=b"", created_ms=1, revoked_ms=revoked_ms
    )
    session.add(token)
    session.flush()


def test_a_device_that_is_as_it_was_is_not_written_again(session: Session) -> None:
    first = connect(session)
    connect(session, now_ms=NOW_MS + 1)
    assert session.get_one(DeviceRow, device_of(first)).seen_ms == NOW_MS
    connect(session, offered_device(window=9), now_ms=NOW_MS + 2)
    session.expire_all()
    row = session.get_one(DeviceRow, device_of(first))
    assert (row.seen_ms, row.window) == (NOW_MS + 2, 9)


# Reconciles


def holdings(session: OpenedSession, *open_commands: str) -> Holdings:
    return Holdings(session.driver_id, session.epoch, set(open_commands), list(session.keys))


def test_sessions_reconcile_together_and_each_gets_its_own(session: Session) -> None:
    first = connect(session)
    second = connect(session, offered_device("modem-2", OTHER_NUMBER), driver_name="driver-2")
    accept_one(session)
    accept_one(session, sender=OTHER_NUMBER)
    (mine,), (held,) = claim_for(session, first).commands, claim_for(session, second).commands
    accept_one(session)
    stale = connect(session)
    newer = connect(session)
    answers = reconcile(
        session, [holdings(stale), holdings(second, held.command_id), holdings(newer)], NOW_MS
    )
    assert isinstance(answers[0], SessionSuperseded)
    assert answers[1] == Reconciled([], {held.device_id: [held.command_id]}, [])
    assert answers[2] == Reconciled([mine], {mine.device_id: [mine.command_id]}, [mine.device_id])
