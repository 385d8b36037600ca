"""Status reports: the right part is found, whatever the network and a crash make of it, and each is told once."""

import pytest

from drivers.modem.messages.parts import PARTS_MAX, Part, PartLedger, is_same_number
from drivers.modem.messages.reports import REPEAT_S
from infinireach.driver.v1.fact_pb2 import CommandReport
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_CONTENT_UNSUPPORTED,
    FAILURE_REASON_DESTINATION_UNREACHABLE,
    FailureReason,
)
from tests.unit.drivers.modem.at_work import ICCID, LONG, SHORT, Process, World, command
from tests.unit.drivers.modem.played_modem import UNANSWERED, Killer, Taken


async def sent(
    world: World, process: Process, *commands: str, text: str = "hello", segments: int = 1
) -> None:
    process.offer(*[command(name, text, segments=segments) for name in commands])
    await world.settled()


async def reported(
    world: World, process: Process, taken: Taken, *, status: int = 0, recipient: str = ""
) -> None:
    """The network reports a part; wait until the driver has dealt with it."""
    await take(world, process, world.modem.report_of(taken, status=status, recipient=recipient or None))


async def take(world: World, process: Process, report: str) -> None:
    """A report comes in; wait until the driver has dealt with it."""
    before = process.inbox.counts["report"]
    process.says("+CDS", pdu=report)
    await world.until(lambda: process.inbox.counts["report"] > before)
    await process.engine.journal_idle()
    process.pump()


def reports_of(world: World, command_id: str) -> list[CommandReport]:
    """What came after the result."""
    return world.core.commands[command_id].reports[1:]


async def test_message_is_delivered_once_each_part_is_reported_and_not_before() -> None:
    world = World()
    async with world.process() as process:
        await sent(world, process, "c", text=LONG, segments=3)
        first, second, third = world.modem.taken
        await reported(world, process, third)
        await reported(world, process, first)
        assert world.core.states() == {"c": "submitted"}
        await reported(world, process, second)
        await world.until(lambda: world.core.states() == {"c": "delivered"})
    assert [list(report.delivered.segments) for report in reports_of(world, "c")] == [[3], [1], [2]]
    assert all(report.delivered.HasField("network_time") for report in reports_of(world, "c"))


async def test_report_that_comes_again_is_told_once() -> None:
    world = World()
    async with world.process() as process:
        await sent(world, process, "c")
        for _ in range(3):
            await reported(world, process, world.modem.taken[0])
    assert len(reports_of(world, "c")) == 1


async def test_report_after_a_restart_finds_its_part_and_is_told_once_over_another() -> None:
    world = World()
    async with world.process() as process:
        await sent(world, process, "c")
    for _ in range(2):
        async with world.process() as process:
            await reported(world, process, world.modem.taken[0])
            await world.until(lambda: world.core.states() == {"c": "delivered"})
    assert len(reports_of(world, "c")) == 1


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (0x41, FAILURE_REASON_CONTENT_UNSUPPORTED),
        (0x46, FAILURE_REASON_DESTINATION_UNREACHABLE),
        (0x60, FAILURE_REASON_DESTINATION_UNREACHABLE),
        (0x7F, FAILURE_REASON_DESTINATION_UNREACHABLE),
    ],
)
async def test_network_that_has_given_up_fails_the_message(status: int, reason: FailureReason) -> None:
    world = World()
    async with world.process() as process:
        await sent(world, process, "c")
        await reported(world, process, world.modem.taken[0], status=status)
        await world.until(lambda: world.core.states() == {"c": "failed"})
    failed = reports_of(world, "c")[0].failed
    assert (failed.reason, failed.network_code) == (reason, str(status))


@pytest.mark.parametrize("status", [0x20, 0x30, 0x3F])
async def test_network_that_goes_on_trying_changes_nothing_until_it_has_done(status: int) -> None:
    world = World()
    async with world.process() as process:
        await sent(world, process, "c")
        await reported(world, process, world.modem.taken[0], status=status)
        assert reports_of(world, "c") == []
        await reported(world, process, world.modem.taken[0])
        await world.until(lambda: world.core.states() == {"c": "delivered"})


@pytest.mark.parametrize("status", [0x01, 0x02, 0x1F])
async def test_message_that_was_handed_on_counts_as_delivered(status: int) -> None:
    world = World()
    async with world.process() as process:
        await sent(world, process, "c")
        await reported(world, process, world.modem.taken[0], status=status)
        await world.until(lambda: world.core.states() == {"c": "delivered"})


async def test_reference_that_went_round_means_the_part_of_the_reports_time() -> None:
    world = World()
    async with world.process() as process:
        await sent(world, process, "old")
        old = world.modem.report_of(world.modem.taken[0])
        world.clock.now_s += 7200
        world.modem.reference -= 1
        await sent(world, process, "new")
        assert world.modem.taken[0].reference == world.modem.taken[1].reference
        process.says("+CDS", pdu=old)
        await world.until(lambda: world.core.states() == {"old": "delivered", "new": "submitted"})
        await reported(world, process, world.modem.taken[1])
        await world.until(lambda: world.core.states() == {"old": "delivered", "new": "delivered"})


async def test_parts_with_one_reference_in_one_second_have_a_report_each() -> None:
    world = World()
    always_zero(world)
    async with world.process() as process:
        await sent(world, process, "c", text=LONG, segments=3)
        for number in range(3):
            assert world.core.states() == {"c": "submitted"}
            await reported(world, process, world.modem.taken[number])
        await world.until(lambda: world.core.states() == {"c": "delivered"})


async def test_report_that_is_repeated_is_not_taken_for_that_of_another_part() -> None:
    world = World()
    always_zero(world)
    async with world.process() as process:
        await sent(world, process, "c", text=LONG, segments=3)
        report = world.modem.report_of(world.modem.taken[0])
        for _ in range(3):
            await take(world, process, report)
            world.clock.now_s += REPEAT_S
    async with world.process() as process:
        await take(world, process, report)
        assert process.driver.reports.counts["repeated"] == 1
    assert world.core.states() == {"c": "submitted"}
    assert len(reports_of(world, "c")) == 1


def always_zero(world: World) -> None:
    """The modem gives every part the same reference."""

    def zero(taken: Taken) -> None:
        world.modem.reference = taken.reference = 0

    world.modem.when_taking = zero


async def test_newest_part_is_meant_where_the_time_does_not_tell() -> None:
    world = World()
    async with world.process() as process:
        for name in ("old", "new"):
            world.modem.reference = 6
            await sent(world, process, name)
            world.clock.now_s += 3600
        await reported(world, process, world.modem.taken[1])
        await world.until(lambda: world.core.states() == {"old": "submitted", "new": "delivered"})


@pytest.mark.parametrize("recipient", ["01701234567", "491701234567", "+491701234567"])
async def test_recipient_in_another_form_is_recognised(recipient: str) -> None:
    world = World()
    async with world.process() as process:
        await sent(world, process, "c")
        await reported(world, process, world.modem.taken[0], recipient=recipient)
        await world.until(lambda: world.core.states() == {"c": "delivered"})


async def test_report_for_another_recipient_changes_nothing() -> None:
    world = World()
    async with world.process() as process:
        await sent(world, process, "c")
        await reported(world, process, world.modem.taken[0], recipient="+491709999999")
        assert reports_of(world, "c") == []
        assert process.driver.reports.counts["unmatched"] == 1


async def park(world: World, process: Process, *, recipient: str = "") -> None:
    """A message is with the network, its answer still to come, and a report is there already."""
    world.modem.may_answer.clear()
    process.offer(command("c"))
    await world.until(lambda: len(world.modem.taken) == 1)
    report = world.modem.report_of(world.modem.taken[0], recipient=recipient or None)
    process.comes_in(report)
    await world.until(lambda: process.driver.reports.counts["parked"] == 1)
    await world.cleared()


async def test_report_that_is_faster_than_the_modems_answer_finds_its_part() -> None:
    world = World()
    async with world.process() as process:
        await park(world, process)
        world.modem.may_answer.set()
        await world.until(lambda: world.core.states() == {"c": "delivered"})
        assert await process.driver.context.store.read("parked/") == {}


async def test_parked_report_survives_a_crash_and_settles_what_the_crash_left_unknown() -> None:
    world = World()
    async with world.process() as process:
        await park(world, process)
    async with world.process() as process:
        await world.until(lambda: world.core.states() == {"c": "delivered"})
        assert await process.driver.context.store.read("parked/") == {}


async def test_fast_report_settles_a_message_whose_answer_a_crash_lost() -> None:
    world = World()
    killer = Killer()
    async with world.process(killer) as process:
        world.modem.when_taking = lambda taken: process.says("+CDS", pdu=world.modem.report_of(taken))
        await sent(world, process, "rehearsal")
        await world.until(lambda: world.core.states() == {"rehearsal": "delivered"})
    steps = len(killer.steps)
    for at in range(steps):
        await deliver_over_a_death(at)


async def deliver_over_a_death(at: int) -> None:
    """The report is there while the answer is awaited, and the process dies at some step: it is known in the end."""
    world = World()
    killer = Killer(at)
    async with world.process(killer) as process:
        world.modem.when_taking = lambda taken: report_at_once(world, process, taken)
        process.offer(command("c"))
        await world.until(lambda: killer.is_dead or bool(world.core.states()["c"]))
    async with world.process() as process:
        world.modem.when_taking = lambda taken: report_at_once(world, process, taken)
        await world.settled()
        expected = "delivered" if world.modem.taken else "outcome_unknown"
        await world.until(lambda: world.core.states() == {"c": expected})
        await world.cleared()


def report_at_once(world: World, process: Process, taken: Taken) -> None:
    process.comes_in(world.modem.report_of(taken))


async def test_report_settles_a_message_whose_outcome_nobody_knew() -> None:
    world = World()
    world.modem.answers.append(UNANSWERED)
    async with world.process() as process:
        await sent(world, process, "c")
        assert world.core.states() == {"c": "outcome_unknown"}
        await reported(world, process, world.modem.taken[0])
        await world.until(lambda: world.core.states() == {"c": "delivered"})


async def two_with_one_reference(world: World, process: Process) -> None:
    """An old message that was never reported, and a new one with its reference that is with the network."""
    await sent(world, process, "old")
    world.clock.now_s += 2 * 86_400
    world.modem.reference -= 1
    process.offer(command("new"))
    await world.until(lambda: len(world.modem.taken) == 2)
    assert world.modem.taken[0].reference == world.modem.taken[1].reference


async def test_report_of_a_message_whose_answer_was_lost_does_not_go_to_an_old_one() -> None:
    world = World()
    world.modem.answers.extend([None, UNANSWERED])
    async with world.process() as process:
        await two_with_one_reference(world, process)
        await world.settled()
        await reported(world, process, world.modem.taken[1])
        await world.until(lambda: world.core.states() == {"old": "submitted", "new": "delivered"})


async def test_report_that_is_faster_than_the_modems_answer_does_not_go_to_an_old_message() -> None:
    world = World()
    async with world.process() as process:
        world.modem.when_taking = lambda taken: (
            world.modem.may_answer.clear() if len(world.modem.taken) == 2 else None
        )
        await two_with_one_reference(world, process)
        await reported(world, process, world.modem.taken[1])
        world.modem.may_answer.set()
        await world.until(lambda: world.core.states() == {"old": "submitted", "new": "delivered"})


async def test_report_of_another_time_does_not_settle_an_unknown_outcome() -> None:
    world = World()
    world.modem.answers.append(UNANSWERED)
    async with world.process() as process:
        await sent(world, process, "c")
        world.clock.now_s += 3600
        await reported(world, process, world.modem.taken[0])
        assert world.core.states() == {"c": "outcome_unknown"}


async def test_parked_report_without_a_part_is_dropped_after_its_time() -> None:
    world = World()
    async with world.process() as process:
        await park(world, process, recipient="+33612345678")
        world.modem.may_answer.set()
        await world.settled()
        world.clock.now_s += SHORT.report_parking_s + 1
        await process.driver.reports.tend(ICCID)
        assert process.driver.reports.counts["unmatched"] == 1
        assert world.core.states() == {"c": "submitted"}
        assert await process.driver.context.store.read("parked/") == {}


async def test_message_without_a_wish_for_reports_asks_for_none_and_keeps_nothing() -> None:
    world = World()
    async with world.process() as process:
        quiet = command("c")
        quiet.delivery_report_wanted = False
        process.offer(quiet)
        await world.settled()
        assert not world.modem.taken[0].submit.wants_report
        assert await process.driver.context.store.read("part/") == {}


@pytest.mark.parametrize(
    ("sent_to", "reported_as", "is_same"),
    [
        ("+491701234567", "+491701234567", True),
        ("+491701234567", "+491701234568", False),
        ("+491701234567", "1701234567", True),
        ("+491701234567", "", True),
        ("80888", "80888", True),
        ("80888", "0888", False),
        ("+4980888", "80888", False),
    ],
)
def test_numbers_are_compared_by_their_last_digits_where_one_is_national(
    sent_to: str, reported_as: str, *, is_same: bool
) -> None:
    assert is_same_number(sent_to, reported_as) is is_same


def test_ledger_forgets_what_is_over_and_stays_small() -> None:
    ledger = PartLedger({})
    for number in range(PARTS_MAX + 100):
        part = Part(ICCID, f"{number:06d}", 1, "+491701234567", started_s=number, expires_s=1e9)
        ledger.add(part, now_s=number)
    assert len(ledger) <= PARTS_MAX
    late = Part(ICCID, "late", 1, "+491701234567", started_s=2e9, expires_s=3e9)
    changes = ledger.add(late, now_s=2e9)
    assert list(changes.values()).count(None) > 1
