"""Whatever goes wrong with delivery reports: a message is told delivered once it is, and never before."""

import pytest

from infinireach.v1.message_pb2 import FAILURE_REASON_DESTINATION_UNREACHABLE
from tests.integration.modem.faults.bench import Bench
from tests.integration.modem.faults.covering import about

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = "A message that needs three segments. " * 10


@about("report_doubled")
async def test_report_that_comes_twice_counts_once(shared: Bench) -> None:
    shared.emulator.faults.add("report_doubled")
    message = shared.offer()
    await shared.delivered(message)
    await shared.check()
    assert shared.outcomes(message) == ["submitted", "delivered"]


@about("report_before_result")
async def test_report_that_is_faster_than_the_result_is_kept_for_it(shared: Bench) -> None:
    shared.emulator.faults.add("report_before_result", count=3)
    message = shared.offer(LONG)
    await shared.delivered(message)
    assert shared.payloads_of(message) == [1, 1, 1]
    await shared.check()


@about("report_lost")
async def test_message_without_a_report_stays_sent(shared: Bench) -> None:
    shared.emulator.faults.add("report_lost")
    message = shared.offer()
    await shared.settled(message)
    await shared.check()
    assert shared.command(message).state == "submitted"


@about("report_lost")
async def test_message_of_which_one_part_has_no_report_stays_sent(shared: Bench) -> None:
    shared.emulator.faults.add("report_lost", skip=1)
    message = shared.offer(LONG)
    await shared.until(lambda: shared.command(message).delivered_segments == {1, 3})
    await shared.check()
    assert shared.command(message).state == "submitted"


@about("report_late")
async def test_late_report_finds_its_message_behind_others(shared: Bench) -> None:
    shared.emulator.faults.add("report_late", delay_s=0.4)
    message = shared.offer()
    await shared.settled(message)
    others = [shared.offer() for _ in range(3)]
    for other in others:
        await shared.delivered(other)
    assert shared.command(message).state == "submitted"
    await shared.delivered(message)
    await shared.check()


@about("report_failed")
@pytest.mark.parametrize("status", [0x46, 0x60])
async def test_report_of_a_failure_fails_the_message(shared: Bench, status: int) -> None:
    shared.emulator.faults.add("report_failed", status=status)
    message = shared.offer()
    await shared.until(lambda: "failed" in shared.outcomes(message))
    failed = shared.command(message).reports[-1].failed
    assert failed.reason == FAILURE_REASON_DESTINATION_UNREACHABLE
    assert failed.network_code == str(status)
    await shared.check()
    assert shared.command(message).state == "failed"


@about("report_failed")
async def test_part_that_failed_fails_the_whole_message(shared: Bench) -> None:
    shared.emulator.faults.add("report_failed", skip=1)
    message = shared.offer(LONG)
    await shared.until(lambda: "failed" in shared.outcomes(message))
    await shared.check()
    assert shared.command(message).state == "failed"


@about("report_temporary")
async def test_report_that_the_network_still_tries_says_nothing_yet(shared: Bench) -> None:
    shared.emulator.faults.add("report_temporary")
    message = shared.offer()
    await shared.delivered(message)
    await shared.check()
    assert shared.outcomes(message) == ["submitted", "delivered"]


@about("reports_in_sm")
async def test_report_among_the_messages_of_the_sim_is_a_report(shared: Bench) -> None:
    shared.emulator.faults.add("reports_in_sm", seconds=0.5)
    message = shared.offer(LONG)
    shared.emulator.deliver("a message")
    await shared.delivered(message)
    await shared.until(lambda: shared.texts() == ["a message"])
    await shared.check()
