"""A SIM sends no more parts in a minute and a day than its owner allows, whatever restarts."""

import asyncio
from dataclasses import replace

from drivers.modem.config import ModemConfig
from drivers.modem.life.pacing import Pacer
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
    assert made.admits(1000)
    assert not made.is_exhausted
    assert not host.stored


async def test_day_limit_survives_a_restart_and_ends_with_the_day() -> None:
    host = MemoryHost()
    await take(await pacer(host, per_day=5), 4)
    made = await pacer(host, per_day=5)
    assert made.parts_today == 4
    assert made.admits(1)
    await take(made, 1)
    assert not made.admits(1)
    assert made.is_exhausted
    host.clock.now_s += DAY_S
    assert made.parts_today == 0
    assert made.admits(5)
    assert not made.is_exhausted


async def test_message_that_does_not_fit_any_more_ends_the_day() -> None:
    host = MemoryHost()
    made = await pacer(host, per_day=5)
    await take(made, 4)
    assert not made.admits(2)
    assert made.is_exhausted


async def test_message_that_fits_no_day_does_not_end_it() -> None:
    made = await pacer(MemoryHost(), per_day=5)
    assert not made.admits(6)
    assert not made.is_exhausted


async def test_message_that_was_begun_is_not_cut() -> None:
    made = await pacer(MemoryHost(), per_day=5)
    assert made.admits(5)
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
