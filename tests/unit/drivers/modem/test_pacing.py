"""A SIM sends no more parts in a minute and a day than its owner allows, whatever restarts."""

import asyncio
from dataclasses import replace

import pytest

from drivers.modem.config import ModemConfig
from drivers.modem.life.pacing import DAYS_KEPT, Pacer
from drivers.modem.timing import Timing
from tests.unit.drivers.modem.memory_host import MemoryHost

CONFIG = ModemConfig("alpha", "/dev/ttyUSB0", "+491701234567")
DAY_S = 86_400


async def pacer(
    host: MemoryHost, *, per_minute: int = 0, per_day: int = 0, timing: Timing | None = None
) -> Pacer:
    config = replace(CONFIG, parts_per_minute=per_minute, parts_per_day=per_day)
    made = Pacer(host.context(), config, Timing())
    await made.load()
    return made


async def take(pacer: Pacer, count: int) -> None:
    for _ in range(count):
        await pacer.turn()


async def test_without_limits_nothing_waits_and_nothing_is_written() -> None:
    host = MemoryHost()
    made = await pacer(host)
    await take(made, 1000)
    assert await made.admits(1000)
    assert not made.is_exhausted
    assert not host.stored


async def test_day_limit_survives_a_restart_and_ends_with_the_day() -> None:
    host = MemoryHost()
    await take(await pacer(host, per_day=5), 4)
    made = await pacer(host, per_day=5)
    assert made.parts_today == 4
    assert await made.admits(1)
    await take(made, 1)
    assert not await made.admits(1)
    assert made.is_exhausted
    host.clock.now_s += DAY_S
    assert made.parts_today == 0
    assert await made.admits(5)
    assert not made.is_exhausted


async def test_part_that_goes_out_before_anything_else_continues_the_count_of_an_earlier_process() -> None:
    host = MemoryHost()
    await take(await pacer(host, per_day=100), 95)
    made = Pacer(host.context(), replace(CONFIG, parts_per_day=100), Timing())
    await asyncio.gather(made.turn(), made.turn(), made.load())
    assert made.parts_today == 97
    await made.load()
    assert made.parts_today == 97
    assert (await pacer(host, per_day=100)).parts_today == 97


async def test_first_question_of_a_process_knows_the_count_of_an_earlier_one() -> None:
    host = MemoryHost()
    await take(await pacer(host, per_day=5), 4)
    made = Pacer(host.context(), replace(CONFIG, parts_per_day=5), Timing())
    assert not await made.admits(2)


@pytest.mark.parametrize("off_s", [-DAY_S, -10_000 * DAY_S, 10_000 * DAY_S])
async def test_clock_that_is_wrong_for_a_while_loses_no_count_of_the_day(off_s: float) -> None:
    host = MemoryHost()
    await take(await pacer(host, per_day=5), 4)
    host.clock.now_s += off_s
    made = await pacer(host, per_day=5)
    await take(made, 1)
    assert made.parts_today == 1
    host.clock.now_s -= off_s
    assert made.parts_today == 4
    assert (await pacer(host, per_day=5)).parts_today == 4


async def test_store_does_not_grow_with_the_days() -> None:
    host = MemoryHost()
    made = await pacer(host, per_day=5)
    sizes: set[int] = set()
    for _ in range(20):
        await made.turn()
        host.clock.now_s += DAY_S
        sizes.add(sum(len(value) for value in host.stored.values()))
    assert len(sizes) == DAYS_KEPT


async def test_message_that_does_not_fit_any_more_ends_the_day() -> None:
    host = MemoryHost()
    made = await pacer(host, per_day=5)
    await take(made, 4)
    assert not await made.admits(2)
    assert made.is_exhausted


async def test_message_that_fits_no_day_does_not_end_it() -> None:
    made = await pacer(MemoryHost(), per_day=5)
    assert not await made.admits(6)
    assert not made.is_exhausted


async def test_message_that_was_begun_is_not_cut() -> None:
    made = await pacer(MemoryHost(), per_day=5)
    assert await made.admits(5)
    await take(made, 7)
    assert made.parts_today == 7


async def test_part_over_the_minutes_limit_waits_for_its_turn() -> None:
    host = MemoryHost()
    made = await pacer(host, per_minute=3)
    await take(made, 3)
    waiting = asyncio.ensure_future(made.turn())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    host.clock.now_s += 60
    await made.turn()
