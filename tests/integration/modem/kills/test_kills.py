"""kill -9 of the driver at each step of sending: never a part twice, unknown where nobody can know, nothing lost."""

import random

import pytest

from drivers.modem.emulator import TakenPart
from tests.integration.modem.kills.steps import STEPS, Step
from tests.integration.modem.kills.victim import Victim, text_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

PARTS = 3
SEEDS = range(14)
KILLS_PER_SEED = 5
KILLS_MIN = 100
OCTETS_MAX = 3000
"""About what is written for the messages of one round."""


def cases() -> list[tuple[Step, int, int]]:
    """Each step of the only part and of each part of several; what comes once for a message at its end."""
    parts_of_message = [(1, 1), *((part, PARTS) for part in range(1, PARTS + 1))]
    return [
        (step, part, parts)
        for step in STEPS
        for part, parts in parts_of_message
        if step.is_of_part or part == parts
    ]


def name_of(value: object) -> str:
    return value.name.replace(" ", "-") if isinstance(value, Step) else str(value)


async def test_at_least_a_hundred_kills_are_made() -> None:
    assert len(cases()) + len(SEEDS) * KILLS_PER_SEED >= KILLS_MIN


@pytest.mark.parametrize(("step", "part", "parts"), cases(), ids=name_of)
async def test_kill_at_a_step(victim: Victim, step: Step, part: int, parts: int) -> None:
    message = await victim.die_at(step, part=part, parts=parts)
    await victim.come_back()
    await victim.check(message, step, part=part, parts=parts)


@pytest.mark.parametrize("seed", SEEDS)
async def test_kills_at_any_moment(victim: Victim, seed: int) -> None:
    chance = random.Random(seed)
    bench = victim.bench
    bench.begin()
    for _ in range(KILLS_PER_SEED):
        chance.choice((kill_at_octet, kill_at_part))(victim, chance)
        messages = [bench.offer(text_of(chance.randint(1, 4))) for _ in range(3)]
        await bench.until(
            lambda messages=messages: victim.is_dead or all(bench.has_result(each) for each in messages)
        )
        await victim.die()
        bench.wire.cut = bench.network.log = None
        await victim.come_back()
        await victim.settle_all(messages)
        # One message is handed over at a time.
        assert sum("outcome_unknown" in bench.outcomes(each) for each in messages) <= 1
    await bench.check()


def kill_at_octet(victim: Victim, chance: random.Random) -> None:
    """Kill the driver in the middle of what it writes."""
    left = chance.randrange(OCTETS_MAX)

    def cut(data: bytes) -> bytes:
        nonlocal left
        left -= len(data)
        if left >= 0:
            return data
        victim.bench.wire.cut = None
        victim.kill()
        return data[:left]

    victim.bench.wire.cut = cut


def kill_at_part(victim: Victim, chance: random.Random) -> None:
    """Kill it when the network has a part, before the modem says so."""
    left = chance.randint(1, 8)

    def log(part: TakenPart, text: str | None) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            victim.kill()

    victim.bench.network.log = log
