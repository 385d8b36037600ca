"""Messages go out through a phone once, under their command's id, whatever happens on the way."""

import time
from pathlib import Path
from typing import Any

import pytest

from drivers.android.fake_smsgate import NUMBER, FakeSmsGate, OverLimit, Sim, State
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.v1.message_pb2 import FailureReason, Template
from tests.fakes.core_stub import StubCore
from tests.unit.drivers.android.phones import DESTINATION, RADIO, gateway

LONG = "x" * 200


async def test_message_is_submitted_and_then_delivered(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone) as it:
        command_id = it.offer("Grüße €")
        await it.until_state(command_id, "delivered")
        assert [report.WhichOneof("outcome") for report in it.reports(command_id)] == [
            "submitted",
            "delivered",
        ]
    [part] = phone.sent
    assert (part.message_id, part.to, part.text, part.sim) == (command_id, DESTINATION, "Grüße €", 1)


async def test_each_number_has_its_sim(core: StubCore, tmp_path: Path) -> None:
    other = "+15559876544"
    async with (
        FakeSmsGate(sims=[Sim(1, NUMBER), Sim(2, other)], conditions=RADIO) as phone,
        gateway(core, tmp_path, phone) as it,
    ):
        for source in (other, NUMBER):
            await it.until_state(it.offer(source, source=source), "delivered")
        assert [(part.text, part.sim) for part in phone.sent] == [(other, 2), (NUMBER, 1)]
        [device] = core.hellos[0].devices
        assert [(address.number, address.slot) for address in device.addresses] == [(NUMBER, 1), (other, 2)]


async def test_message_without_wish_for_a_report_asks_for_none(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone) as it:
        command_id = it.offer(wants_report=False)
        await it.until_state(command_id, "submitted")
        assert not phone.messages[command_id].with_delivery_report


async def test_deadline_goes_with_the_message(core: StubCore, phone: FakeSmsGate, tmp_path: Path) -> None:
    deadline = int(time.time()) + 1000
    async with gateway(core, tmp_path, phone) as it:
        command_id = it.offer(not_after_s=deadline)
        await it.until_state(command_id, "delivered")
        until = phone.messages[command_id].valid_until
        assert until is not None
        assert deadline - 100 < until.timestamp() <= deadline + 2


async def test_phone_with_a_wrong_clock_still_sends_before_the_deadline(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    phone.faults.add("clock_off", ahead_s=86400.0)
    async with gateway(core, tmp_path, phone) as it:
        ids = [it.offer(str(number), not_after_s=int(time.time()) + 1000) for number in range(5)]
        for command_id in ids:
            await it.until_state(command_id, "delivered")


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("answer_lost", {}),
        ("error", {"skip": 3, "count": 3}),
        ("error", {"count": 6, "status": 503}),
        ("slow", {"delay_s": 0.05, "seconds": 1.0}),
    ],
)
async def test_trouble_on_the_way_neither_loses_nor_doubles(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path, fault: str, options: dict[str, Any]
) -> None:
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        phone.faults.add(fault, **options)
        for number in range(4):
            it.offer(str(number))
        assert await it.until_all_are_over(phone)


async def test_phone_that_is_away_for_a_while_gets_everything_once(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        phone.change(radio_s=0.05)
        for number in range(3):
            it.offer(str(number))
        await phone.until(lambda: bool(phone.messages))
        phone.faults.add("away")
        assert (await it.until_reason("app_stopped")).window == 0
        later = it.offer("later")
        phone.faults.clear("away")
        await it.until_ready()
        assert later in await it.until_all_are_over(phone)


async def test_phone_that_stays_away_gives_back_what_waits_for_it(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        phone.faults.add("stuck_pending")
        stuck = it.offer("stuck")
        waiting = it.offer("waiting")
        await it.until_state(waiting, "failed")
        assert it.reports(waiting)[0].failed.reason == FailureReason.FAILURE_REASON_NO_SERVICE
        assert core.states()[stuck] == ""


async def test_message_that_stays_in_the_phone_is_its_condition_and_at_last_unknown(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        phone.faults.add("stuck_pending")
        command_id = it.offer(not_after_s=int(time.time()) + 2)
        change = await it.until_reason("not_sending")
        assert "screen" in change.remedy
        await it.until_state(command_id, "outcome_unknown")
        # The phone sends it after all: the late evidence settles it, and there is no second one.
        message = phone.messages[command_id]
        message.recipients[0].state = State.SENT
        await it.until_state(command_id, "submitted")
        message.recipients[0].state = State.DELIVERED
        await it.until_state(command_id, "delivered")
    assert list(phone.messages) == [command_id]


async def test_app_that_forgot_a_message_makes_it_unknown_and_not_two(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    phone.faults.add("stuck_processed")
    async with gateway(core, tmp_path, phone) as it:
        command_id = it.offer()
        await phone.until(lambda: len(phone.sent) == 1)
        await phone.restart(memory_kept=False)
        await it.until_state(command_id, "outcome_unknown")
    assert [part.message_id for part in phone.sent] == [command_id]


async def test_next_process_asks_what_became_of_a_message_that_was_pending(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    phone.change(radio_s=0.3)
    async with gateway(core, tmp_path, phone) as it:
        command_id = it.offer()
        await phone.until(lambda: command_id in phone.messages)
    assert core.states()[command_id] == ""
    async with gateway(core, tmp_path, phone) as it:
        await it.until_state(command_id, "delivered")
    assert [part.message_id for part in phone.sent] == [command_id]


async def test_next_process_reports_a_delivery_that_came_while_there_was_none(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    phone.change(report_s=0.3)
    async with gateway(core, tmp_path, phone) as it:
        command_id = it.offer()
        await it.until_state(command_id, "submitted")
    await phone.until(lambda: phone.messages[command_id].state is State.DELIVERED)
    async with gateway(core, tmp_path, phone) as it:
        await it.until_state(command_id, "delivered")


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ("RESULT_ERROR_NO_SERVICE", FailureReason.FAILURE_REASON_NO_SERVICE),
        ("RESULT_ERROR_GENERIC_FAILURE", FailureReason.FAILURE_REASON_NETWORK_REJECTED),
        ("RESULT_ERROR_LIMIT_EXCEEDED", FailureReason.FAILURE_REASON_RATE_LIMITED),
    ],
)
async def test_what_the_radio_refuses_fails_with_its_reason(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path, result: str, reason: FailureReason
) -> None:
    phone.faults.add("send_failed", reason=result)
    async with gateway(core, tmp_path, phone) as it:
        command_id = it.offer()
        await it.until_state(command_id, "failed")
        failed = it.reports(command_id)[0].failed
        assert (failed.reason, failed.network_code) == (reason, result)


async def test_long_text_of_which_a_part_fails_is_not_sent_again(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    phone.faults.add("send_failed")
    async with gateway(core, tmp_path, phone) as it:
        command_id = it.offer(LONG, parts=2)
        await it.until_state(command_id, "failed")
        assert it.reports(command_id)[0].failed.reason == FailureReason.FAILURE_REASON_PARTLY_SENT


async def test_message_that_does_not_arrive_was_sent_and_failed(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    phone.faults.add("not_delivered", status=70)
    async with gateway(core, tmp_path, phone) as it:
        command_id = it.offer()
        await it.until_state(command_id, "failed")
        submitted, failed = it.reports(command_id)
        assert submitted.HasField("submitted")
        assert failed.failed.reason == FailureReason.FAILURE_REASON_DESTINATION_UNREACHABLE
        assert failed.failed.network_code == "70"


async def test_report_that_is_faster_than_the_news_of_sending_counts(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    phone.faults.add("report_before_sent")
    async with gateway(core, tmp_path, phone) as it:
        await it.until_state(it.offer(), "delivered")


async def test_long_text_is_not_called_delivered_for_its_first_part(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone) as it:
        command_id = it.offer(LONG, parts=2)
        await phone.until(lambda: phone.messages.get(command_id) is not None)
        await phone.until(lambda: phone.messages[command_id].state is State.DELIVERED)
        # What came later is through, so this one has been looked at meanwhile.
        await it.until_state(it.offer("later"), "delivered")
        assert core.states()[command_id] == "submitted"


async def test_more_messages_than_a_list_shows_at_once_are_all_followed(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    phone.change(report_s=1.0)
    async with gateway(core, tmp_path, phone) as it:
        ids = [it.offer(str(number)) for number in range(20)]
        for command_id in ids:
            await it.until_state(command_id, "delivered")
        assert ("GET", "/messages") in {(heard.method, heard.path) for heard in phone.requests}


async def test_parts_beyond_the_limit_wait_and_the_core_is_told_until_when(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone, limit=2) as it:
        ids = [it.offer(str(number)) for number in range(3)]
        change = await it.until_reason("rate_limited")
        assert change.window == 0
        assert "UTC" in change.remedy
        for command_id in ids[:2]:
            await it.until_state(command_id, "delivered")
        assert core.states()[ids[2]] == ""
    # The next process counts on: Android does too.
    async with gateway(core, tmp_path, phone, limit=2) as it:
        await it.until_reason("rate_limited")
        assert len(phone.sent) == 2


async def test_parts_count_before_the_phone_has_them(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone, limit=1) as it:
        await it.until_ready()
        phone.faults.add("answer_late", delay_s=3600.0)
        command_id = it.offer("1")
        await phone.until(lambda: command_id in phone.messages)
    # The process ended before the phone answered.
    async with gateway(core, tmp_path, phone, limit=1) as it:
        await it.until_state(command_id, "delivered")
        it.offer("2")
        await it.until_reason("rate_limited")
    assert [part.message_id for part in phone.sent] == [command_id]


async def test_parts_of_what_never_went_out_do_not_count(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone, limit=1) as it:
        await it.until_ready()
        # The app takes no message without a text.
        await it.until_state(it.offer(""), "failed")
        phone.faults.add("away")
        await phone.until(lambda: not phone.is_reachable)
        away = it.offer("away")
        await it.until_state(away, "failed")
        assert it.reports(away)[0].failed.reason == FailureReason.FAILURE_REASON_NO_SERVICE
        phone.faults.clear("away")
        await it.until_ready()
        await it.until_state(it.offer("there"), "delivered")
        it.offer("one too many")
        await it.until_reason("rate_limited")
    assert len(phone.sent) == 1


async def test_limit_that_android_itself_has_reached_makes_the_phone_rest(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    phone.change(limit_parts=1, over_limit=OverLimit.FAILED)
    async with gateway(core, tmp_path, phone) as it:
        await it.until_state(it.offer("1"), "delivered")
        command_id = it.offer("2")
        await it.until_state(command_id, "failed")
        report = it.reports(command_id)[0]
        assert report.failed.reason == FailureReason.FAILURE_REASON_RATE_LIMITED
        assert report.retry_delay.seconds == 1800
        assert (await it.until_reason("rate_limited")).window == 0


async def test_content_that_no_phone_sends_is_refused(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        command = SendCommand(
            command_id="cmd-template", device_key="phone", source=NUMBER, template=Template(name="t")
        )
        core.offer([command])
        await it.until_state("cmd-template", "failed")
        reason = it.reports("cmd-template")[0].failed.reason
        assert reason == FailureReason.FAILURE_REASON_CONTENT_UNSUPPORTED
    assert not phone.messages


async def test_number_that_is_not_in_the_file_is_refused(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        command_id = it.offer(source="+15550000000")
        await it.until_state(command_id, "failed")
        assert it.reports(command_id)[0].failed.reason == FailureReason.FAILURE_REASON_DEVICE_FAULT
    assert not phone.messages
