"""Every way in which a driver stream ends, and what it may cost until then."""

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.driver_sessions import JournalRolledBack
from core.errors import (
    HelloMissing,
    InfiniReachError,
    ReplayTimeout,
    SessionSuperseded,
    SilentTooLong,
)
from core.sessions import session as session_module
from core.store.engine import Store
from core.store.rows import DriverRow
from tests.core_fixtures import OTHER_NUMBER
from tests.driver_frames import (
    device_description,
    facts_frame,
    goodbye_frame,
    heartbeat_frame,
    hello_frame,
    inbound_fact,
    kinds,
)
from tests.fakes.database import file_store
from tests.fakes.driver_stream import HeldWriter, eventually, session_core

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    with file_store(tmp_path) as store:
        yield store


@pytest.fixture
def quick_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "TICKS_PER_HEARTBEAT", 5000)


# Ends


async def test_a_driver_that_says_goodbye_has_left(store: Store) -> None:
    async with session_core(store) as core:
        driver = await core.connect()
        driver.send(goodbye_frame())
        assert await driver.ended() is None
        row = await core.the_driver()
        assert (row.connected, row.lease_until_ms) == (False, core.clock.now_ms())
        assert len(core.registry) == 0


async def test_a_driver_whose_frames_end_has_left(store: Store) -> None:
    async with session_core(store) as core:
        driver = await core.connect()
        driver.send(None)
        assert await driver.ended() is None
        assert not (await core.the_driver()).connected


async def test_a_stream_that_is_cut_is_noted(store: Store) -> None:
    async with session_core(store) as core:
        driver = await core.connect()
        await driver.cut()
        assert not (await core.the_driver()).connected
        assert len(core.registry) == 0


async def test_a_stream_that_is_cut_before_hello_leaves_nothing(store: Store) -> None:
    async with session_core(store) as core:
        driver = core.stream()
        await asyncio.sleep(0)
        await driver.cut()
        assert len(core.registry) == 0


async def test_a_stream_that_breaks_while_it_is_read_ends_alone(store: Store) -> None:
    async with session_core(store) as core:
        driver = await core.connect()
        other = await core.connect(
            driver_name="driver-2", devices=[device_description("modem-2", OTHER_NUMBER)]
        )
        driver.send(ConnectionResetError("reset by peer"))
        assert isinstance(await driver.ended(), InfiniReachError)
        assert core.registry.sessions() == [other.session]
        await core.accept(sender=OTHER_NUMBER)
        await other.wait_for_commands(1)


@pytest.mark.parametrize("frames", [[goodbye_frame()], [facts_frame(inbound_fact(1))], [heartbeat_frame()]])
async def test_a_stream_that_does_not_begin_with_hello_ends(store: Store, frames: list[Any]) -> None:
    async with session_core(store) as core:
        driver = core.stream()
        driver.send(*frames)
        assert isinstance(await driver.ended(), HelloMissing)
        assert driver.frames == []


async def test_a_stream_without_hello_ends_in_time(store: Store) -> None:
    async with session_core(store, hello_timeout_s=0.01) as core:
        assert isinstance(await core.stream().ended(), HelloMissing)


async def test_a_newer_stream_ends_the_older_one(store: Store) -> None:
    async with session_core(store) as core:
        older = await core.connect()
        newer = await core.connect()
        assert isinstance(await older.ended(), SessionSuperseded)
        row = await core.the_driver()
        assert (row.connected, row.epoch) == (True, 2)
        assert core.registry.sessions() == [newer.session]
        await core.accept()
        await newer.wait_for_commands(1)
        assert older.command_ids == []


async def test_streams_of_one_driver_that_open_at_once_leave_the_newest(store: Store) -> None:
    async with session_core(store) as core:
        async with HeldWriter(core):
            drivers = [core.stream() for _ in range(5)]
            for driver in drivers:
                driver.send(hello_frame())
            await eventually(lambda: all(driver.unread == 0 for driver in drivers))
        await eventually(lambda: sum(driver.task.done() for driver in drivers) == 4, "one stream is left")
        (newest,) = (driver for driver in drivers if not driver.task.done())
        ends = [await driver.ended() for driver in drivers if driver is not newest]
        assert all(isinstance(end, SessionSuperseded) for end in ends)
        (live,) = core.registry.sessions()
        assert live.epoch == newest.session.epoch == (await core.the_driver()).epoch == 5
        (message_id,) = await core.accept()
        assert await newest.wait_for_commands(1) == [f"{message_id}-1"]


async def test_facts_of_a_superseded_stream_are_told_so_and_change_nothing(store: Store) -> None:
    async with session_core(store) as core:
        driver = await core.connect()
        await core.store.run(_raise_epoch)  # a newer session, on another core
        driver.send(facts_frame(inbound_fact(1)))
        assert isinstance(await driver.ended(), SessionSuperseded)
        assert await core.states() == []
        assert driver.acknowledged == 0


def _raise_epoch(session: Session) -> None:
    row = session.execute(select(DriverRow)).scalar_one()
    row.epoch += 1
    session.add(row)


async def test_a_journal_that_was_rolled_back_ends_the_stream(store: Store) -> None:
    async with session_core(store) as core:
        first = await core.connect()
        first.send(facts_frame(inbound_fact(1), inbound_fact(2)))
        await first.wait_for_acknowledgement(2)
        second = core.stream()
        second.send(hello_frame(last_sequence=1))
        error = await second.ended()
        assert isinstance(error, JournalRolledBack)
        assert (error.status, error.reason) == ("DATA_LOSS", "JOURNAL_ROLLED_BACK")
        assert core.registry.sessions() == [first.session]


# Bounds


async def test_a_session_with_too_many_unapplied_frames_stops_reading(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "FRAMES_UNAPPLIED_MAX", 4)
    async with session_core(store) as core:
        driver = await core.connect()
        await driver.wait_until_live()
        async with HeldWriter(core):
            driver.send(*(facts_frame(inbound_fact(n)) for n in range(1, 21)))
            await eventually(lambda: driver.unread <= 15)
            for _ in range(50):
                await asyncio.sleep(0)
            assert driver.unread == 15
        await driver.wait_for_acknowledgement(20)


async def test_a_driver_that_reads_nothing_costs_a_bounded_amount(store: Store) -> None:
    async with session_core(store) as core:
        driver = await core.connect()
        driver.send(facts_frame(inbound_fact(1)))
        await driver.wait_for_acknowledgement(1)
        driver.may_read.clear()
        for _ in range(20):
            driver.send(*[facts_frame(inbound_fact(1))] * 100)
            await eventually(lambda: driver.unread == 0)
        outgoing = driver.session._outgoing  # pyright: ignore[reportPrivateUsage]
        assert len(outgoing) <= 2
        before = len(driver.frames)
        driver.may_read.set()
        driver.send(facts_frame(inbound_fact(2)))
        await driver.wait_for_acknowledgement(2)
        assert len(driver.frames) - before <= 4


@pytest.mark.usefixtures("quick_ticks")
async def test_a_driver_that_reads_nothing_is_cut_off(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "FLUSH_S", 0.01)
    async with session_core(store) as core:
        driver = await core.connect()
        driver.may_read.clear()
        for _ in range(40):
            core.clock.advance(1)
            driver.send(heartbeat_frame())
            await eventually(lambda: driver.unread == 0)
        assert isinstance(await driver.ended(), SilentTooLong)


async def test_a_driver_that_reads_nothing_cannot_hold_up_its_own_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "FLUSH_S", 0.01)
    async with session_core(store) as core:
        driver = await core.connect()
        driver.may_read.clear()
        await core.accept()
        await core.connect()
        assert isinstance(await driver.ended(), SessionSuperseded)


# Time


@pytest.mark.usefixtures("quick_ticks")
async def test_a_silent_driver_is_given_up(store: Store) -> None:
    async with session_core(store) as core:
        driver = await core.connect()
        core.clock.advance(26)
        assert isinstance(await driver.ended(), SilentTooLong)
        assert not (await core.the_driver()).connected
        assert len(core.registry) == 0


@pytest.mark.usefixtures("quick_ticks")
async def test_heartbeats_keep_a_stream_alive_on_both_sides(store: Store) -> None:
    async with session_core(store) as core:
        driver = await core.connect()
        for count in range(1, 6):
            core.clock.advance(10)
            driver.send(heartbeat_frame())
            await eventually(lambda: driver.unread == 0)
            await driver.wait_for("heartbeat", count)
        assert not driver.task.done()


@pytest.mark.usefixtures("quick_ticks")
async def test_a_replay_that_never_ends_is_given_up(store: Store) -> None:
    async with session_core(store) as core:
        driver = await core.connect(last_sequence=5)
        for count in range(1, 7):
            core.clock.advance(10)
            driver.send(heartbeat_frame())
            await eventually(lambda: driver.unread == 0)
            await driver.wait_for("heartbeat", count)
        core.clock.advance(1)
        assert isinstance(await driver.ended(), ReplayTimeout)


# Going down


async def test_a_drain_is_told_and_no_command_follows(store: Store) -> None:
    async with session_core(store, poll_s=0.01) as core:
        driver = await core.connect()
        driver.session.drain("restart", 5.0)
        told = await driver.wait_for("drain")
        assert told.drain.reason == "restart"
        await core.accept()
        driver.send(facts_frame(inbound_fact(1)))
        await driver.wait_for_acknowledgement(1)
        assert kinds(driver.frames)[-1] == "acknowledge"
        assert driver.command_ids == []


async def test_nothing_of_a_stream_is_left_when_it_has_ended(store: Store) -> None:
    async with session_core(store) as core:
        before = asyncio.all_tasks()
        for count in range(3):
            driver = await core.connect(last_sequence=min(count, 1))
            driver.send(facts_frame(inbound_fact(1)), goodbye_frame())
            await driver.ended()
        assert asyncio.all_tasks() <= before
