"""Whatever goes wrong while a message is handed over: a defined outcome, no part twice, and the next one goes out."""

from collections import Counter

import pytest

from drivers.modem.emulator import Kind
from infinireach.driver.v1.fact_pb2 import CommandReport
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_DESTINATION_INVALID,
    FAILURE_REASON_DEVICE_FAULT,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_PARTLY_SENT,
    FAILURE_REASON_RATE_LIMITED,
)
from tests.integration.modem.faults.bench import SUBMIT_TIMEOUT_S, Bench
from tests.integration.modem.faults.covering import about

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = "A message that needs three segments. " * 10
TIMEOUT_S = SUBMIT_TIMEOUT_S


def outcome(report: CommandReport) -> str | None:
    return report.WhichOneof("outcome")


@about("no_prompt")
async def test_modem_without_a_prompt_was_given_nothing(shared: Bench) -> None:
    shared.emulator.faults.add("no_prompt")
    message = shared.offer()
    report = await shared.settled(message)
    assert report.failed.reason == FAILURE_REASON_DEVICE_FAULT
    assert shared.payloads_of(message) == []
    await shared.check()


@about("no_prompt")
async def test_part_without_a_prompt_is_asked_for_again_once_others_are_out(shared: Bench) -> None:
    shared.emulator.faults.add("no_prompt", skip=1)
    message = shared.offer(LONG)
    await shared.delivered(message)
    assert shared.payloads_of(message) == [1, 1, 1]
    await shared.check()


@about("late_prompt")
async def test_prompt_in_time_is_answered(shared: Bench) -> None:
    shared.emulator.faults.add("late_prompt", delay_s=0.2)
    message = shared.offer()
    await shared.delivered(message)
    await shared.check()


@about("late_prompt")
async def test_prompt_that_comes_too_late_is_taken_back(shared: Bench) -> None:
    shared.emulator.faults.add("late_prompt", delay_s=0.8)
    message = shared.offer()
    report = await shared.settled(message)
    assert report.failed.reason == FAILURE_REASON_DEVICE_FAULT
    assert shared.payloads_of(message) == []
    await shared.check()


@about("bare_prompt")
async def test_prompt_without_a_blank_is_one(shared: Bench) -> None:
    shared.emulator.faults.add("bare_prompt")
    await shared.delivered(shared.offer())
    await shared.check()


@about("interrupted_send")
async def test_unsolicited_codes_between_prompt_and_result_change_nothing(shared: Bench) -> None:
    shared.emulator.faults.add("interrupted_send", count=3)
    message = shared.offer(LONG)
    await shared.delivered(message)
    await shared.check()


@about("cms_error")
async def test_permanent_refusal_fails_the_message_with_the_network_s_code(shared: Bench) -> None:
    shared.emulator.faults.add("cms_error", code=1)
    message = shared.offer()
    report = await shared.settled(message)
    assert report.failed.reason == FAILURE_REASON_DESTINATION_INVALID
    assert report.failed.network_code == "1"
    assert shared.payloads_of(message) == [1]
    await shared.check()


@about("cms_error")
async def test_refusal_in_mid_message_is_told_with_what_went_out(shared: Bench) -> None:
    shared.emulator.faults.add("cms_error", code=21, skip=1)
    message = shared.offer(LONG)
    report = await shared.settled(message)
    assert report.failed.reason == FAILURE_REASON_PARTLY_SENT
    assert report.failed.network_code == "21"
    assert report.failed.detail.startswith("1 of 3 segments were sent")
    assert shared.payloads_of(message) == [1, 1]
    await shared.check()


@about("cms_error")
async def test_refusal_that_may_pass_is_tried_again(shared: Bench) -> None:
    shared.emulator.faults.add("cms_error", code=42, count=2)
    message = shared.offer()
    await shared.delivered(message)
    assert shared.payloads_of(message) == [3]
    await shared.check(refused=[message])


@about("cms_error")
async def test_refusal_that_does_not_pass_goes_back_to_the_core(shared: Bench) -> None:
    shared.emulator.faults.add("cms_error", code=42, count=4)
    message = shared.offer()
    report = await shared.settled(message)
    assert report.failed.reason == FAILURE_REASON_RATE_LIMITED
    assert shared.payloads_of(message) == [4]
    await shared.check(refused=[message])


@about("cms_error")
async def test_network_out_of_order_does_not_block_the_device_for_long(shared: Bench) -> None:
    shared.emulator.faults.add("cms_error", code=38, count=2)
    message = shared.offer()
    report = await shared.settled(message)
    assert report.failed.network_code == "38"
    assert shared.payloads_of(message) == [2]
    await shared.check(refused=[message])


@about("cms_error")
async def test_fault_of_the_device_gives_the_message_back_at_once(shared: Bench) -> None:
    shared.emulator.faults.add("cms_error", code=313)
    message = shared.offer()
    report = await shared.settled(message)
    assert report.failed.reason == FAILURE_REASON_DEVICE_FAULT
    assert shared.payloads_of(message) == [1]
    await shared.check()


@about("cms_error")
async def test_full_memory_is_emptied_and_the_message_goes_out(shared: Bench) -> None:
    shared.emulator.faults.add("cms_error", code=322)
    message = shared.offer()
    await shared.delivered(message)
    assert shared.payloads_of(message) == [2]
    await shared.check(refused=[message])


@about("cms_error")
@pytest.mark.parametrize("code", [332, 500])
async def test_ambiguous_refusal_is_unknown_and_stays_so_without_a_report(shared: Bench, code: int) -> None:
    shared.emulator.faults.add("cms_error", code=code)
    message = shared.offer()
    assert outcome(await shared.settled(message)) == "outcome_unknown"
    assert shared.payloads_of(message) == [1]
    await shared.check()
    assert shared.command(message).state == "outcome_unknown"


@about("cms_error")
async def test_ambiguous_refusal_of_what_was_taken_is_settled_by_the_report(shared: Bench) -> None:
    shared.emulator.faults.add("cms_error", code=500, taken=True)
    message = shared.offer()
    assert outcome(await shared.settled(message)) == "outcome_unknown"
    await shared.delivered(message)
    await shared.check()


@about("cms_error")
async def test_refusal_as_a_duplicate_means_that_the_network_has_it(shared: Bench) -> None:
    shared.emulator.faults.add("cms_error", code=197, taken=True)
    message = shared.offer()
    assert outcome(await shared.settled(message)) == "submitted"
    await shared.delivered(message)
    await shared.check()


@about("ok_without_reference")
@pytest.mark.parametrize("taken", [True, False])
async def test_ok_without_a_reference_is_no_success(shared: Bench, *, taken: bool) -> None:
    shared.emulator.faults.add("ok_without_reference", taken=taken)
    message = shared.offer()
    assert outcome(await shared.settled(message)) == "outcome_unknown"
    if taken:
        await shared.delivered(message)
    await shared.check()
    assert shared.command(message).state == ("delivered" if taken else "outcome_unknown")


@about("hang_after_pdu")
@pytest.mark.parametrize("taken", [True, False])
async def test_modem_that_falls_silent_after_the_pdu_leaves_the_outcome_unknown(
    shared: Bench, *, taken: bool
) -> None:
    shared.emulator.faults.add("hang_after_pdu", taken=taken, hang_s=TIMEOUT_S + 0.2)
    message = shared.offer()
    assert outcome(await shared.settled(message)) == "outcome_unknown"
    if taken:
        await shared.delivered(message)
    await shared.check()
    assert shared.command(message).state == ("delivered" if taken else "outcome_unknown")


@about("slow_radio")
async def test_slow_network_is_waited_for(shared: Bench) -> None:
    shared.emulator.faults.add("slow_radio", delay_s=TIMEOUT_S / 2)
    message = shared.offer()
    assert outcome(await shared.settled(message)) == "submitted"
    await shared.check()


@about("slow_radio")
async def test_network_that_is_too_slow_leaves_the_outcome_to_the_report(shared: Bench) -> None:
    shared.emulator.faults.add("slow_radio", delay_s=TIMEOUT_S + 0.3)
    message = shared.offer()
    assert outcome(await shared.settled(message)) == "outcome_unknown"
    await shared.delivered(message)
    assert shared.payloads_of(message) == [1]
    await shared.check()


@about("reboot_in_send")
@pytest.mark.parametrize("taken", [True, False])
async def test_modem_that_restarts_in_mid_send_leaves_the_outcome_unknown(
    shared: Bench, *, taken: bool
) -> None:
    shared.find_network_once_set_up()
    shared.emulator.faults.add("reboot_in_send", taken=taken)
    message = shared.offer()
    assert outcome(await shared.settled(message)) == "outcome_unknown"
    if taken:
        await shared.delivered(message)
    await shared.check()
    assert shared.command(message).state == ("delivered" if taken else "outcome_unknown")
    assert "starting" in shared.reasons()


@about("reboot_in_send")
async def test_restart_in_mid_message_never_repeats_what_is_out(shared: Bench) -> None:
    shared.emulator.faults.add("reboot_in_send", skip=1, taken=False)
    message = shared.offer(LONG)
    assert outcome(await shared.settled(message)) == "outcome_unknown"
    assert shared.payloads_of(message) == [1, 1]
    await shared.check()


@about("vanish_in_send")
@pytest.mark.parametrize("taken", [True, False])
@pytest.mark.parametrize("powered", [True, False])
async def test_port_that_vanishes_in_mid_send_leaves_the_outcome_unknown(
    shared: Bench, *, taken: bool, powered: bool
) -> None:
    if not powered:
        shared.find_network_once_set_up()
    shared.emulator.faults.add("vanish_in_send", taken=taken, powered=powered, away_s=0.3)
    message = shared.offer()
    assert outcome(await shared.settled(message)) == "outcome_unknown"
    if taken:
        await shared.delivered(message)
    await shared.check()
    assert "port_missing" in shared.reasons()


@about("reference_reuse")
async def test_two_messages_with_one_reference_have_their_own_reports(shared: Bench) -> None:
    shared.emulator.faults.add("reference_reuse", skip=1)
    first, second = shared.offer(), shared.offer()
    await shared.delivered(first)
    await shared.delivered(second)
    await shared.check()


@about("reference_reuse")
async def test_parts_of_one_message_with_one_reference_are_all_reported(shared: Bench) -> None:
    shared.emulator.faults.add("reference_reuse", skip=1, count=2)
    message = shared.offer(LONG)
    await shared.delivered(message)
    await shared.check()


async def test_what_waits_behind_a_message_in_trouble_goes_out_in_its_order(shared: Bench) -> None:
    shared.emulator.faults.add("cms_error", code=42, count=2)
    messages = [shared.offer(f"number {n}") for n in range(6)]
    shared.emulator.deliver("in between", kind=Kind.FLASH)
    for message in messages:
        await shared.delivered(message)
    texts = [part.text for part in shared.network.parts if part.text.startswith("number ")]
    assert texts[-6:] == [f"number {n}" for n in range(6)]
    assert Counter(texts[-6:]).most_common(1)[0][1] == 1
    await shared.check(refused=messages)


async def test_message_that_the_modem_cannot_send_now_goes_back_to_the_core(shared: Bench) -> None:
    shared.emulator.faults.add("cms_error", code=331, count=4)
    message = shared.offer()
    report = await shared.settled(message)
    assert report.failed.reason == FAILURE_REASON_NO_SERVICE
    await shared.check(refused=[message])
