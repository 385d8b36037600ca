"""Sending over a played modem: what each answer leads to, and that no part ever goes out twice."""

from dataclasses import replace
from itertools import pairwise

import pytest

from drivers.modem.at.results import AtFailure, CommandRefused, Domain, NoPrompt, PduNotWritten
from drivers.runtime.contract_kit.core_model import ModelCommand
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_CONTENT_UNSUPPORTED,
    FAILURE_REASON_DESTINATION_INVALID,
    FAILURE_REASON_DEVICE_FAULT,
    FAILURE_REASON_EXPIRED,
    FAILURE_REASON_NETWORK_REJECTED,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_PARTLY_SENT,
    FAILURE_REASON_RATE_LIMITED,
    FailureReason,
)
from tests.unit.drivers.modem.at_work import LONG, SHORT, Process, World, command
from tests.unit.drivers.modem.played_modem import NO_REFERENCE, UNANSWERED, refused

OTHER_ICCID = "8949000000000000002"


async def sent(
    world: World, *failures: AtFailure | None, text: str = "hello", segments: int = 1
) -> ModelCommand:
    """Send one message whose PDUs end so; what the core knows of it then."""
    world.modem.answers.extend(failures)
    async with world.process() as process:
        process.offer(command("c", text, segments=segments))
        await world.settled()
    return world.core.commands["c"]


async def test_message_goes_out_and_its_reference_is_reported() -> None:
    world = World()
    result = await sent(world, text="Grüße 👋")
    assert [taken.submit.text for taken in world.modem.taken] == ["Grüße 👋"]
    assert result.state == "submitted"
    assert list(result.reports[0].submitted.segment_references) == [str(world.modem.taken[0].reference)]


async def test_long_message_goes_out_part_by_part_with_one_reference_and_the_link_kept() -> None:
    world = World()
    result = await sent(world, text=LONG, segments=3)
    parts = [taken.submit.concatenation for taken in world.modem.taken]
    assert [(part.number, part.total) for part in parts if part] == [(1, 3), (2, 3), (3, 3)]
    assert len({part.reference for part in parts if part}) == 1
    assert "".join(taken.submit.text for taken in world.modem.taken) == LONG
    assert world.modem.executed.count("AT+CMMS=2") == 1
    references = [str(taken.reference) for taken in world.modem.taken]
    assert list(result.reports[0].submitted.segment_references) == references


async def test_concatenation_references_count_on_over_a_restart() -> None:
    world = World()
    for name in ("first", "second"):
        async with world.process() as process:
            process.offer(command(name, LONG, segments=3), command(f"{name} too", LONG, segments=3))
            await world.settled()
    references = [
        part.submit.concatenation.reference
        for part in world.modem.taken
        if part.submit.concatenation and part.submit.concatenation.number == 1
    ]
    assert [(after - before) % 256 for before, after in pairwise(references)] == [1, 1, 1]


async def test_wide_reference_gives_way_where_the_core_counted_fewer_segments() -> None:
    world = World()
    world.line = replace(world.line, reference_bits=16)
    text = "a" * 153 * 2
    await sent(world, text=text, segments=2)
    assert [
        taken.submit.concatenation.reference_bits for taken in world.modem.taken if taken.submit.concatenation
    ] == [8, 8]


@pytest.mark.parametrize(
    ("code", "reason", "tries"),
    [
        (1, FAILURE_REASON_DESTINATION_INVALID, 1),
        (21, FAILURE_REASON_NETWORK_REJECTED, 1),
        (38, FAILURE_REASON_NETWORK_REJECTED, 2),
        (42, FAILURE_REASON_RATE_LIMITED, 4),
        (331, FAILURE_REASON_NO_SERVICE, 4),
        (310, FAILURE_REASON_DEVICE_FAULT, 1),
    ],
)
async def test_refused_message_fails_after_the_retries_that_its_code_allows(
    code: int, reason: FailureReason, tries: int
) -> None:
    world = World()
    result = await sent(world, *[refused(code)] * 10)
    assert result.reports[0].failed.reason == reason
    assert result.reports[0].failed.network_code == str(code)
    assert len(world.modem.pdus) == tries
    assert world.modem.taken == []


async def test_refusal_that_passes_is_not_noticed_by_the_owner() -> None:
    world = World()
    result = await sent(world, refused(41), refused(314), None)
    assert result.state == "submitted"
    assert len(world.modem.taken) == 1


async def test_message_that_the_network_has_already_counts_as_taken() -> None:
    world = World()
    result = await sent(world, refused(197))
    assert result.state == "submitted"
    assert list(result.reports[0].submitted.segment_references) == [""]


async def test_refused_validity_period_is_left_out_once() -> None:
    world = World()
    world.modem.answers.extend([refused(199), None])
    async with world.process() as process:
        not_after_s = world.clock.wall_ns() / 1e9 + 3600
        process.offer(command("c", not_after_s=not_after_s))
        await world.settled()
    assert world.core.states() == {"c": "submitted"}
    assert len(world.modem.pdus) == 2
    assert world.modem.taken[0].submit.validity is None


async def test_full_memory_is_emptied_and_the_message_tried_once_more() -> None:
    world = World()
    world.modem.answers.extend([refused(322), None])
    async with world.process() as process:
        process.offer(command("c"))
        await world.settled()
        assert process.driver.drained == 1
    assert world.core.states() == {"c": "submitted"}


@pytest.mark.parametrize(
    "failure", [refused(500), refused(332), refused(None, Domain.NONE), UNANSWERED, NO_REFERENCE]
)
async def test_outcome_that_nobody_can_know_is_reported_as_unknown_and_never_tried_again(
    failure: AtFailure,
) -> None:
    world = World()
    result = await sent(world, failure)
    assert result.state == "outcome_unknown"
    assert len(world.modem.pdus) == 1


@pytest.mark.parametrize(
    "failure",
    [NoPrompt("AT+CMGS"), UNANSWERED, refused(500), PduNotWritten("AT+CMGS", Domain.NONE, None, "ERROR")],
)
async def test_modem_that_did_not_take_the_pdu_fails_with_a_reason_that_is_retried(
    failure: AtFailure,
) -> None:
    world = World()
    world.modem.before_prompt.extend([failure] * 10)
    result = await sent(world)
    assert result.reports[0].failed.reason == FAILURE_REASON_DEVICE_FAULT
    assert world.modem.pdus == []


async def test_command_that_ends_between_prompt_and_pdu_is_certainly_not_out() -> None:
    world = World()
    result = await sent(world, *[PduNotWritten("AT+CMGS", Domain.CMS, 500, "+CMS ERROR: 500")] * 10)
    assert result.reports[0].failed.reason == FAILURE_REASON_DEVICE_FAULT
    assert world.modem.pdus == []


async def test_failures_of_the_device_are_told_and_so_is_its_recovery() -> None:
    world = World()
    world.modem.answers.extend([refused(310), UNANSWERED, refused(21), None])
    async with world.process() as process:
        process.offer(*[command(name) for name in "abcd"])
        await world.settled()
        assert len(process.driver.failures) == 2
        assert process.driver.successes == 2


async def test_refusal_in_the_middle_of_a_message_tells_how_far_it_got() -> None:
    world = World()
    result = await sent(world, None, refused(21), text=LONG, segments=3)
    failed = result.reports[0].failed
    assert failed.reason == FAILURE_REASON_PARTLY_SENT
    assert failed.network_code == "21"
    assert failed.detail.startswith("1 of 3 segments were sent.")


@pytest.mark.parametrize("failure", [refused(310), refused(331)])
async def test_trouble_in_the_middle_of_a_message_is_retried_on_the_same_device(
    failure: CommandRefused,
) -> None:
    world = World()
    result = await sent(world, None, failure, failure, None, None, text=LONG, segments=3)
    assert result.state == "submitted"
    assert len(world.modem.taken) == 3


@pytest.mark.parametrize("code", [42, 310, 331])
async def test_message_of_which_parts_are_out_waits_longer_than_one_that_may_go_elsewhere(code: int) -> None:
    world = World()
    result = await sent(world, None, *[refused(code)] * 8, None, None, text=LONG, segments=3)
    assert result.state == "submitted"
    assert world.numbers() == [1, 2, 3]


async def test_trouble_that_outlasts_its_time_leaves_the_message_partly_sent() -> None:
    world = World()
    world.modem.answers.extend([None, *[refused(331)] * 100])
    async with world.process() as process:
        world.modem.when_prompting = lambda: setattr(world.clock, "now_s", world.clock.now_s + 1)
        process.offer(command("c", LONG, segments=3))
        await world.settled()
    assert world.core.commands["c"].reports[0].failed.reason == FAILURE_REASON_PARTLY_SENT
    assert len(world.modem.pdus) == 1 + 1 + SHORT.resume_s


async def test_modem_that_refuses_every_message_without_a_reason_counts_as_failing() -> None:
    world = World()
    world.modem.before_prompt.extend([refused(None, Domain.NONE)] * 8)
    async with world.process() as process:
        process.offer(command("a"), command("b"))
        await world.settled()
        assert len(process.driver.failures) == 2


async def test_outcome_of_one_part_that_nobody_knows_ends_the_message() -> None:
    world = World()
    result = await sent(world, None, UNANSWERED, text=LONG, segments=3)
    assert result.state == "outcome_unknown"
    assert len(world.modem.pdus) == 2


async def test_message_waits_for_a_modem_that_goes_away_in_the_middle_of_it() -> None:
    world = World()
    async with world.process() as process:
        await vanish_after_first_part(world, process)
        process.driver.lines.set(world.line)
        assert await world.settled() == {"c": "submitted"}
    assert world.numbers() == [1, 2, 3]


async def test_other_sim_in_the_middle_of_a_message_leaves_it_partly_sent() -> None:
    world = World()
    async with world.process() as process:
        await vanish_after_first_part(world, process)
        process.driver.lines.set(replace(world.line, iccid=OTHER_ICCID))
        await world.settled()
    assert world.core.commands["c"].reports[0].failed.reason == FAILURE_REASON_PARTLY_SENT
    assert world.numbers() == [1]


async def test_modem_that_stays_away_in_the_middle_of_a_message_leaves_it_partly_sent() -> None:
    world = World(replace(SHORT, resume_s=0.01))
    async with world.process() as process:
        await vanish_after_first_part(world, process)
        await world.settled()
    assert world.core.commands["c"].reports[0].failed.reason == FAILURE_REASON_PARTLY_SENT


async def vanish_after_first_part(world: World, process: Process) -> None:
    """Begin a message of three parts and let the modem vanish as the second is about to go out."""
    world.modem.before_prompt.extend([None, NoPrompt("AT+CMGS")])
    world.modem.when_failing = lambda: process.driver.lines.set(None)
    process.offer(command("c", LONG, segments=3))
    await world.until(lambda: process.driver.lines.current is None)


async def test_message_for_a_modem_that_is_away_is_given_back() -> None:
    world = World()
    async with world.process() as process:
        process.driver.lines.set(None)
        process.offer(command("c"))
        await world.settled()
    assert world.core.commands["c"].reports[0].failed.reason == FAILURE_REASON_NO_SERVICE


async def test_message_whose_deadline_passes_between_two_tries_is_not_sent() -> None:
    world = World()
    world.modem.answers.append(refused(41))
    async with world.process() as process:
        not_after_s = world.clock.wall_ns() / 1e9 + 1
        later_s = world.clock.now_s + 2
        world.modem.changed = lambda: setattr(world.clock, "now_s", later_s) if world.modem.pdus else None
        process.offer(command("c", not_after_s=not_after_s))
        await world.settled()
    assert world.core.commands["c"].reports[0].failed.reason == FAILURE_REASON_EXPIRED
    assert len(world.modem.pdus) == 1


@pytest.mark.parametrize(
    ("text", "to", "reason"),
    [
        ("hello", "+49 170 1", FAILURE_REASON_DESTINATION_INVALID),
        ("hello", '+491701"\rATD', FAILURE_REASON_DESTINATION_INVALID),
        ("a" * 40_000, "+491701234567", FAILURE_REASON_CONTENT_UNSUPPORTED),
    ],
)
async def test_what_no_network_can_carry_never_reaches_the_modem(
    text: str, to: str, reason: FailureReason
) -> None:
    world = World()
    async with world.process() as process:
        process.offer(command("c", text, to=to))
        await world.settled()
    assert world.core.commands["c"].reports[0].failed.reason == reason
    assert world.modem.pdus == []


async def test_journal_that_cannot_be_written_keeps_the_part_from_the_modem() -> None:
    world = World(replace(SHORT, journal_s=0.01))
    async with world.process() as process:
        world.modem.when_prompting = lambda: setattr(world.journal, "is_full", True)
        process.offer(command("c"))
        await world.until(lambda: world.modem.prompts >= 4)
        world.journal.is_full = False
        world.modem.when_prompting = lambda: None
        await world.settled()
    assert world.core.commands["c"].reports[0].failed.reason == FAILURE_REASON_DEVICE_FAULT
    assert world.modem.pdus == []
