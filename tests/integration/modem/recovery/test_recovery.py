"""Troubles of minutes in the middle of traffic: the driver recovers without a hand, and nothing is lost or doubled.

Everything goes faster here. `python -m tests.integration.modem.recovery` is the hang in real time.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from infinireach.v1.device_pb2 import DEVICE_STATE_ATTENTION, DEVICE_STATE_DEGRADED, DEVICE_STATE_ONLINE
from tests.integration.modem.faults.bench import Bench, bench
from tests.integration.modem.faults.nursery import Nursery
from tests.integration.modem.recovery.troubles import TROUBLES, Trouble, hang, live_through

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

SPEED = 20.0
"""As fast as a busy machine still answers within the driver's shortest waits."""
WAIT_S = 120.0
"""For anything to come about; several climbs of the ladder of resets fit in."""
HANG = hang(minutes=8)


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def hanging(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator["asyncio.Task[Bench]"]:
    """A modem that begins to hang before the first test, since that takes the longest."""

    async def live() -> Bench:
        await live_through(own, HANG, speed=SPEED)
        return own

    folder = tmp_path_factory.mktemp("hanging")
    async with Nursery() as nursery, bench(folder, time_scale=SPEED, make_rig=nursery.rig) as own:
        own.wait_s = WAIT_S
        task = asyncio.create_task(live(), name=HANG.name)
        yield task
        task.cancel()
        await asyncio.wait([task])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def other(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    folder = tmp_path_factory.mktemp("other")
    async with (
        Nursery() as nursery,
        bench(folder, time_scale=SPEED, is_pattern=True, make_rig=nursery.rig) as own,
    ):
        own.wait_s = WAIT_S
        yield own


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.name.replace(" ", "-"))
async def test_driver_lives_through(other: Bench, trouble: Trouble) -> None:
    await live_through(other, trouble, speed=SPEED)


async def test_driver_lives_through_a_hang_of_eight_minutes(hanging: "asyncio.Task[Bench]") -> None:
    own = await hanging
    states = [change.state for change in own.changes()]
    assert set(states) >= {DEVICE_STATE_DEGRADED, DEVICE_STATE_ATTENTION, DEVICE_STATE_ONLINE}
    assert {"not_answering", "resetting", "stuck", ""} <= set(own.reasons())
