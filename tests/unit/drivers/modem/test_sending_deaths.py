"""Sending while processes die, at every step: no part goes out twice, none is lost, what can be known is known."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from drivers.modem.at.results import AtFailure
from tests.unit.drivers.modem.at_work import LONG, SHORT, Process, World, command
from tests.unit.drivers.modem.played_modem import Killer, refused
from tests.unit.drivers.played_process import PATIENCE_S


async def test_refused_part_that_waits_for_its_next_try_is_not_in_doubt_after_a_crash() -> None:
    world = World(replace(SHORT, retry_step_s=3600.0))
    world.modem.answers.append(refused(41))
    async with world.process() as process:
        process.offer(command("c"))
        await world.until(lambda: len(world.modem.pdus) == 1)
        await world.until(lambda: REFUSED in marks_of(world, "c"))
    async with world.process() as process:
        assert await world.settled() == {"c": "submitted"}


REFUSED = "refused"


def marks_of(world: World, command_id: str) -> str:
    """What the journal's marks of a command say."""
    return " ".join(mark.reference for mark in world.journal.segments(command_id))


OTHER = "+4915112345678"


def begin(process: Process) -> None:
    """A long message and a short one."""
    process.offer(command("long", LONG, segments=3), command("short", to=OTHER))


async def test_no_part_goes_out_twice_and_none_is_lost_wherever_the_process_dies() -> None:
    steps = await steps_of_a_life()
    assert {"marked", "taken", "before commit", "after commit"} <= set(steps)
    unknown = [await unknown_after_deaths(at) for at in range(len(steps))]
    assert 0 < sum(unknown) < len(steps)


async def test_no_part_goes_out_twice_and_none_is_lost_if_a_retry_or_the_recovery_dies_too() -> None:
    refusals = (None, refused(41), refused(331))
    steps = await steps_of_a_life(*refusals)
    assert "refused" in steps
    for at in range(0, len(steps), 3):
        await unknown_after_deaths(at, at % 7 + 1, 4, refusals=refusals)


async def steps_of_a_life(*refusals: AtFailure | None) -> list[str]:
    """What a process goes through that nobody kills."""
    world = World()
    world.modem.answers.extend(refusals)
    killer = Killer()
    async with world.process(killer) as process:
        begin(process)
        await world.settled()
    return killer.steps


async def unknown_after_deaths(*deaths: int, refusals: Sequence[AtFailure | None] = ()) -> int:
    """Kill one process after the other at these steps, deliver all reports, and compare core and network.

    How many outcomes were unknown before the reports came.
    """
    world = World()
    world.modem.answers.extend(refusals)
    for number, at in enumerate(deaths):
        killer = Killer(at)
        async with world.process(killer) as process:
            if number == 0:
                begin(process)
            await world.until(lambda killer=killer: killer.is_dead or all(world.core.states().values()))
    async with world.process() as process:
        states = await world.settled()
        unknown = list(states.values()).count("outcome_unknown")
        for taken in world.modem.taken:
            process.says("+CDS", pdu=world.modem.report_of(taken))
        await world.until(lambda: process.inbox.counts["report"] == len(world.modem.taken))
        await process.engine.journal_idle()
        process.pump()
    check(world, deaths)
    return unknown


def check(world: World, deaths: Sequence[int]) -> None:
    """Each part went out once at most, in order, under one reference; the core knows what is whole."""
    assert {taken.submit.destination for taken in world.modem.taken} <= {OTHER, "+491701234567"}
    short = [taken.submit for taken in world.modem.taken if taken.submit.destination == OTHER]
    long = [taken.submit for taken in world.modem.taken if taken.submit.destination != OTHER]
    assert len(short) <= 1, deaths
    assert world.numbers() == list(range(1, len(long) + 1)), deaths
    assert len({part.concatenation.reference for part in long if part.concatenation}) <= 1, deaths
    # Each part that is with the network was reported, so not even a crash leaves a whole message in doubt.
    whole = {"long": len(long) == 3, "short": len(short) == 1}
    states = {name: "delivered" if is_whole else "outcome_unknown" for name, is_whole in whole.items()}
    assert world.core.states() == states, deaths


async def test_long_message_that_a_stop_interrupts_goes_on_in_the_next_process() -> None:
    world = World()
    world.modem.may_answer.clear()
    async with world.process() as process:
        process.offer(command("c", LONG, segments=3))
        await world.until(lambda: len(world.modem.taken) == 1)
        stop = asyncio.create_task(process.engine.drain(PATIENCE_S, stop_s=1.0))
        await world.until(process.driver.is_stopping.is_set)
        world.modem.may_answer.set()
        await stop
        assert world.numbers() == [1]
    async with world.process() as process:
        assert await world.settled() == {"c": "submitted"}
    assert world.numbers() == [1, 2, 3]


async def test_stop_does_not_wait_for_the_next_try_of_a_message() -> None:
    world = World(replace(SHORT, retry_step_s=3600.0))
    world.modem.answers.append(refused(41))
    async with world.process() as process:
        process.offer(command("c"))
        await world.until(lambda: REFUSED in marks_of(world, "c"))
        async with asyncio.timeout(PATIENCE_S):
            await process.engine.drain(3600.0, stop_s=1.0)
    async with world.process() as process:
        assert await world.settled() == {"c": "submitted"}
