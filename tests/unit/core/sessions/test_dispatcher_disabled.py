"""Devices that are switched off: nothing is claimed for them, and nothing is lost when they are switched on."""

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from core.dispatch import claim
from tests.fakes.database import file_store
from tests.fakes.dispatcher_world import POLL_S, World
from tests.fakes.driver_stream import eventually

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def world(tmp_path: Path) -> Generator[World]:
    with file_store(tmp_path) as store:
        yield World(store)


async def test_a_disabled_device_gets_nothing_until_it_is_enabled(world: World) -> None:
    session = await world.connect()
    (device_id,) = session.device_ids
    (message_id,) = await world.accept()

    await world.enable(device_id, False)
    async with world.running(POLL_S) as dispatcher:
        dispatcher.hint([device_id])
        for _ in range(20):
            await asyncio.sleep(POLL_S / 4)
        assert session.commands == []
        await world.enable(device_id, True)
        await eventually(lambda: session.message_ids == [message_id])


async def test_accepts_for_a_disabled_device_are_one_claim_until_somebody_says_that_it_is_enabled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    off, on = await world.connect(), await world.connect("driver-2", free=100, first=2)
    (device_id,) = off.device_ids
    claims: list[list[str]] = []
    run = world.store.run

    async def counted(function: Any, *args: Any) -> Any:
        if function is claim:
            claims.append([device.device_id for device in args[0]])
        return await run(function, *args)

    monkeypatch.setattr(world.store, "run", counted)
    await world.enable(device_id, False)
    async with world.running() as dispatcher:
        waiting: list[str] = []
        for number in range(1, 6):
            waiting += await world.accept()
            dispatcher.accepted([device_id])
            ids = await world.accept(device=2)
            dispatcher.accepted(on.device_ids)
            await eventually(lambda number=number, ids=ids: on.message_ids[number - 1 :] == ids)
        assert sum(device_id in claimed for claimed in claims) == 1
        off.free[device_id] = len(waiting)
        await world.enable(device_id, True)
        dispatcher.hint([device_id])
        await eventually(lambda: off.message_ids == waiting)
        (later,) = await world.accept()
        off.free[device_id] = 1
        dispatcher.accepted([device_id])
        await eventually(lambda: off.message_ids == [*waiting, later])


async def test_a_device_that_is_enabled_during_the_claim_that_finds_it_disabled_is_looked_at_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await world.connect()
    (device_id,) = session.device_ids
    ids = await world.accept()
    run = world.store.run

    async def enabled_before_the_answer(function: Any, *args: Any) -> Any:
        result = await run(function, *args)
        if function is claim and result.disabled:
            await world.enable(device_id, True)
            dispatcher.hint([device_id])
        return result

    await world.enable(device_id, False)
    async with world.running() as dispatcher:
        monkeypatch.setattr(world.store, "run", enabled_before_the_answer)
        dispatcher.accepted([device_id])
        await eventually(lambda: session.message_ids == ids)
        later = await world.accept()
        dispatcher.accepted([device_id])
        await eventually(lambda: session.message_ids == ids + later)
