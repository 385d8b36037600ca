"""What goes wrong at the fake phone when it is told to."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from drivers.android.fake_smsgate import FAULTS, FaultInvalid
from drivers.fake_kit.fault_table import Extent
from drivers.fake_kit.faults import FAULTS_MAX
from tests.unit.drivers.fake_smsgate.room import room, states


async def test_every_fault_can_be_had_and_ended() -> None:
    async with room() as (phone, _):
        for kind in FAULTS.values():
            if kind.when is not Extent.NOW:
                phone.faults.add(kind.name)
        assert phone.faults.clear() == len([kind for kind in FAULTS.values() if kind.when is not Extent.NOW])


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("gone", {}, "no fault named gone"),
        ("away", {"count": 2}, "neither count nor skip"),
        ("away", {"seconds": 0}, "more than 0"),
        ("error", {"status": 200}, "must be from 400 to 599"),
        ("error", {"status": True}, "must be a int"),
        ("error", {"path": "/"}, "does not take path; it takes status"),
        ("app_killed", {"memory": "some"}, "must be kept or lost"),
        ("app_killed", {"seconds": 5}, "takes no seconds"),
        ("error", {"count": 0}, "more than 0"),
        ("error", {"skip": -1}, "must not be less"),
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused(
    name: str, given: dict[str, Any], sentence: str
) -> None:
    async with room() as (phone, _):
        with pytest.raises(FaultInvalid, match=sentence):
            phone.faults.add(name, **given)
        assert phone.faults.all() == []


async def test_there_are_only_so_many_faults() -> None:
    async with room() as (phone, _):
        for _number in range(FAULTS_MAX):
            phone.faults.add("error")
        with pytest.raises(FaultInvalid, match="faults already"):
            phone.faults.add("error")


async def test_a_phone_that_is_away_refuses_connections_until_it_is_back() -> None:
    async with room() as (phone, caller):
        phone.faults.add("away", seconds=3600)
        await phone.until(lambda: not phone.is_reachable)
        with pytest.raises(aiohttp.ClientConnectionError):
            await caller.ask("GET", "/health")
        phone.clock.pass_time(3600)
        await phone.until(lambda: phone.is_reachable)
        assert (await caller.ask("GET", "/health")).status == 200


async def test_a_message_that_was_taken_before_the_phone_went_away_is_sent_meanwhile() -> None:
    async with room() as (phone, caller):
        await caller.send("before")
        phone.faults.add("away")
        await states(phone, "before", "Delivered")
        assert len(phone.sent) == 1
        phone.faults.clear()
        await phone.until(lambda: phone.is_reachable)
        assert (await caller.state("before"))["state"] == "Delivered"


async def test_an_app_that_hangs_answers_when_it_is_over() -> None:
    async with room() as (phone, caller):
        phone.faults.add("hang")
        asking = asyncio.create_task(caller.send("hung"))
        await phone.until(lambda: len(phone.requests) == 1)
        assert phone.messages == {}
        phone.faults.clear("hang")
        assert (await asking).status == 202


async def test_an_app_that_is_slow_answers_after_its_time() -> None:
    async with room() as (phone, caller):
        phone.faults.add("slow", delay_s=100_000.0)
        asking = asyncio.create_task(caller.send("slow"))
        await phone.until(lambda: len(phone.requests) == 1)
        assert phone.messages == {}
        phone.clock.pass_time(100_000)
        assert (await asking).status == 202


async def test_an_error_is_answered_as_often_as_it_was_asked_for() -> None:
    async with room() as (phone, caller):
        phone.faults.add("error", count=2, skip=1, status=502)
        statuses = [(await caller.send(f"m{number}")).status for number in range(4)]
        assert statuses == [202, 502, 502, 202]
        assert list(phone.messages) == ["m0", "m3"]


async def test_an_answer_can_be_lost_after_the_message_was_taken() -> None:
    async with room() as (phone, caller):
        phone.faults.add("answer_lost")
        with pytest.raises(aiohttp.ClientConnectionError):
            await caller.send("taken")
        await states(phone, "taken", "Delivered")
        assert (await caller.send("taken")).status == 409
        assert len(phone.sent) == 1


async def test_the_password_can_become_wrong_and_right_again() -> None:
    async with room() as (phone, caller):
        phone.faults.add("wrong_password")
        assert (await caller.ask("GET", "/messages")).status == 401
        phone.faults.clear()
        assert (await caller.ask("GET", "/messages")).status == 200


async def test_after_ten_wrong_passwords_the_right_one_is_refused_for_five_minutes() -> None:
    async with room() as (phone, caller):
        for _ in range(10):
            assert (await caller.ask("GET", "/messages", password="guess")).status == 401
        assert (await caller.ask("GET", "/messages")).status == 401
        phone.clock.pass_time(300)
        assert (await caller.ask("GET", "/messages")).status == 200


async def test_what_the_radio_reports_while_the_app_is_dead_is_heard_when_it_is_back() -> None:
    async with room() as (phone, caller):
        await caller.send("alive")
        await states(phone, "alive", "Processed")
        await phone.app.stop()
        await phone.until(lambda: len(phone.sent) == 1)
        await phone.restart()
        await states(phone, "alive", "Delivered")


async def test_an_app_that_is_killed_again_while_it_is_dead_is_started_once_and_by_the_last() -> None:
    async with room() as (phone, caller):
        phone.faults.add("app_killed", away_s=100_000.0)
        await phone.until(lambda: not phone.is_reachable)
        phone.faults.add("app_killed", away_s=300_000.0)
        phone.clock.pass_time(100_000)
        await asyncio.sleep(0)
        assert not phone.app.is_running
        phone.clock.pass_time(1_000_000)
        await phone.until(lambda: phone.is_reachable)
        assert (await caller.ask("GET", "/health")).status == 200


async def test_what_the_radio_reports_while_the_app_is_dead_can_be_lost() -> None:
    async with room() as (phone, caller):
        await caller.send("alive")
        await states(phone, "alive", "Processed")
        phone.faults.add("app_killed", away_s=100_000.0, results="lost")
        await phone.until(lambda: len(phone.sent) == 1)
        await phone.until(lambda: not phone.is_reachable)
        phone.clock.pass_time(100_000)
        await phone.until(lambda: phone.is_reachable)
        phone.clock.pass_time(100_000)
        assert (await caller.state("alive"))["state"] == "Processed"


@pytest.mark.parametrize(
    ("fault", "given", "state", "parts"),
    [
        ("stuck_pending", {}, "Pending", 0),
        ("stuck_processed", {"taken": True}, "Processed", 2),
        ("stuck_processed", {"taken": False}, "Processed", 0),
        ("send_failed", {}, "Failed", 0),
        ("not_delivered", {}, "Failed", 2),
        ("sent_for_ever", {}, "Sent", 2),
        ("one_part_delivered", {}, "Delivered", 2),
    ],
)
async def test_a_message_ends_as_it_was_asked_for(
    fault: str, given: dict[str, Any], state: str, parts: int
) -> None:
    async with room() as (phone, caller):
        phone.faults.add(fault, **given)
        await caller.send("odd", "x" * 200)
        await caller.send("next")
        await states(phone, "next", "Delivered")
        assert (await caller.state("odd"))["state"] == state
        assert len([part for part in phone.sent if part.message_id == "odd"]) == parts


async def test_the_battery_runs_down_and_the_app_calls_itself_failed() -> None:
    async with room() as (phone, caller):
        for percent, status, said in ((80, 200, "pass"), (20, 200, "warn"), (9, 500, "fail")):
            phone.faults.clear()
            phone.faults.add("battery", percent=percent)
            health = await caller.ask("GET", "/health")
            assert (health.status, health.body["status"]) == (status, said)
            assert health.body["checks"]["battery:level"]["observedValue"] == percent


async def test_the_clock_can_be_wrong() -> None:
    async with room() as (phone, caller):
        phone.faults.add("clock_off", ahead_s=7200.0)
        written = (await caller.ask("GET", "/health")).headers["Date"]
        shown = datetime.strptime(written, "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
        assert shown - datetime.now(UTC) > timedelta(minutes=110)
        phone.faults.clear()
        assert phone.clock.now() - datetime.now(UTC) < timedelta(minutes=1)


async def test_a_report_can_come_before_the_app_knows_that_the_message_was_sent() -> None:
    async with room() as (phone, caller):
        phone.faults.add("report_before_sent")
        await caller.send("early")
        await phone.until(lambda: "Sent" in phone.messages["early"].states)
        assert list((await caller.state("early"))["states"])[-2:] == ["Delivered", "Sent"]
