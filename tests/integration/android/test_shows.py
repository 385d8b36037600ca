"""What a phone goes through with its driver: parts, SIMs, absences, webhooks that go wrong, and what comes in."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drivers.android.fake_smsgate import NUMBER, AppKind, Conditions
from drivers.runtime.contract_kit.core_model import OPEN
from tests.integration.android.bench import SECOND, bench

LONG = "A text of three parts. " * 18
HOUR_S = 3600.0


async def test_a_message_is_sent_and_delivered(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        message = it.offer("Hello")
        await it.until_state("delivered", message)
        it.check()


async def test_a_long_message_is_delivered_when_all_its_parts_are(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        it.phone.faults.add("one_part_delivered")
        half = it.offer(LONG)
        whole = it.offer(LONG)
        await it.until_state("delivered", whole)
        assert it.state(half) == "submitted"
        assert it.phone.messages[half].state == "Delivered"
        it.check()


async def test_each_number_has_its_sim(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        one, two = it.offer("From one", source=NUMBER), it.offer("From two", source=SECOND)
        await it.until_state("delivered", one, two)
        assert {part.message_id: part.sim for part in it.phone.sent} == {one: 1, two: 2}
        it.phone.deliver_inbound("To two", sim=2)
        it.phone.deliver_inbound("To one", sim=1)
        await it.core.until(lambda: len(it.core.inbound) == 2)
        assert {each.text: each.destination for each in it.core.inbound} == {
            "To two": SECOND,
            "To one": NUMBER,
        }


@pytest.mark.parametrize("has_webhook", [True, False], ids=["webhook", "polling"])
async def test_after_an_hour_without_the_phone_all_goes_on_by_itself(
    tmp_path: Path, has_webhook: bool
) -> None:
    async with bench(tmp_path, has_webhook=has_webhook) as it:
        before = [it.offer(f"Before {number}") for number in range(3)]
        await it.phone.until(lambda: len(it.phone.messages) > 0)
        it.phone.faults.add("away", seconds=HOUR_S)
        during = [it.offer(f"During {number}") for number in range(3)]
        it.phone.deliver_inbound("While it was away")
        await it.until_condition("app_stopped")
        it.phone.clock.pass_time(HOUR_S)
        await it.until_state("delivered", *before, *during)
        await it.core.until(lambda: it.texts_in() == ["While it was away"])
        it.check()
        await it.until_condition("")


async def test_webhooks_that_come_twice_late_or_unsigned_change_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        for fault in ("webhook_doubled", "webhook_reordered", "webhook_wrongly_signed", "webhook_unsigned"):
            it.phone.faults.add(fault, count=4, skip=1)
        for number in range(4):
            it.offer(f"{number} {LONG}")
            it.phone.deliver_inbound(f"In {number}")
        await it.core.until(lambda: sorted(it.texts_in()) == [f"In {number}" for number in range(4)])
        await it.core.until(lambda: OPEN not in it.core.states().values(), timeout_s=60)
        it.check()
        assert len(it.core.inbound) == 4


async def test_a_lost_webhook_is_made_up_for_by_asking(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        it.phone.faults.add("webhook_lost", seconds=HOUR_S * 1000)
        message = it.offer("Nobody tells of it")
        it.phone.deliver_inbound("Nor of this")
        await it.until_state("delivered", message)
        await it.core.until(lambda: it.texts_in() == ["Nor of this"])
        it.check()


async def test_answers_that_are_lost_or_wrong_send_nothing_twice(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        it.phone.faults.add("answer_lost", count=3)
        messages = [it.offer(f"Lost answer {number}") for number in range(3)]
        await it.until_state("delivered", *messages)
        it.phone.faults.add("error", count=3, status=500)
        messages += [it.offer(f"Error {number}") for number in range(2)]
        await it.until_state("delivered", *messages)
        it.check()


async def test_an_app_that_was_killed_goes_on_and_is_caught_up(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        messages = [it.offer(f"{number} {LONG}") for number in range(3)]
        await it.phone.until(lambda: len(it.phone.sent) >= 2)
        it.phone.faults.add("app_killed", away_s=60.0)
        await it.phone.until(lambda: not it.phone.is_reachable)
        it.phone.deliver_inbound("While the app was dead")
        it.phone.clock.pass_time(60)
        await it.until_state("delivered", *messages)
        await it.core.until(lambda: it.texts_in() == ["While the app was dead"])
        it.check()


async def test_a_message_that_the_app_forgot_is_not_sent_again(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        it.phone.faults.add("stuck_processed", taken=True)
        message = it.offer("Sent, and forgotten")
        await it.phone.until(lambda: len(it.phone.sent) == 1)
        await it.phone.restart(memory_kept=False)
        await it.until_state("outcome_unknown", message)
        after = it.offer("Afterwards")
        await it.until_state("delivered", after)
        assert it.parts_sent(message) == [1]


async def test_messages_over_androids_limit_wait_and_go_later(tmp_path: Path) -> None:
    limited = Conditions(radio_s=0.01, report_s=0.01, limit_parts=30)
    async with bench(tmp_path, settings={"parts_per_30_min": "25"}, conditions=limited) as it:
        messages = [it.offer(f"{number:02} {LONG}") for number in range(12)]
        await it.until_state("delivered", *messages[:8])
        await it.until_condition("rate_limited")
        assert len(it.phone.sent) == 24
        assert {it.state(message) for message in messages[8:]} == {OPEN}
        assert it.phone.messages.keys() == set(messages[:8])


async def test_a_wrong_password_holds_messages_back_until_it_is_right(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        it.phone.faults.add("wrong_password")
        await it.until_condition("wrong_password")
        message = it.offer("Let me in")
        it.phone.faults.clear()
        it.phone.clock.pass_time(300)
        await it.until_state("delivered", message)
        it.check()


async def test_an_old_app_without_lists_is_served_by_webhooks_and_single_questions(tmp_path: Path) -> None:
    async with bench(tmp_path, kind=AppKind.OLD) as it:
        messages = [it.offer(f"Old {number}") for number in range(6)]
        await it.phone.app.stop()
        it.phone.deliver_inbound("Missed", at=datetime.now(UTC) - timedelta(seconds=30))
        await it.phone.restart()
        it.phone.deliver_inbound("Seen")
        await it.until_state("delivered", *messages)
        await it.core.until(lambda: sorted(it.texts_in()) == ["Missed", "Seen"], timeout_s=60)
        it.check()
