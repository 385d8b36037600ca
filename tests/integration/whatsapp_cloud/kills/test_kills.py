"""kill -9 of the driver around each message: never a second post, and a status settles what Graph took."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

import pytest

from drivers.runtime.crash_points import CrashPoint, at
from drivers.whatsapp_cloud.fake_graph import Taken
from tests.fakes.whatsapp_files import DEVICES
from tests.integration.whatsapp_cloud.bench import Bench

pytestmark = pytest.mark.asyncio(loop_scope="module")

KILLED = -9
SEEDS = range(19)
KILLS_PER_SEED = 5
KILLS_MIN = 100
MESSAGES = 6
"""Of each kill: several are under way at once."""


class Truth(Enum):
    """What Graph has of a message at a step, and what anybody can know of it afterwards."""

    NOT_POSTED = auto()
    """It is certain that Graph was not asked."""
    LOST = auto()
    """Graph does not have it, and nobody can know."""
    TAKEN = auto()
    """Graph has it, and a status or the journal says so."""


@dataclass(slots=True, frozen=True)
class Step:
    """A moment at which the driver dies."""

    name: str
    truth: Truth
    point: str = ""
    """Dies at this crash point; else when Graph has the request."""


STEPS = (
    Step("before the driver is asked", Truth.NOT_POSTED, at(CrashPoint.AFTER_STARTED)),
    Step("before the mark", Truth.NOT_POSTED, at(CrashPoint.BEFORE_SEGMENT_STARTED, segment=1)),
    Step("after the mark, before the post", Truth.LOST, at(CrashPoint.AFTER_SEGMENT_STARTED, segment=1)),
    Step("when Graph has the request and does not take it", Truth.LOST),
    Step("when Graph has taken the message, before the answer", Truth.TAKEN),
    Step("after the answer, before the journal", Truth.TAKEN, at(CrashPoint.BEFORE_SEGMENT_TAKEN, segment=1)),
    Step("after the journal", Truth.TAKEN, at(CrashPoint.AFTER_SEGMENT_TAKEN, segment=1)),
    Step("after the result", Truth.TAKEN, at(CrashPoint.AFTER_SENT)),
    Step("after the result is in the journal", Truth.TAKEN, at(CrashPoint.AFTER_SETTLED)),
)
"""In the order in which they come."""


class Killer:
    """Kills the driver once."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.is_done = False

    def __call__(self) -> None:
        if not self.is_done:
            self.is_done = True
            self._bench.rig.kill()

    def after(self, count: int) -> Callable[..., None]:
        """Kill it the count-th time that what is returned is called."""
        left = count

        def once(*_: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                self()

        return once


async def test_at_least_a_hundred_kills_are_made() -> None:
    assert len(STEPS) + len(SEEDS) * KILLS_PER_SEED >= KILLS_MIN


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name.replace(" ", "-"))
async def test_kill_at_a_step(desk: Bench, step: Step) -> None:
    desk.begin()
    command_id = await die_at(desk, step)
    await desk.rig.start()
    match step.truth:
        case Truth.NOT_POSTED:
            command_id = await desk.given_out_until_taken(command_id)
            await desk.delivered(command_id)
        case Truth.LOST:
            await desk.settled(command_id)
            assert desk.command(command_id).state == "outcome_unknown"
        case Truth.TAKEN:
            await desk.delivered(command_id)
    assert len(desk.taken(command_id)) == (step.truth is not Truth.LOST)
    await desk.check()


async def die_at(desk: Bench, step: Step) -> str:
    """Have the driver die at a step of a message; its command id."""
    if step.point:
        # A new process, since a crash point is told to it at its start.
        desk.rig.kill()
        assert await desk.rig.exit_status() == KILLED
        await desk.rig.start(crash_at=step.point)
    elif step.truth is Truth.TAKEN:
        desk.graph.when_accepted = Killer(desk).after(1)
    else:
        desk.graph.faults.add("no_answer", taken=False)
    command_id = desk.offer()
    if not step.point and step.truth is Truth.LOST:
        await desk.until(lambda: desk.posts()[command_id] == 1)
        desk.rig.kill()
    assert await desk.rig.exit_status() == KILLED
    desk.graph.when_accepted = _nothing
    return command_id


@pytest.mark.parametrize("seed", SEEDS)
async def test_kills_at_any_moment(desk: Bench, seed: int) -> None:
    chance = random.Random(seed)
    desk.begin()
    for _ in range(KILLS_PER_SEED):
        kill = Killer(desk)
        _spoil(desk, chance)
        if chance.random() < 0.7:
            desk.graph.when_accepted = kill.after(chance.randint(1, MESSAGES))
        else:
            desk.graph.callback.when_sent = kill.after(chance.randint(1, 2 * MESSAGES))
        messages = [desk.offer(device=chance.choice(DEVICES)) for _ in range(MESSAGES)]
        await desk.until(
            lambda kill=kill, messages=messages: (
                kill.is_done or all(desk.command(each).state == "delivered" for each in messages)
            )
        )
        kill()
        assert await desk.rig.exit_status() == KILLED
        desk.graph.when_accepted = _nothing
        desk.graph.callback.when_sent = _nothing
        desk.graph.faults.clear()
        await desk.rig.start()
    await desk.check()


def _spoil(bench: Bench, chance: random.Random) -> None:
    """Let Graph have a bad day, some days."""
    name = chance.choice(["", "", "", "statuses_reordered", "statuses_doubled", "statuses_together", "slow"])
    if name == "slow":
        bench.graph.faults.add(name, delay_s=0.05, count=chance.randint(1, MESSAGES))
    elif name:
        bench.graph.faults.add(name, count=chance.randint(1, MESSAGES))


def _nothing(_: Taken | None = None) -> None:
    return None
