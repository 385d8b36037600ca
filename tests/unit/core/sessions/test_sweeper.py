"""What time does by itself: nothing that is live counts as gone, and no backlog is left to the next turn."""

from collections.abc import Generator, Sequence
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select
from sqlmodel import col

from core.clock import Clock
from core.deadlines import SWEEP_MAX
from core.driver_sessions import OpenedSession, open_sessions
from core.errors import SessionSuperseded
from core.eventlog.metrics import RelayMetrics
from core.eventlog.relay import Relay
from core.events import PublishedEvent
from core.messages import accept
from core.sessions import sweeper as sweeper_module
from core.sessions.dispatcher import Dispatcher
from core.sessions.registry import Registry
from core.sessions.sweeper import Sweeper
from core.store.engine import Store
from core.store.rows import DeviceRow, DriverRow, MessageRow
from tests.core_fixtures import LEASE_MS, TTL_MS, device_of, hello, new_message, offered_device, open_session
from tests.fakes.database import file_store
from tests.fakes.driver_stream import FakeSession
from tests.fakes.set_clock import SetClock

pytestmark = pytest.mark.usefixtures("database")

OFFLINE_AFTER_S = 25.0
JUMP_S = 3600.0


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    with file_store(tmp_path) as store:
        yield store


_states = select(col(MessageRow.state), func.count()).group_by(col(MessageRow.state))


class NoLog:
    """Publishes nothing."""

    async def publish(self, events: Sequence[PublishedEvent]) -> None:
        """Nobody asks for it here."""
        raise AssertionError(events)


def sweeper_of(
    store: Store, clock: Clock, registry: Registry, *, offline_after_s: float = OFFLINE_AFTER_S
) -> Sweeper:
    return Sweeper(
        store,
        clock,
        registry=registry,
        dispatcher=Dispatcher(store, registry, clock, 60.0),
        relay=Relay(store, NoLog(), RelayMetrics(CollectorRegistry())),
        lease_s=LEASE_MS / 1000,
        offline_after_s=offline_after_s,
    )


async def opened_session(store: Store, clock: SetClock) -> OpenedSession:
    return await store.run(open_session, hello(), clock.now_ms(), LEASE_MS)


async def device_state(store: Store, opened: OpenedSession) -> str:
    return await store.read(lambda session: session.get_one(DeviceRow, device_of(opened)).state)


async def test_a_clock_that_jumps_leaves_devices_of_live_sessions_online(store: Store) -> None:
    clock, registry = SetClock(), Registry()
    sweeper = sweeper_of(store, clock, registry)
    opened = await opened_session(store, clock)
    session = FakeSession(opened.driver_id, opened.epoch, {device_of(opened): 1})
    registry.add(session)
    clock.advance(JUMP_S)
    await sweeper.presence()
    assert await device_state(store, opened) == "online"
    registry.remove(session)
    clock.advance(JUMP_S)
    await sweeper.presence()
    clock.advance(LEASE_MS / 2000)
    await sweeper.presence()
    assert await device_state(store, opened) == "offline"


@pytest.mark.parametrize("first", ["presence", "leases"])
async def test_after_an_outage_no_core_takes_the_drivers_of_another_for_gone(
    store: Store, first: str
) -> None:
    clock, here, there = SetClock(), Registry(), Registry()
    opened = await opened_session(store, clock)
    there.add(FakeSession(opened.driver_id, opened.epoch, {device_of(opened): 1}))
    one, other = sweeper_of(store, clock, here), sweeper_of(store, clock, there)
    clock.advance(60)  # nobody could write for a minute
    await getattr(one, first)()
    await one.presence()
    clock.advance(LEASE_MS / 3000)
    await one.presence()
    await other.leases()
    clock.advance(LEASE_MS / 2000)
    await one.presence()
    assert await device_state(store, opened) == "online"


async def test_nor_after_one_that_was_shorter_than_a_lease_that_others_had_not_just_renewed(
    store: Store,
) -> None:
    clock, there = SetClock(), Registry()
    opened = await opened_session(store, clock)
    there.add(FakeSession(opened.driver_id, opened.epoch, {device_of(opened): 1}))
    one = sweeper_of(store, clock, Registry(), offline_after_s=LEASE_MS / 6000)
    await sweeper_of(store, clock, there).leases()
    clock.advance(LEASE_MS / 2000)
    await one.leases()
    clock.advance(LEASE_MS * 0.7 / 1000)  # nobody could write
    await one.presence()
    assert await device_state(store, opened) == "online"


async def test_a_core_that_has_just_started_judges_no_lease_before_the_others_could_renew_theirs(
    store: Store,
) -> None:
    clock = SetClock()
    opened = await opened_session(store, clock)
    clock.advance(60)
    sweeper = sweeper_of(store, clock, Registry())
    await sweeper.presence()
    assert await device_state(store, opened) == "online"
    clock.advance(LEASE_MS / 2000)
    await sweeper.presence()
    assert await device_state(store, opened) == "offline"


async def test_everything_that_is_too_late_expires_in_one_turn(store: Store) -> None:
    clock = SetClock()
    await opened_session(store, clock)
    late = SWEEP_MAX + 1
    await store.run(accept, [new_message()] * late, clock.now_ms(), TTL_MS)
    clock.advance(TTL_MS / 1000 + 1)
    await sweeper_of(store, clock, Registry()).deadlines()
    counted = await store.read(lambda session: session.execute(_states).all())
    assert [tuple(row) for row in counted] == [("expired", late)]


async def test_many_leases_are_renewed_part_by_part(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper_module, "LEASES_PER_TRANSACTION_MAX", 2)
    clock, registry = SetClock(), Registry()
    hellos = [hello(offered_device(f"m{n}", f"+1555000{n:04}"), driver_name=f"driver-{n}") for n in range(5)]
    answers = await store.run(open_sessions, hellos, clock.now_ms(), LEASE_MS)
    live = [
        FakeSession(each.driver_id, each.epoch, {}) for each in answers if isinstance(each, OpenedSession)
    ]
    superseded = live[3]
    await store.run(open_sessions, hellos[3:4], clock.now_ms(), LEASE_MS)
    for session in live:
        registry.add(session)
    clock.advance(1)
    await sweeper_of(store, clock, registry).leases(spread_s=0.0)
    rows = await store.read(lambda session: list(session.execute(select(DriverRow)).scalars()))
    renewed = {row.id for row in rows if row.lease_until_ms == clock.now_ms() + LEASE_MS}
    assert renewed == {session.driver_id for session in live if session is not superseded}
    assert isinstance(superseded.closed_with, SessionSuperseded)
    assert len(registry) == 4
