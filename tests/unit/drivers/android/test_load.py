"""Thousands of messages whose delivery is open cost a phone little, and hold nothing up."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from drivers.android import following
from drivers.android.fake_smsgate import FakeSmsGate, State
from drivers.android.fake_smsgate.values import Message, Recipient
from drivers.android.followed import Followed
from tests.fakes.core_stub import StubCore
from tests.unit.drivers.android.phones import Gateway, SettableClock, gateway
from tests.unit.drivers.android.test_inbox import settle

MANY = 2000
DAYS_S = 2.5 * 86400.0


async def have_open(it: Gateway, phone: FakeSmsGate, count: int) -> list[str]:
    """Have the phone, and the driver's store, know messages of the last days that were sent."""
    now = datetime.now(UTC)
    changes: dict[str, bytes | None] = {}
    for number in range(count):
        at = now - timedelta(seconds=DAYS_S * (1 - number / count))
        command_id = f"old-{number:05}"
        message = Message(command_id, "x", [Recipient("+15551230000", State.SENT)], at)
        message.states[State.SENT] = at
        phone.messages[command_id] = message
        followed = Followed(command_id, 1, at.timestamp(), 0.0, wants_report=True, is_reported_sent=True)
        changes[f"open/phone/{command_id}"] = followed.written()
    await it.engine.write(changes)
    return [key.removeprefix("open/phone/") for key in changes]


async def is_open(it: Gateway, command_id: str) -> bool:
    return bool(await it.engine.read(f"open/phone/{command_id}"))


async def until_closed(it: Gateway, phone: FakeSmsGate, command_id: str) -> None:
    while await is_open(it, command_id):
        asked = len(phone.requests)
        await phone.until(lambda asked=asked: len(phone.requests) > asked)


async def test_look_makes_few_requests_however_many_messages_are_open(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        ids = await have_open(it, phone, MANY)
    phone.requests.clear()
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        # One that is sent now does not wait behind them.
        await it.until_state(it.offer(), "delivered")
        await settle(it, phone)
        asked = [heard.path.split("/")[1] for heard in phone.requests if heard.method == "GET"]
        runs = [
            len(list(group))
            for about, group in itertools.groupby(asked, lambda path: "message" in path)
            if about
        ]
        assert 1 < max(runs) <= following.REQUESTS_MAX
        # All of them are asked about in turn.
        del phone.messages[ids[MANY // 2]]
        await until_closed(it, phone, ids[MANY // 2])
        assert await is_open(it, ids[MANY // 2 + 1])


async def test_messages_are_asked_about_again_and_again_until_they_are_too_old(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    clock = SettableClock()
    phone.faults.add("sent_for_ever", count=50)
    async with gateway(core, tmp_path, phone, clock=clock) as it:
        ids = [it.offer(str(number)) for number in range(30)]
        for command_id in ids:
            await it.until_state(command_id, "submitted")
        for day in (1, 2):
            clock.passed_s += 86400.0
            message = phone.messages[ids[day]]
            message.recipients[0].state = State.DELIVERED
            await it.until_state(ids[day], "delivered")
        assert await is_open(it, ids[0])
        clock.passed_s += 86400.0 + 60.0
        await until_closed(it, phone, ids[0])
        assert core.states()[ids[0]] == "submitted"
        phone.messages[ids[0]].recipients[0].state = State.DELIVERED
        await settle(it, phone)
        assert core.states()[ids[0]] == "submitted"


async def test_messages_beyond_the_most_are_followed_no_longer_and_that_is_told(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "OPEN_MAX", 3)
    phone.faults.add("sent_for_ever", count=50)
    with capture_logs() as log:
        async with gateway(core, tmp_path, phone) as it:
            ids = [it.offer(str(number)) for number in range(5)]
            for command_id in ids:
                await it.until_state(command_id, "submitted")
            assert [await is_open(it, command_id) for command_id in ids] == [False, False, True, True, True]
            for command_id in ids:
                phone.messages[command_id].recipients[0].state = State.DELIVERED
            for command_id in ids[2:]:
                await it.until_state(command_id, "delivered")
            assert [core.states()[command_id] for command_id in ids[:2]] == ["submitted"] * 2
    lines = [line for line in log if line["event"] == "phone.follows_no_longer"]
    assert [(line["device"], line["total"]) for line in lines] == [("phone", 1)]
