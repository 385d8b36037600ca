"""kill -9 of the driver at any moment: the phone sends no message twice, and nothing is lost, out or in."""

import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from drivers.runtime.contract_kit.core_model import OPEN
from tests.integration.android.bench import PATIENCE_S, Bench, bench

pytestmark = pytest.mark.asyncio(loop_scope="module")

SEEDS = range(17)
KILLS_PER_SEED = 3
EVENTS_MAX = 60
"""At the phone, in one round: requests, states, tries of webhooks."""
MESSAGES = 3


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[True, False], ids=["webhook", "polling"])
async def it(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    """A driver that is killed again and again."""
    async with bench(tmp_path_factory.mktemp("kills"), has_webhook=request.param) as made:
        yield made


def kill_after(it: Bench, events: int) -> None:
    """Kill the driver when so many more things have happened at the phone."""
    left = events

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            it.rig.kill()

    it.phone.on_event = count


def is_over(it: Bench, messages: list[str], texts: list[str]) -> bool:
    """Whether all is known that can be."""
    return all(it.state(message) in it.final(message) for message in messages) and set(texts) <= set(
        it.texts_in()
    )


async def test_at_least_fifty_kills_are_made() -> None:
    assert len(SEEDS) * KILLS_PER_SEED >= 50


@pytest.mark.parametrize("seed", SEEDS)
async def test_kills_at_any_moment(it: Bench, seed: int) -> None:
    chance = random.Random(seed)
    for kill in range(KILLS_PER_SEED):
        kill_after(it, chance.randint(1, EVENTS_MAX))
        messages = [
            it.offer(f"{seed}.{kill}.{number} " + "x" * chance.choice((0, 200, 400)))
            for number in range(MESSAGES)
        ]
        texts = [f"in {seed}.{kill}.{number}" for number in range(2)]
        for text in texts:
            it.phone.deliver_inbound(text)
        await it.rig.exit_status()
        it.phone.on_event = lambda: None
        await it.rig.start()
        await it.core.until(
            lambda messages=messages, texts=texts: is_over(it, messages, texts), timeout_s=PATIENCE_S
        )
        assert OPEN not in it.core.states().values()
    it.check()
    assert len(it.texts_in()) == len(set(it.texts_in())) == len(it.phone.provider)
