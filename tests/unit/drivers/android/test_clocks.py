"""Clocks that are wrong or jump, on either side: nothing stops, nothing is lost, nothing private is handed in."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drivers.android.fake_smsgate import FakeSmsGate
from tests.fakes.core_stub import StubCore
from tests.unit.drivers.android.phones import Gateway, SettableClock, gateway
from tests.unit.drivers.android.test_inbox import settle, texts

DAY_S = 86400.0


async def goes_on(it: Gateway, phone: FakeSmsGate, core: StubCore, text: str) -> None:
    """The phone sends and receives."""
    await it.until_state(it.offer(text), "delivered")
    phone.deliver_inbound(text)
    await core.until(lambda: text in texts(core))
    assert core.window("phone") > 0


@pytest.mark.parametrize("jump_s", [30 * DAY_S, -30 * DAY_S])
async def test_clock_of_the_gateway_that_jumps_and_comes_back_changes_nothing(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path, jump_s: float
) -> None:
    clock = SettableClock()
    phone.deliver_inbound("private", at=datetime.now(UTC) - timedelta(hours=1))
    async with gateway(core, tmp_path, phone, clock=clock) as it:
        await it.until_ready()
        await goes_on(it, phone, core, "before")
        clock.ahead_s = jump_s
        await settle(it, phone)
        await goes_on(it, phone, core, "meanwhile")
        clock.ahead_s = 0.0
        await settle(it, phone)
        await goes_on(it, phone, core, "after")
    async with gateway(core, tmp_path, phone, clock=clock) as it:
        await it.until_ready()
        await goes_on(it, phone, core, "later")
    assert texts(core) == ["before", "meanwhile", "after", "later"]


@pytest.mark.parametrize("jump_s", [30 * DAY_S, -30 * DAY_S])
async def test_process_that_begins_while_the_clock_is_wrong_goes_on_too(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path, jump_s: float
) -> None:
    clock = SettableClock()
    for place, ahead_s in enumerate((0.0, jump_s, 0.0)):
        clock.ahead_s = ahead_s
        async with gateway(core, tmp_path, phone, clock=clock) as it:
            await it.until_ready()
            await goes_on(it, phone, core, str(place))
    assert texts(core) == ["0", "1", "2"]


@pytest.mark.parametrize("jump_s", [5 * DAY_S, -5 * DAY_S])
async def test_clock_of_the_phone_that_jumps_and_comes_back_changes_nothing(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path, jump_s: float
) -> None:
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        await goes_on(it, phone, core, "before")
        phone.faults.add("clock_off", ahead_s=jump_s)
        await settle(it, phone)
        await goes_on(it, phone, core, "meanwhile")
        phone.faults.clear("clock_off")
        await settle(it, phone)
        await goes_on(it, phone, core, "after")
    assert texts(core) == ["before", "meanwhile", "after"]


@pytest.mark.parametrize(
    ("gateway_s", "phone_s"), [(-2 * DAY_S, 0.0), (365 * DAY_S, 0.0), (0.0, -2 * DAY_S), (0.0, 2 * DAY_S)]
)
async def test_first_start_with_one_wrong_clock_leaves_the_past_alone_and_misses_nothing_new(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path, gateway_s: float, phone_s: float
) -> None:
    clock = SettableClock(ahead_s=gateway_s)
    if phone_s:
        phone.faults.add("clock_off", ahead_s=phone_s)
    phone.deliver_inbound("yesterday", at=datetime.now(UTC) - timedelta(days=1))
    phone.deliver_inbound("an hour ago", at=datetime.now(UTC) - timedelta(hours=1))
    async with gateway(core, tmp_path, phone, clock=clock) as it:
        await it.until_ready()
        await settle(it, phone)
        await goes_on(it, phone, core, "wrong")
        clock.ahead_s = 0.0
        phone.faults.clear("clock_off")
        await settle(it, phone)
        await goes_on(it, phone, core, "right")
    async with gateway(core, tmp_path, phone, clock=clock) as it:
        await it.until_ready()
        await settle(it, phone)
        await goes_on(it, phone, core, "later")
    assert texts(core) == ["wrong", "right", "later"]


async def test_first_start_with_both_clocks_ahead_is_put_right_by_the_next(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    clock = SettableClock(ahead_s=6 * DAY_S)
    phone.faults.add("clock_off", ahead_s=6 * DAY_S)
    async with gateway(core, tmp_path, phone, clock=clock) as it:
        await it.until_ready()
        await settle(it, phone)
    clock.ahead_s = 0.0
    phone.faults.clear("clock_off")
    async with gateway(core, tmp_path, phone, clock=clock) as it:
        await it.until_ready()
        await settle(it, phone)
        await goes_on(it, phone, core, "new")


async def test_clock_that_is_set_back_does_not_make_the_limit_forget(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    clock = SettableClock()
    async with gateway(core, tmp_path, phone, limit=2, clock=clock) as it:
        for text in ("1", "2"):
            await it.until_state(it.offer(text), "delivered")
        clock.ahead_s = -3600.0
        it.offer("3")
        await it.until_reason("rate_limited")
    async with gateway(core, tmp_path, phone, limit=2, clock=clock) as it:
        await it.until_reason("rate_limited")
        await settle(it, phone)
        assert len(phone.sent) == 2
        # Half an hour later there is room.
        clock.passed_s += 1801.0
        await it.until_reason("")
        await phone.until(lambda: len(phone.sent) == 3)
