"""One driver stream over a real store, end to end: commands down, facts up, none lost and none twice."""

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from core import facts
from core.errors import (
    FactNotApplicable,
    InfiniReachError,
    ProtocolViolation,
    SequenceGap,
    Unavailable,
)
from core.store.engine import Store
from core.store.rows import DriverRow, MessageRow, RejectedFactRow
from infinireach.driver.v1 import session_pb2
from tests.core_fixtures import LEASE_MS, OTHER_NUMBER
from tests.driver_frames import (
    change_fact,
    device_description,
    facts_frame,
    heartbeat_frame,
    hello_frame,
    inbound_fact,
    report_fact,
)
from tests.fakes.database import file_store
from tests.fakes.driver_stream import HeldWriter, eventually, session_core

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    with file_store(tmp_path) as store:
        yield store


# The walk


async def test_a_message_goes_out_and_its_reports_come_back(store: Store) -> None:
    async with session_core(store) as core:
        driver = await core.connect()
        (message_id,) = await core.accept()
        (command_id,) = await driver.wait_for_commands(1)
        assert command_id == f"{message_id}-1"
        driver.send(facts_frame(report_fact(1, command_id)))
        await driver.wait_for_acknowledgement(1)
        assert await core.states() == ["sent"]
        driver.send(facts_frame(report_fact(2, command_id, delivered={})))
        await driver.wait_for_acknowledgement(2)
        assert await core.states() == ["delivered"]
        assert core.applied == 2


async def test_an_open_session_is_registered_and_holds_a_lease(store: Store) -> None:
    async with session_core(store) as core:
        driver = await core.connect()
        row = await core.the_driver()
        assert (row.connected, row.epoch) == (True, 1)
        assert row.lease_until_ms == core.clock.now_ms() + LEASE_MS
        assert core.registry.sessions() == [driver.session]
        assert driver.session.driver_id == row.id
        assert driver.session.epoch == 1
        assert core.registry.of_device(driver.session.device_ids[0]) is driver.session


async def test_an_acknowledgement_comes_after_the_commit(store: Store) -> None:
    async with session_core(store) as core:
        driver = await core.connect()
        await driver.wait_until_live()
        async with HeldWriter(core):
            driver.send(facts_frame(inbound_fact(1)), heartbeat_frame())
            await eventually(lambda: driver.unread == 0)
            for _ in range(50):
                await asyncio.sleep(0)
            assert driver.acknowledged == 0
        await driver.wait_for_acknowledgement(1)


async def test_a_full_window_waits_for_reports_and_then_goes_on(store: Store) -> None:
    async with session_core(store) as core:
        driver = await core.connect(devices=[device_description(window=2)])
        ids = [f"{message_id}-1" for message_id in await core.accept(5)]
        assert await driver.wait_for_commands(2) == ids[:2]
        driver.send(facts_frame(report_fact(1, ids[0])))
        assert await driver.wait_for_commands(3) == ids[:3]
        driver.send(facts_frame(change_fact(2, window=5), report_fact(3, ids[1]), report_fact(4, ids[2])))
        assert await driver.wait_for_commands(5) == ids
        assert await core.states() == ["sent", "sent", "sent", "sending", "sending"]


async def test_facts_are_replayed_before_commands_flow(store: Store) -> None:
    async with session_core(store, poll_s=0.01) as core:
        first = await core.connect()
        (message_id,) = await core.accept()
        (command_id,) = await first.wait_for_commands(1)
        first.send(None)
        await first.ended()

        driver = await core.connect(last_sequence=2)
        await core.accept()
        driver.send(facts_frame(inbound_fact(1)))
        await driver.wait_for_acknowledgement(1)
        assert driver.command_ids == []
        driver.send(facts_frame(report_fact(2, command_id)))
        (next_id,) = await driver.wait_for_commands(1)
        assert not next_id.startswith(message_id)
        assert sorted(await core.states()) == ["delivered", "sending", "sent"]


async def test_what_the_driver_never_got_is_offered_again_once(store: Store) -> None:
    async with session_core(store, poll_s=0.01) as core:
        first = await core.connect()
        await core.accept()
        (command_id,) = await first.wait_for_commands(1)
        await first.cut()
        second = await core.connect()
        assert await second.wait_for_commands(1) == [command_id]
        held = session_pb2.OpenCommand(command_id=command_id)
        third = await core.connect(open_commands=[held])
        await core.accept()
        await third.wait_for_commands(1)
        assert third.command_ids != [command_id]
        assert len(third.command_ids) == 1


async def test_a_claim_for_a_stream_that_broke_is_offered_by_the_next(store: Store) -> None:
    async with session_core(store) as core:
        driver = await core.connect()
        driver.may_read.clear()  # the command is written to a driver that is gone
        (message_id,) = await core.accept()
        await eventually(lambda: core.registry.of_driver(driver.session.driver_id) is not None)
        await core.wait_for_states("sending")
        await driver.cut()
        assert driver.command_ids == []
        again = await core.connect()
        assert await again.wait_for_commands(1) == [f"{message_id}-1"]


async def test_a_session_that_ends_gets_no_more_commands(store: Store) -> None:
    async with session_core(store) as core:
        driver = await core.connect()
        driver.may_read.clear()  # so that it takes a while to go
        (device_id,) = driver.session.device_ids
        await driver.wait_until_live()
        driver.session.close(None)
        assert driver.session.ready(device_id) is None


# Facts that cannot be applied


async def test_a_fact_that_cannot_be_applied_is_told_acknowledged_and_ends_the_stream(store: Store) -> None:
    async with session_core(store) as core:
        driver = await core.connect()
        driver.send(facts_frame(report_fact(1, "f" * 24 + "-1"), inbound_fact(2)))
        error = await driver.ended()
        assert isinstance(error, FactNotApplicable)
        assert error.reason == "FACT_NOT_APPLICABLE"
        (told,) = driver.of_kind("fact_rejected")
        assert (told.fact_rejected.sequence, told.fact_rejected.reason) == (1, "UNKNOWN_COMMAND")
        assert driver.acknowledged == 2
        rows = await core.store.read(lambda session: list(session.execute(select(RejectedFactRow)).scalars()))
        assert [row.sequence for row in rows] == [1]
        again = await core.connect(last_sequence=2)
        assert again.of_kind("welcome")[0].welcome.resume_after_sequence == 2


async def test_a_gap_ends_the_stream(store: Store) -> None:
    async with session_core(store) as core:
        driver = await core.connect()
        driver.send(facts_frame(inbound_fact(2)))
        assert isinstance(await driver.ended(), SequenceGap)


async def test_a_gap_that_only_the_database_knows_of_ends_the_stream_too(store: Store) -> None:
    async with session_core(store) as core:
        driver = await core.connect()
        driver.send(facts_frame(inbound_fact(1)))
        await driver.wait_for_acknowledgement(1)
        await core.store.run(_forget_a_fact)
        driver.send(facts_frame(inbound_fact(2)))
        assert isinstance(await driver.ended(), SequenceGap)
        assert await core.states() == ["delivered"]


def _forget_a_fact(session: Session) -> None:
    row = session.execute(select(DriverRow)).scalar_one()
    row.applied_sequence -= 1
    session.add(row)


async def test_a_faulty_frame_ends_its_own_stream_only(store: Store) -> None:
    async with session_core(store) as core:
        driver = await core.connect()
        other = await core.connect(
            driver_name="driver-2", devices=[device_description("modem-2", OTHER_NUMBER)]
        )
        driver.send(facts_frame())
        assert isinstance(await driver.ended(), ProtocolViolation)
        assert core.registry.sessions() == [other.session]


async def test_facts_whose_transaction_failed_are_applied_after_a_replay_and_none_is_skipped(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with session_core(store) as core:
        driver = await core.connect()
        await driver.wait_until_live()
        bad = {2}
        apply_one = facts._Application._inbound  # pyright: ignore[reportPrivateUsage]

        def failing(self: Any, row: DriverRow, fact: facts.Inbound) -> None:
            if fact.sequence in bad:
                raise ValueError("a fault of the core")
            apply_one(self, row, fact)

        monkeypatch.setattr(facts._Application, "_inbound", failing)  # pyright: ignore[reportPrivateUsage]
        async with HeldWriter(core):
            driver.send(*(facts_frame(inbound_fact(n, str(n))) for n in (1, 2, 3)))
            await eventually(lambda: driver.unread == 0)
        assert isinstance(await driver.ended(), InfiniReachError)
        assert (await core.the_driver()).applied_sequence == 1
        bad.clear()
        again = await core.connect(first_unacknowledged_sequence=1, last_sequence=3)
        resume_after = again.of_kind("welcome")[0].welcome.resume_after_sequence
        again.send(*(facts_frame(inbound_fact(n, str(n))) for n in range(resume_after + 1, 4)))
        await again.wait_for_acknowledgement(3)
        bodies = await core.store.read(
            lambda session: sorted(session.execute(select(MessageRow)).scalars().all(), key=lambda m: m.id)
        )
        assert [row.body for row in bodies] == ["1", "2", "3"]


async def test_a_database_that_is_busy_ends_the_stream_as_unavailable(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with session_core(store) as core:
        driver = await core.connect()
        monkeypatch.setattr(store, "waiting_max", 0)
        driver.send(facts_frame(inbound_fact(1)))
        assert isinstance(await driver.ended(), Unavailable)
        other = core.stream()
        other.send(hello_frame())
        assert isinstance(await other.ended(), Unavailable)
        monkeypatch.undo()
        again = await core.connect(last_sequence=1)
        again.send(facts_frame(inbound_fact(1)))
        await again.wait_for_acknowledgement(1)
        assert await core.states() == ["delivered"]
