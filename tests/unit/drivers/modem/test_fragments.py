"""Long messages that come in: the whole text once, in whatever order and over whatever restarts."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.modem.codec import Concatenation, deliver_pdus, encode_deliver
from drivers.modem.messages.incoming import GAP
from tests.unit.drivers.modem.at_work import SHORT, Process, World
from tests.unit.drivers.modem.played_modem import Killer
from tests.unit.drivers.played_process import PATIENCE_S

SENDER = "+491701234567"
SENT_AT = datetime(2026, 11, 3, 10, 0, tzinfo=UTC)
WAIT_S = SHORT.fragment_wait_s
LATE_S = SHORT.late_fragment_s


def part(
    text: str,
    number: int,
    total: int,
    *,
    reference: int = 7,
    seconds: int = 0,
    bits: int = 8,
    originator: str = SENDER,
) -> str:
    """The PDU of one segment."""
    concatenation = Concatenation(reference, bits, total, number)
    sent_at = SENT_AT + timedelta(seconds=seconds)
    return encode_deliver(text, originator=originator, sent_at=sent_at, concatenation=concatenation).hex


async def come_in(world: World, process: Process, *pdus: str) -> None:
    """They come in one after the other; wait until each is dealt with."""
    for pdu in pdus:
        before = process.inbox.counts["segment"]
        process.comes_in(pdu)
        await world.until(lambda before=before: process.inbox.counts["segment"] > before)
    await settle(process)


async def settle(process: Process) -> None:
    await process.engine.journal_idle()
    process.pump()


async def pass_time(world: World, process: Process, seconds: float) -> None:
    """Let time pass and the inbox notice it."""
    world.clock.now_s += seconds
    process.says("^SMMEMFULL")
    await process.inbox.sweep(world.line)
    for _ in range(3):
        await settle(process)
        await asyncio.sleep(0)


async def forgotten(world: World, process: Process) -> None:
    """Let time pass until nothing of any long message is left."""
    async with asyncio.timeout(PATIENCE_S):
        while await process.driver.context.store.read("fragment/"):
            await pass_time(world, process, LATE_S)


async def test_message_in_three_parts_arrives_as_one_and_its_slots_are_cleared() -> None:
    world = World()
    async with world.process() as process:
        await come_in(world, process, part("c", 3, 3), part("a", 1, 3))
        assert world.texts() == []
        assert len(world.modem.memory["ME"]) == 2
        await come_in(world, process, part("b", 2, 3))
        await world.cleared()
    (message,) = world.core.inbound
    assert (message.text, message.segments, message.source) == ("abc", 3, SENDER)


async def test_slots_of_a_whole_message_wait_for_the_core_also_over_a_restart() -> None:
    world = World()
    world.core.acknowledges = False
    async with world.process() as process:
        await come_in(world, process, part("a", 1, 2), part("b", 2, 2))
        await world.until(lambda: world.texts() == ["ab"])
    async with world.process() as process:
        await process.inbox.sweep(world.line)
        assert len(world.modem.memory["ME"]) == 2
        world.core.acknowledges = True
        world.core.acknowledge()
        process.pump()
        await world.cleared()
    assert world.texts() == ["ab"]


async def test_segment_that_comes_again_after_the_whole_was_told_changes_nothing() -> None:
    world = World()
    async with world.process() as process:
        await come_in(world, process, part("a", 1, 2), part("b", 2, 2))
        await world.cleared()
    async with world.process() as process:
        await come_in(world, process, part("b", 2, 2))
        await world.cleared()
        assert process.driver.fragments.counts["repeated"] == 1
    assert world.texts() == ["ab"]


async def test_other_number_of_segments_reference_width_or_sender_is_another_message() -> None:
    world = World()
    async with world.process() as process:
        others = [
            part("1", 1, 2),
            part("2", 2, 3),
            part("3", 2, 2, bits=16),
            part("4", 2, 2, originator="+491709999999"),
            part("5", 2, 2, reference=8),
        ]
        await come_in(world, process, *others)
        assert world.texts() == []
        await come_in(world, process, part("!", 2, 2))
        await world.until(lambda: world.texts() == ["1!"])


async def test_reference_that_is_used_again_within_minutes_is_another_message() -> None:
    world = World()
    async with world.process() as process:
        await come_in(world, process, part("old", 1, 2))
        await come_in(world, process, part("new end", 2, 2, seconds=300))
        assert world.texts() == []
        await come_in(world, process, part("new ", 1, 2, seconds=299))
        await world.until(lambda: world.texts() == ["new new end"])
        await come_in(world, process, part(" end", 2, 2, seconds=2))
        await world.until(lambda: world.texts() == ["new new end", "old end"])


async def test_parts_far_apart_that_complete_each_other_are_told_as_one_in_the_end() -> None:
    world = World()
    async with world.process() as process:
        await come_in(world, process, part("a", 1, 3))
        await pass_time(world, process, WAIT_S / 2)
        await come_in(world, process, part("b", 2, 3, seconds=150), part("c", 3, 3, seconds=151))
        await pass_time(world, process, WAIT_S / 2 + 1)
        assert world.texts() == []
        await pass_time(world, process, WAIT_S / 2)
        await world.until(lambda: world.texts() == ["abc"])
        await world.cleared()
        await forgotten(world, process)
    assert world.texts() == ["abc"]


async def test_rest_that_comes_far_later_completes_what_was_told_with_gaps() -> None:
    world = World()
    async with world.process() as process:
        await come_in(world, process, part("a", 1, 2))
        await pass_time(world, process, WAIT_S + 1)
        await world.until(lambda: world.texts() == [f"a{GAP}"])
        await come_in(world, process, part("b", 2, 2, seconds=1200))
        await pass_time(world, process, WAIT_S + 1)
        await world.until(lambda: world.texts() == [f"a{GAP}", "ab"])
        await world.cleared()


async def test_sender_that_always_uses_the_same_reference_is_understood() -> None:
    world = World()
    async with world.process() as process:
        for number in range(3):
            seconds = number * 10
            await come_in(
                world,
                process,
                part(f"{number}a", 1, 2, seconds=seconds),
                part(f"{number}b", 2, 2, seconds=seconds + 1),
            )
        await world.cleared()
    assert world.texts() == ["0a0b", "1a1b", "2a2b"]


async def test_message_that_stays_incomplete_is_told_with_its_gaps_marked() -> None:
    world = World()
    async with world.process() as process:
        await come_in(world, process, part("b", 2, 5), part("e", 5, 5))
        await pass_time(world, process, WAIT_S - 1)
        assert world.texts() == []
        await pass_time(world, process, 2)
        await world.until(lambda: world.texts() == [f"{GAP}b{GAP}e"])
        await world.cleared()
    assert world.core.inbound[0].segments == 2


async def test_late_rest_makes_the_whole_one_more_message() -> None:
    world = World()
    async with world.process() as process:
        await come_in(world, process, part("a", 1, 3))
        await pass_time(world, process, WAIT_S + 1)
        await world.until(lambda: world.texts() == [f"a{GAP}"])
    async with world.process() as process:
        await come_in(world, process, part("c", 3, 3), part("b", 2, 3))
        await world.until(lambda: world.texts() == [f"a{GAP}", "abc"])
        await world.cleared()


async def test_late_part_of_a_rest_that_never_comes_is_told_at_the_end() -> None:
    world = World()
    async with world.process() as process:
        await come_in(world, process, part("a", 1, 3))
        await pass_time(world, process, WAIT_S + 1)
        await world.until(lambda: world.texts() == [f"a{GAP}"])
        await come_in(world, process, part("c", 3, 3))
        await pass_time(world, process, LATE_S)
        await world.until(lambda: world.texts() == [f"a{GAP}", f"a{GAP}c"])
        await world.cleared()
        await forgotten(world, process)


async def test_time_in_which_the_modem_was_away_does_not_count() -> None:
    world = World()
    async with world.process() as process:
        await come_in(world, process, part("a", 1, 2))
        await process.driver.change_line(None)
        world.clock.now_s += 2 * WAIT_S
        await process.driver.change_line(replace(world.line))
        await process.inbox.sweep(process.driver.lines.current or world.line)
        await settle(process)
        assert world.texts() == []
        await come_in(world, process, part("b", 2, 2))
        await world.until(lambda: world.texts() == ["ab"])


@pytest.mark.parametrize("step_s", [2 * LATE_S, -2 * LATE_S])
async def test_clock_that_is_set_meanwhile_neither_ends_nor_prolongs_the_wait(step_s: float) -> None:
    world = World()
    async with world.process() as process:
        await come_in(world, process, part("a", 1, 2), part("x", 1, 2, reference=8))
        world.clock.set_by_s += step_s
        await pass_time(world, process, WAIT_S - 1)
        assert world.texts() == []
        await come_in(world, process, part("b", 2, 2))
        await world.until(lambda: world.texts() == ["ab"])
        await pass_time(world, process, 2)
        await world.until(lambda: world.texts() == ["ab", f"x{GAP}"])


async def test_clock_that_was_ahead_in_an_earlier_process_does_not_prolong_the_wait() -> None:
    world = World()
    world.clock.set_by_s = 2 * LATE_S
    async with world.process() as process:
        await come_in(world, process, part("a", 1, 2))
    world.clock.set_by_s = 0.0
    async with world.process() as process:
        await process.inbox.sweep(world.line)
        await pass_time(world, process, WAIT_S + 1)
        await world.until(lambda: world.texts() == [f"a{GAP}"])


async def test_character_that_was_cut_in_two_is_whole_again() -> None:
    world = World()
    # As some senders cut: the first half of a surrogate pair ends one segment, the second begins the next.
    first = part("Ж", 1, 2).removesuffix("0416") + "D83D"
    second = part("Ж", 2, 2).removesuffix("0416") + "DC4B"
    async with world.process() as process:
        await come_in(world, process, first, second)
        await world.until(lambda: world.texts() == ["👋"])


async def test_nearly_full_memory_gives_up_fragments_that_are_in_the_journal() -> None:
    world = World()
    world.modem.slots = 5
    async with world.process() as process:
        for number in range(1, 5):
            world.modem.stores(part(str(number), number, 6))
            await process.inbox.sweep(world.line)
        assert len(world.modem.memory["ME"]) == 2
    async with world.process() as process:
        await come_in(world, process, part("5", 5, 6), part("6", 6, 6))
        await world.cleared()
    assert world.texts() == ["123456"]


async def test_fragments_of_ever_new_messages_push_out_the_oldest_which_is_told_with_its_gaps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("drivers.modem.messages.fragments.MESSAGES_MAX", 3)
    world = World()
    async with world.process() as process:
        for reference in range(5):
            await come_in(world, process, part(str(reference), 1, 2, reference=reference))
        await world.until(lambda: world.texts() == [f"0{GAP}", f"1{GAP}"])
        assert len(await process.driver.context.store.read("fragment/")) == 3
        await come_in(world, process, part("!", 2, 2, reference=4))
        await world.until(lambda: "4!" in world.texts())


async def test_text_that_is_longer_than_the_core_takes_comes_as_two_messages() -> None:
    world = World()
    text = "".join(chr(ord("a") + number % 26) for number in range(153 * 140))
    async with world.process() as process:
        pdus = deliver_pdus(text, originator=SENDER, sent_at=SENT_AT, reference=3)
        world.modem.slots = len(pdus) + 1
        for pdu in pdus:
            world.modem.stores(pdu.hex)
        await process.inbox.sweep(world.line)
        await world.cleared()
    assert [len(message.text) for message in world.core.inbound] == [20_000, len(text) - 20_000]
    assert "".join(world.texts()) == text


@dataclass(frozen=True)
class Journey:
    """How the segments of a message come in."""

    order: list[int]
    """Segments as they come; some more than once, each at least once."""
    restarts: frozenset[int]
    """Before which of them the process is started again."""
    death: int
    """At which step the first process is killed, if it gets there."""
    lost_notices: frozenset[int]
    """Which of them the modem does not tell."""
    is_acknowledged: bool
    """Whether the core acknowledges while they come in, or only at the end."""


@st.composite
def journeys(draw: st.DrawFn) -> Journey:
    total = draw(st.integers(2, 5))
    again = draw(st.lists(st.integers(1, total), max_size=4))
    order = draw(st.permutations([*range(1, total + 1), *again]))
    places = st.frozensets(st.integers(0, len(order) - 1), max_size=3)
    return Journey(order, draw(places), draw(st.integers(0, 60)), draw(places), draw(st.booleans()))


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(journeys())
def test_whole_text_is_told_exactly_once_whatever_happens_on_the_way(journey: Journey) -> None:
    run(travel(journey))


async def travel(journey: Journey) -> None:
    """Let the segments come in as the journey says, and look at what the core has in the end."""
    world = World()
    world.core.acknowledges = journey.is_acknowledged
    total = max(journey.order)
    pdus = {number: part(f"<{number}>", number, total, seconds=number) for number in range(1, total + 1)}
    waiting = list(enumerate(journey.order))
    killer: Killer | None = Killer(journey.death)
    while waiting:
        async with world.process(killer) as process:
            await feed(world, process, waiting, pdus, journey)
        killer = None
    world.core.acknowledges = True
    async with world.process() as process:
        world.core.acknowledge()
        process.pump()
        await world.cleared()
        await settle(process)
    assert world.texts() == ["".join(f"<{number}>" for number in range(1, total + 1))]


async def feed(
    world: World,
    process: Process,
    waiting: list[tuple[int, int]],
    pdus: dict[int, str],
    journey: Journey,
) -> None:
    """Let segments come in until the process is to be started again, or dies."""
    killer = world.modem.killer
    is_first = True
    while waiting and not (killer and killer.is_dead):
        place, number = waiting[0]
        if place in journey.restarts and not is_first:
            return
        is_first = False
        waiting.pop(0)
        if place in journey.lost_notices:
            world.modem.stores(pdus[number])
            continue
        index = process.comes_in(pdus[number])
        await world.until(
            lambda index=index: (
                bool(killer and killer.is_dead)
                or f"AT+CMGR={index}" in world.modem.executed[-3:]
                or index not in world.modem.memory["ME"]
            )
        )
