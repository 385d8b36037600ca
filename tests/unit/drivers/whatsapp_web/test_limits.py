"""The account sends at a human pace, so much on a day, and not at night, whatever restarts."""

import asyncio
import random
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from drivers.runtime import Failed, Outcome
from drivers.whatsapp_web import config
from drivers.whatsapp_web.account import Banned, Disconnected, Event, LoggedOut
from drivers.whatsapp_web.conditions import Reason
from drivers.whatsapp_web.config import Night, Range
from drivers.whatsapp_web.pacing import DAYS_KEPT, Pacer
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_DEVICE_FAULT,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_RATE_LIMITED,
    FailureReason,
)
from tests.unit.drivers.modem.memory_host import MemoryHost
from tests.unit.drivers.whatsapp_web.at_work import SOON, PlayedAccount, Process, World, command

GROUP = "120363041234567890@g.us"
DAY_S = 86_400


NO_PAUSE = Range(0.0, 0.0)


def pacer(
    host: MemoryHost, *, pause: Range = NO_PAUSE, per_day: int = 200, night: Night | None = None
) -> Pacer:
    return Pacer(host.context(), "office", pause=pause, per_day=per_day, night=night, chance=random.Random(1))


def hour(host: MemoryHost) -> int:
    return datetime.fromtimestamp(host.clock.wall_ns() / 1e9).astimezone().hour


def go_to(host: MemoryHost, wanted: int) -> None:
    while hour(host) != wanted:
        host.clock.now_s += 600


async def test_pause_lies_within_its_range_and_is_drawn_anew() -> None:
    host = MemoryHost()
    made = pacer(host, pause=Range(5.0, 8.0))
    pauses: list[float] = []
    for _ in range(200):
        made.rest()
        pauses.append(made._next_at - host.clock.now_s)  # pyright: ignore[reportPrivateUsage]
    assert min(pauses) >= 5.0
    assert max(pauses) <= 8.0
    assert len(set(pauses)) > 100


async def test_turn_comes_when_the_pause_is_over_and_not_before() -> None:
    host = MemoryHost()
    made = pacer(host, pause=Range(500.0, 500.0))
    stopping = asyncio.Event()
    stopping.set()
    host.clock.now_s += 499
    assert not await made.turn(stopping)
    waiting = asyncio.create_task(made.turn(asyncio.Event()))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])
    host.clock.now_s += 1
    assert await made.turn(asyncio.Event())


async def test_pause_of_the_last_message_is_kept_over_a_restart() -> None:
    host = MemoryHost()
    waiting = asyncio.create_task(pacer(host, pause=Range(500.0, 500.0)).turn(asyncio.Event()))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_pause_begins_when_a_message_has_ended_however_long_it_took(tmp_path: Path) -> None:
    world = World(tmp_path, **{config.PAUSE.name: Range(0.02, 0.02)})

    async def takes_long(account: PlayedAccount, message_id: str) -> str:
        world.clock.now_s += 60
        return message_id

    world.takes = takes_long
    async with world.ready() as process:
        world.clock.now_s += 1
        await process.driver.send(command("c1", to=GROUP))
        pauses = process.watch_pauses()
        second = asyncio.create_task(process.driver.send(command("c2", to=GROUP)))
        await world.until(lambda: pauses.waits > 0 or second.done())
        assert len(world.sent) == 1
        world.clock.now_s += 1
        await second
    assert len(world.sent) == 2


async def test_pause_is_kept_after_a_number_was_only_asked_about(tmp_path: Path) -> None:
    world = World(tmp_path, **{config.PAUSE.name: Range(0.02, 0.02), config.FIRST_CONTACT.name: True})

    async def finds_none(number: str) -> str:
        return ""

    world.finds = finds_none
    async with world.ready() as process:
        world.clock.now_s += 1
        await process.driver.send(command("c1"))
        pauses = process.watch_pauses()
        second = asyncio.create_task(process.driver.send(command("c2")))
        await world.until(lambda: pauses.waits > 0 or second.done())
        assert len(world.asked) == 1
        world.clock.now_s += 1
        await second


async def in_a_pause(world: World, process: Process) -> "asyncio.Task[Outcome]":
    """A message that nothing speaks against is in its turn and waits for the end of the pause."""
    pauses = process.watch_pauses()
    sending = asyncio.create_task(process.driver.send(command("c1", to=GROUP)))
    await world.until(lambda: pauses.waits > 0)
    return sending


async def test_night_that_begins_in_the_pause_holds_the_message_back(tmp_path: Path) -> None:
    world = World(tmp_path, **{config.PAUSE.name: Range(0.02, 0.02)})
    now = datetime.fromtimestamp(world.clock.wall_ns() / 1e9).astimezone()
    night = Night((now.hour + 1) % 24, (now.hour + 3) % 24)
    world.settings[config.NIGHT.name] = night
    async with world.ready() as process:
        sending = await in_a_pause(world, process)
        world.clock.now_s += 3600
        outcome = await sending
    assert isinstance(outcome, Failed)
    assert outcome.reason == FAILURE_REASON_RATE_LIMITED
    assert "night" in outcome.detail
    assert not world.sent


@pytest.mark.parametrize(
    ("event", "reason", "word"),
    [
        (Banned(3600.0, "blocked_by_users"), FAILURE_REASON_RATE_LIMITED, "temporary_ban"),
        (Disconnected(), FAILURE_REASON_NO_SERVICE, "reconnecting"),
        (LoggedOut(), FAILURE_REASON_DEVICE_FAULT, "needs_pairing"),
    ],
)
async def test_what_happens_to_the_account_in_the_pause_holds_the_message_back(
    tmp_path: Path, event: Event, reason: FailureReason, word: str
) -> None:
    world = World(tmp_path, **{config.PAUSE.name: Range(0.02, 0.02)})
    async with world.ready() as process:
        sending = await in_a_pause(world, process)
        world.greeting = []
        await world.account.tell(event)
        world.clock.now_s += 1
        outcome = await sending
    assert isinstance(outcome, Failed)
    assert outcome.reason == reason
    assert word in outcome.detail
    assert not world.sent


async def test_day_is_counted_over_restarts_and_ends_at_midnight() -> None:
    host = MemoryHost()
    first = pacer(host, per_day=2)
    await host.write(dict(first.count()))
    await host.write(dict(first.count()))
    made = pacer(host, per_day=2)
    await made.load()
    assert made.limit is Reason.DAILY_LIMIT
    host.clock.now_s += made.limited_for_s - 1
    assert made.limit is Reason.DAILY_LIMIT
    host.clock.now_s += 1
    assert made.limit is None
    assert made.sent_today == 0


async def test_only_a_few_days_are_kept() -> None:
    host = MemoryHost()
    made = pacer(host)
    for _ in range(DAYS_KEPT + 3):
        await host.write(dict(made.count()))
        host.clock.now_s += DAY_S
    (stored,) = host.stored.values()
    assert len(stored.splitlines()) == DAYS_KEPT


@pytest.mark.parametrize(("night", "by_night", "by_day"), [(Night(22, 7), 3, 12), (Night(1, 5), 1, 5)])
async def test_night_ends_in_the_morning(night: Night, by_night: int, by_day: int) -> None:
    host = MemoryHost()
    made = pacer(host, night=night)
    go_to(host, by_day)
    assert made.limit is None
    assert made.limited_for_s == 0
    go_to(host, by_night)
    assert made.limit is Reason.NIGHT
    host.clock.now_s += made.limited_for_s
    assert made.limit is None
    assert hour(host) == night.ends


async def test_account_that_has_sent_its_share_is_paused_until_tomorrow(tmp_path: Path) -> None:
    world = World(tmp_path, **{config.PER_DAY.name: 2.0})
    async with world.ready() as process:
        process.offer(command("c1", to=GROUP), command("c2", to=GROUP))
        await world.settled()
        told = await world.until_reason("daily_limit")
        assert told.window == 0
        assert "PER_DAY" in told.remedy
        process.offer(command("c3", to=GROUP))
        world.clock.now_s += DAY_S
        await world.until_reason("")
        assert await world.settled() == dict.fromkeys(["c1", "c2", "c3"], "submitted")


async def test_what_was_sent_counts_for_the_next_process(tmp_path: Path) -> None:
    world = World(tmp_path, **{config.PER_DAY.name: 1.0})
    async with world.ready() as process:
        process.offer(command("c1", to=GROUP))
        await world.settled()
    told_before = len(world.core.device_changes)
    async with world.process():
        await world.until(lambda: len(world.core.device_changes) > told_before)
        assert world.device.reason == "daily_limit"


async def test_limit_is_told_as_soon_as_the_last_message_is_sent(tmp_path: Path) -> None:
    world = World(tmp_path, **{config.PER_DAY.name: 1.0})
    world.waits = replace(SOON, look_s=1000.0)
    async with world.ready() as process:
        process.offer(command("c1", to=GROUP))
        assert (await world.until_reason("daily_limit")).window == 0


async def test_command_that_is_too_many_is_held_back_until_tomorrow(tmp_path: Path) -> None:
    world = World(tmp_path, **{config.PER_DAY.name: 1.0})
    world.core.ignores_windows = True
    async with world.ready() as process:
        process.offer(command("c1", to=GROUP), command("c2", to=GROUP))
        assert await world.settled() == {"c1": "submitted", "c2": "failed"}
    (report,) = world.reports("c2")
    assert report.failed.reason == FAILURE_REASON_RATE_LIMITED
    assert "daily_limit" in report.failed.detail
    assert len(world.sent) == 1


async def test_command_in_its_turn_when_the_limit_is_reached_says_when_to_try_again(tmp_path: Path) -> None:
    world = World(tmp_path, **{config.PER_DAY.name: 1.0})
    async with world.ready() as process:
        process.offer(command("c1", to=GROUP))
        await world.settled()
        await world.until_reason("daily_limit")
        outcome = await process.driver.send(command("c2", to=GROUP))
    assert outcome.retry_after_s is not None  # pyright: ignore[reportAttributeAccessIssue]
    assert 0 < outcome.retry_after_s <= DAY_S  # pyright: ignore[reportAttributeAccessIssue]
