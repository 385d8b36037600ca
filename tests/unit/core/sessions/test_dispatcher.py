"""The loop that hands messages to devices: hints shorten waits, and losing one loses no message."""

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from core import contents
from core.dispatch import ReadyDevice
from core.errors import OutcomeUnknown, SessionSuperseded, Unavailable
from core.sessions import dispatcher as dispatcher_module
from core.sessions.dispatcher import Dispatcher
from core.store.rows import DeviceRow
from tests.core_fixtures import accept_one
from tests.fakes.database import file_store
from tests.fakes.dispatcher_world import NEVER_S, POLL_S, World, number
from tests.fakes.driver_stream import FakeSession, eventually

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def world(tmp_path: Path) -> Generator[World]:
    with file_store(tmp_path) as store:
        yield World(store)


async def test_a_hint_makes_it_claim_and_offer(world: World) -> None:
    session = await world.connect()
    ids = await world.accept(2)
    async with world.running() as dispatcher:
        dispatcher.hint(session.device_ids)
        await eventually(lambda: session.message_ids == ids)
    assert [await world.state(each) for each in ids] == ["sending", "sending"]


async def test_a_message_whose_hint_was_lost_is_found_by_the_poll(world: World) -> None:
    session = await world.connect()
    ids = await world.accept(2)
    async with world.running(POLL_S):
        await eventually(lambda: session.message_ids == ids)
        later = await world.accept()
        await eventually(lambda: session.message_ids == ids + later)


async def test_the_poll_finds_messages_also_while_hints_keep_coming(world: World) -> None:
    busy = await world.connect("busy", free=0)
    quiet = await world.connect("quiet", first=2)
    (message_id,) = await world.accept(device=2)
    async with world.running(POLL_S) as dispatcher:

        def found() -> bool:
            dispatcher.hint(busy.device_ids)
            return quiet.message_ids == [message_id]

        await eventually(found)


async def test_nothing_more_is_claimed_than_has_room_and_room_makes_it_claim_more(world: World) -> None:
    session = await world.connect(free=2)
    (device_id,) = session.device_ids
    ids = await world.accept(5)
    async with world.running() as dispatcher:
        dispatcher.hint([device_id])
        await eventually(lambda: session.message_ids == ids[:2])
        session.free[device_id] = 2
        dispatcher.room([device_id])
        await eventually(lambda: session.message_ids == ids[:4])
        session.free[device_id] = 2
        dispatcher.room([device_id])
        await eventually(lambda: session.message_ids == ids)


async def test_a_device_that_has_no_room_keeps_its_hint_until_it_has(world: World) -> None:
    session = await world.connect(free=0)
    (device_id,) = session.device_ids
    ids = await world.accept(1)
    async with world.running() as dispatcher:
        dispatcher.hint([device_id])
        await asyncio.sleep(0)
        dispatcher.room([device_id])
        await asyncio.sleep(0)
        session.free[device_id] = 1
        dispatcher.room([device_id])
        await eventually(lambda: session.message_ids == ids)


async def test_a_device_without_room_is_not_looked_at_again_before_it_has(world: World) -> None:
    full = await world.connect("full", free=0)
    other = await world.connect("other", free=100, first=2)
    looks, ready = 0, full.ready

    def counted(device_id: str) -> ReadyDevice | None:
        nonlocal looks
        looks += 1
        return ready(device_id)

    full.ready = counted
    async with world.running() as dispatcher:
        dispatcher.hint(full.device_ids)
        ids: list[str] = []
        for _ in range(20):
            ids += await world.accept(device=2)
            dispatcher.hint(other.device_ids)
            dispatcher.room(other.device_ids)
        await eventually(lambda: other.message_ids == ids)
        assert looks == 1


async def test_a_hint_that_comes_during_the_claim_is_not_lost(world: World) -> None:
    session = await world.connect(free=100)
    (device_id,) = session.device_ids
    ids: list[str] = []
    async with world.running() as dispatcher:
        for _ in range(50):
            ids += await world.accept()
            dispatcher.hint([device_id])
        await eventually(lambda: session.message_ids == ids)


async def test_a_hint_for_a_device_that_is_not_here_is_nothing(world: World) -> None:
    opened = await world.open()
    (message_id,) = await world.accept()
    async with world.running(POLL_S) as dispatcher:
        dispatcher.hint(opened.keys)
        dispatcher.hint(["no-such-device"])
        for _ in range(20):
            await asyncio.sleep(POLL_S / 4)
        assert await world.state(message_id) == "queued"


async def test_a_session_that_left_gets_nothing(world: World) -> None:
    session = await world.connect(free=0)
    (message_id,) = await world.accept()
    async with world.running() as dispatcher:
        dispatcher.hint(session.device_ids)
        world.registry.remove(session)
        dispatcher.room(session.device_ids)
        other = await world.connect("driver-2", first=2)
        ids = await world.accept(device=2)
        dispatcher.hint(other.device_ids)
        await eventually(lambda: other.message_ids == ids)
    assert session.commands == []
    assert await world.state(message_id) == "queued"


async def test_a_stale_session_is_closed_and_gets_nothing(world: World) -> None:
    session = await world.connect()
    (message_id,) = await world.accept()
    await world.open()  # elsewhere
    async with world.running() as dispatcher:
        dispatcher.hint(session.device_ids)
        await eventually(lambda: session.closed_with)
    assert isinstance(session.closed_with, SessionSuperseded)
    assert session.commands == []
    assert (await world.state(message_id), len(world.registry)) == ("queued", 0)


async def test_a_newer_session_here_is_not_closed_in_the_stale_ones_stead(world: World) -> None:
    stale = await world.connect()
    ids = await world.accept()
    await world.open()
    async with world.running() as dispatcher:
        swapped: list[FakeSession] = []
        run = world.store.run

        async def swap_before_the_answer(function: Any, *args: Any) -> object:
            result = await run(function, *args)
            if not swapped:
                world.registry.remove(stale)
                newer = FakeSession(stale.driver_id, stale.epoch + 1, dict(stale.free))
                world.registry.add(newer)
                swapped.append(newer)
                dispatcher.hint(newer.device_ids)
            return result

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(world.store, "run", swap_before_the_answer)
            dispatcher.hint(stale.device_ids)
            await eventually(lambda: swapped and swapped[0].message_ids == ids)
    assert swapped[0].closed_with is None


async def test_commands_of_an_older_session_are_left_to_the_reconcile_of_the_newer_one(world: World) -> None:
    older = await world.connect()
    (message_id,) = await world.accept()
    newer = FakeSession(older.driver_id, older.epoch + 1, {"another-device": 3})
    async with world.running() as dispatcher:
        run = world.store.run

        async def swap_before_the_answer(function: Any, *args: Any) -> object:
            result = await run(function, *args)
            world.registry.add(newer)
            return result

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(world.store, "run", swap_before_the_answer)
            dispatcher.hint(older.device_ids)
            await eventually(lambda: older.closed_with)
            dispatcher.room(older.device_ids)
            await asyncio.sleep(0)
    assert (older.commands, newer.commands) == ([], [])
    assert await world.state(message_id) == "sending"


async def test_one_claim_is_bounded_and_every_device_has_its_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher_module, "COMMANDS_PER_CLAIM_MAX", 4)
    monkeypatch.setattr(dispatcher_module, "DEVICES_PER_CLAIM_MAX", 3)
    session = await world.connect(free=5, devices=7)
    for device in range(1, 8):
        await world.accept(5, device)
    async with world.running() as dispatcher:
        dispatcher.hint(session.device_ids)
        await eventually(lambda: len(session.commands) == 35)
    assert all(free == 0 for free in session.free.values())
    first_turns = {command.device_id for command in session.commands[:35]}
    assert first_turns == set(session.device_ids)


async def test_a_wide_window_with_nothing_queued_keeps_no_other_device_waiting(world: World) -> None:
    wide = await world.connect("wide", free=1000)
    other = await world.connect("other", first=2)
    ids = await world.accept(device=2)
    async with world.running() as dispatcher:
        dispatcher.hint([*wide.device_ids, *other.device_ids])
        await eventually(lambda: other.message_ids == ids)


async def test_a_database_that_fails_for_a_while_costs_time_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await world.connect()
    ids = await world.accept(3)
    run, read = world.store.run, world.store.read
    failures = 0

    async def failing(*_: object) -> object:
        nonlocal failures
        failures += 1
        raise Unavailable

    async with world.running(POLL_S) as dispatcher:
        monkeypatch.setattr(world.store, "run", failing)
        dispatcher.hint(session.device_ids)
        await eventually(lambda: failures >= 2)
        monkeypatch.setattr(world.store, "read", failing)
        before = failures
        await eventually(lambda: failures >= before + 2)
        monkeypatch.setattr(world.store, "run", run)
        monkeypatch.setattr(world.store, "read", read)
        await eventually(lambda: session.message_ids == ids)


async def test_a_dispatcher_with_nothing_to_claim_does_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await world.connect()
    claims, run = 0, world.store.run

    async def counted(function: Any, *args: Any) -> object:
        nonlocal claims
        claims += 1
        return await run(function, *args)

    monkeypatch.setattr(world.store, "run", counted)
    async with world.running() as dispatcher:
        dispatcher.hint(session.device_ids)
        await eventually(lambda: claims)
        for _ in range(200):
            dispatcher.room(session.device_ids)
            await asyncio.sleep(0.0001)
    assert claims == 1


async def test_a_dispatcher_that_was_stopped_claims_nothing(world: World) -> None:
    session = await world.connect()
    (message_id,) = await world.accept()
    async with world.running(POLL_S) as dispatcher:
        dispatcher.stop()
        dispatcher.hint(session.device_ids)
        for _ in range(20):
            await asyncio.sleep(POLL_S / 4)
    assert session.commands == []
    assert await world.state(message_id) == "queued"


async def test_a_claim_of_which_nobody_knows_the_outcome_ends_its_sessions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await world.connect()
    await world.accept(1)

    async def lost(*_: object) -> object:
        raise OutcomeUnknown

    async with world.running() as dispatcher:
        monkeypatch.setattr(world.store, "run", lost)
        dispatcher.hint(session.device_ids)
        await eventually(lambda: session.closed_with is not None)
    assert isinstance(session.closed_with, OutcomeUnknown)


async def test_other_cores_are_told_of_devices_that_are_not_connected_here(world: World) -> None:
    told: list[str] = []
    session = await world.connect()
    dispatcher = Dispatcher(world.store, world.registry, world.clock, NEVER_S, tell_others=told.extend)
    dispatcher.accepted([*session.device_ids, "elsewhere"])
    dispatcher.hint(["elsewhere"])  # as told by another core: it goes no further
    assert told == ["elsewhere"]


async def test_messages_that_a_device_can_send_no_more_are_told_of_at_once_and_the_next_go_out(
    world: World,
) -> None:
    announced: list[bool] = []
    session = await world.connect(free=1)
    (long, plain) = [
        await world.store.run(lambda rows, text=text: accept_one(rows, sender=number(1), text=text))
        for text in ("x" * 161, "Hello")
    ]
    (device_id,) = session.device_ids

    def cut_short(rows: Session) -> None:
        features = contents.Features(text_characters_max=160)
        rows.get_one(DeviceRow, device_id).features = contents.write_features(features)

    await world.store.run(cut_short)
    dispatcher = Dispatcher(
        world.store, world.registry, world.clock, NEVER_S, announced=lambda: announced.append(True)
    )
    task = asyncio.create_task(dispatcher.run())
    dispatcher.hint([device_id])
    await eventually(lambda: session.message_ids == [plain] and bool(announced))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await world.state(long) == "failed"
    assert announced == [True]
