"""What goes wrong at a phone, one thing at a time and many at once: nothing is sent twice, nothing is lost."""

import random
from pathlib import Path

import pytest

from drivers.android.fake_smsgate import NUMBER, FakeSmsGate, Sim
from tests.integration.android.bench import SECOND, Bench, bench

LONG = "A text of three parts. " * 18
ROUNDS = 6


async def test_a_message_that_the_app_takes_while_it_hangs_is_sent_once(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        it.phone.faults.add("hang")
        message = it.offer("Into the void")
        await it.until_condition("unreachable")
        it.phone.faults.clear()
        await it.until_state("delivered", message)
        it.check()


async def test_a_report_of_failure_after_it_was_sent_is_told(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        it.phone.faults.add("not_delivered")
        message = it.offer("To nobody")
        await it.until_state("failed", message)
        outcomes = [report.WhichOneof("outcome") for report in it.command(message).reports]
        assert [each for each in outcomes if each != "progress"][:1] == ["submitted"]
        assert it.parts_sent(message) == [1]


async def test_a_report_that_comes_before_the_app_knows_of_sending_is_not_lost(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        it.phone.faults.add("report_before_sent", count=2)
        short, long = it.offer("Early"), it.offer(LONG)
        await it.until_state("delivered", short, long)
        it.check()


@pytest.mark.parametrize("reason", ["RESULT_ERROR_NO_SERVICE", "RESULT_ERROR_GENERIC_FAILURE", "RESULT_NEW"])
async def test_a_message_that_the_radio_refuses_is_failed_with_androids_reason(
    tmp_path: Path, reason: str
) -> None:
    async with bench(tmp_path) as it:
        it.phone.faults.add("send_failed", reason=reason)
        message = it.offer("No way")
        await it.until_state("failed", message)
        assert it.command(message).reports[-1].failed.network_code == reason
        assert it.phone.sent == []


@pytest.mark.parametrize("ahead_s", [3600.0, -3600.0])
async def test_a_phone_whose_clock_is_wrong_sends_and_receives_all_the_same(
    tmp_path: Path, ahead_s: float
) -> None:
    async with bench(tmp_path) as it:
        it.phone.faults.add("clock_off", ahead_s=ahead_s)
        await it.until_condition("clock_off")
        messages = [it.offer(f"Message {number}") for number in range(6)]
        it.phone.deliver_inbound("In time")
        await it.until_state("delivered", *messages)
        await it.core.until(lambda: it.texts_in() == ["In time"])
        it.check()


async def test_a_sim_that_is_gone_is_named_and_its_messages_fail_or_wait(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        it.phone.faults.add("no_sim", sim=2)
        await it.until_condition("sim_missing")
        it.phone.faults.clear()
        await it.until_condition("")
        message = it.offer("Back again", source=SECOND)
        await it.until_state("delivered", message)
        it.check()


async def test_a_low_battery_is_told_and_sending_goes_on(tmp_path: Path) -> None:
    async with bench(tmp_path) as it:
        it.phone.faults.add("battery", percent=5)
        await it.until_condition("battery_low")
        message = it.offer("With the last strength")
        await it.until_state("delivered", message)
        it.check()


async def test_two_phones_are_not_confused(tmp_path: Path) -> None:
    async with FakeSmsGate(sims=[Sim(1, "+15550001111")]) as other, bench(tmp_path) as it:
        message = it.offer("For the first")
        await it.until_state("delivered", message)
        assert other.sent == []
        assert not other.requests


def trouble(it: Bench, chance: random.Random) -> None:
    """Have something go wrong that passes."""
    faults = it.phone.faults
    seconds = chance.uniform(1, 100)
    match chance.randrange(10):
        case 0:
            faults.add("away", seconds=seconds)
        case 1:
            faults.add("hang", seconds=seconds)
        case 2:
            faults.add("slow", delay_s=chance.uniform(1, 30), seconds=seconds)
        case 3:
            faults.add("error", count=chance.randint(1, 6), status=chance.choice((500, 502, 503)))
        case 4:
            faults.add("answer_lost", count=chance.randint(1, 3))
        case 5:
            results = "kept"
            faults.add("app_killed", away_s=seconds, results=results)
        case 6:
            faults.add("webhook_doubled", count=chance.randint(1, 5))
        case 7:
            faults.add("webhook_reordered", count=chance.randint(1, 3))
        case 8:
            faults.add("webhook_wrongly_signed", count=chance.randint(1, 3))
        case _:
            faults.add("report_before_sent", count=chance.randint(1, 2))


@pytest.mark.parametrize("seed", range(8))
async def test_many_things_at_once_send_nothing_twice_and_lose_nothing(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with bench(tmp_path) as it:
        messages: list[str] = []
        for number in range(ROUNDS):
            trouble(it, chance)
            messages.append(
                it.offer(f"{number} {chance.choice(('', LONG))}", source=chance.choice((NUMBER, SECOND)))
            )
            it.phone.deliver_inbound(f"In {number}")
            wanted = len(it.phone.requests) + chance.randint(1, 20)
            await it.phone.until(lambda wanted=wanted: len(it.phone.requests) >= wanted)
        it.phone.faults.clear()
        await it.core.until(
            lambda: all(it.state(message) in {"delivered", "submitted", "failed"} for message in messages)
        )
        await it.core.until(lambda: len(it.core.inbound) == ROUNDS)
        assert sorted(it.texts_in()) == [f"In {number}" for number in range(ROUNDS)]
        for message in messages:
            parts = it.command(message).command.text.segments
            whole = list(range(1, parts + 1))
            assert it.parts_sent(message) == ([] if it.state(message) == "failed" else whole), it.state(
                message
            )
