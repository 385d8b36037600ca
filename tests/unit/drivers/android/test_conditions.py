"""How a phone is, is told with what to do about it; and each condition passes by itself when its cause does."""

import re
from dataclasses import replace
from pathlib import Path

import aiohttp.web
import pytest

from drivers.android.conditions import CONDITIONS, Reason
from drivers.android.fake_smsgate import NUMBER, PASSWORD, SENDER, SIGNING_KEY, AppKind, FakeSmsGate, Sim
from infinireach.v1.device_pb2 import DEVICE_STATE_ATTENTION, DEVICE_STATE_DEGRADED, DEVICE_STATE_ONLINE
from tests import repository
from tests.fakes.core_stub import StubCore
from tests.unit.drivers.android.phones import DESTINATION, FAST, RADIO, FastAndroidDriver, gateway
from tests.unit.drivers.android.test_webhooks import call, ready, signed


@pytest.mark.parametrize(
    ("fault", "options", "reason", "can_send"),
    [
        ("away", {}, Reason.APP_STOPPED, False),
        ("wrong_password", {}, Reason.WRONG_PASSWORD, False),
        ("error", {"count": 1000}, Reason.WRONG_SERVER, False),
        ("no_sim", {"sim": 1}, Reason.SIM_MISSING, False),
        ("battery", {"percent": 9}, Reason.BATTERY_LOW, True),
    ],
)
async def test_trouble_is_told_and_passes(
    core: StubCore,
    phone: FakeSmsGate,
    tmp_path: Path,
    fault: str,
    options: dict[str, int],
    reason: Reason,
    can_send: bool,
) -> None:
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        phone.faults.add(fault, **options)
        change = await it.until_reason(reason.value)
        assert change.state == CONDITIONS[reason].state
        assert CONDITIONS[reason].remedy in change.remedy
        assert (change.window > 0) is can_send
        phone.faults.clear(fault)
        assert (await it.until_reason("")).state == DEVICE_STATE_ONLINE
        await it.until_state(it.offer(), "delivered")


async def test_clock_that_is_off_matters_only_with_webhooks(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    phone.faults.add("clock_off", ahead_s=3600.0)
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        change = await it.until_reason("clock_off")
        assert (change.state, change.window > 0) == (DEVICE_STATE_DEGRADED, True)
        # Its calls are not believed, so it is asked.
        phone.deliver_inbound("in")
        await it.until_state(it.offer(), "delivered")
        await core.until(lambda: [each.text for each in core.inbound] == ["in"])


@pytest.mark.parametrize("status", [400, 500])
async def test_inbox_that_fails_is_told_and_does_not_stop_sending(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path, status: int
) -> None:
    async with gateway(core, tmp_path, phone) as it:
        await it.until_ready()
        phone.faults.add("inbox_error", status=status)
        phone.deliver_inbound("in")
        change = await it.until_reason("inbox_failed")
        assert (change.state, change.window > 0) == (DEVICE_STATE_DEGRADED, True)
        assert str(status) in change.remedy
        await it.until_state(it.offer(), "delivered")
        assert core.inbound == []
        phone.faults.clear("inbox_error")
        await it.until_reason("")
        await core.until(lambda: [each.text for each in core.inbound] == ["in"])
    assert {change.window > 0 for change in core.device_changes} == {True}


async def test_older_app_that_takes_no_webhook_says_that_nothing_can_come_in(
    core: StubCore, tmp_path: Path
) -> None:
    async with (
        FakeSmsGate(kind=AppKind.OLD, conditions=RADIO) as phone,
        gateway(core, tmp_path, phone, webhook=True) as it,
    ):
        phone.faults.add("webhooks_refused")
        await phone.restart(memory_kept=False)
        change = await it.until_reason("no_inbound")
        assert change.window > 0
        assert "webhook" in change.remedy
        phone.faults.clear("webhooks_refused")
        await it.until_reason("")
        phone.deliver_inbound("in")
        await core.until(lambda: [each.text for each in core.inbound] == ["in"])


async def test_app_of_today_that_takes_no_webhook_is_asked(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    phone.faults.add("webhooks_refused")
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        assert (await it.until_reason("webhook_refused")).window > 0
        phone.deliver_inbound("in")
        await core.until(lambda: [each.text for each in core.inbound] == ["in"])


async def test_password_that_was_refused_is_not_tried_again_and_again(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FastAndroidDriver, "timing", replace(FAST, locked_s=3600.0))
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        url = await ready(it, phone)
        phone.faults.add("wrong_password")
        await it.until_reason("wrong_password")
        asked = len(phone.requests)
        body = b'{"event": "system:ping", "payload": {}}'
        for _ in range(20):
            assert await call(url, body, signed(body)) == 200
        assert len(phone.requests) == asked


async def test_sim_that_is_missing_is_named(core: StubCore, tmp_path: Path) -> None:
    async with (
        FakeSmsGate(sims=[Sim(1, NUMBER), Sim(2, "+15559876544")], conditions=RADIO) as phone,
        gateway(core, tmp_path, phone) as it,
    ):
        await it.until_ready()
        phone.faults.add("no_sim", sim=2)
        assert "SIM 2" in (await it.until_reason("one_sim_missing")).remedy
        await it.until_state(it.offer(), "delivered")


async def test_battery_is_told_with_the_condition(core: StubCore, phone: FakeSmsGate, tmp_path: Path) -> None:
    async with gateway(core, tmp_path, phone) as it:
        assert (await it.until_reason("")).battery_percent == 80
        phone.faults.add("battery", percent=60)
        await core.until(lambda: core.device_changes[-1].battery_percent == 60)


async def test_something_else_at_the_address_is_told(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async def page(_: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.Response(text="<html>A printer</html>", content_type="text/html")

    application = aiohttp.web.Application()
    application.router.add_get("/{path:.*}", page)
    runner = aiohttp.web.AppRunner(application, access_log=None)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        text = phone.config("phone").replace(phone.url, f"http://{host}:{port}")
        async with gateway(core, tmp_path, phone, text=text) as it:
            assert (await it.until_reason("wrong_server")).state == DEVICE_STATE_ATTENTION
    finally:
        await runner.cleanup()


async def test_log_holds_no_number_text_or_secret(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    phone.faults.add("send_failed", reason="RESULT_RIL_MODEM_ERR")
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        await it.until_ready()
        await it.until_state(it.offer("a canary that sings"), "failed")
        phone.deliver_inbound("a canary that answers")
        await core.until(lambda: bool(core.inbound))
        phone.faults.add("wrong_password")
        await it.until_reason("wrong_password")
    log = "".join(capfd.readouterr())
    assert "phone.changed" in log
    for word in (NUMBER, DESTINATION, SENDER, "canary", PASSWORD, SIGNING_KEY):
        assert word not in log


def test_size_that_the_page_tells_is_about_right() -> None:
    sources = (repository.ROOT / "drivers/android").glob("*.py")
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in sources)
    page = (repository.ROOT / "docs/android.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"about ([\d,]+) lines", page)
    assert abs(int(told.replace(",", "")) - lines) <= 100


def test_page_lists_every_condition_with_its_remedy() -> None:
    page = (repository.ROOT / "docs/android.md").read_text(encoding="utf-8")
    words = {
        DEVICE_STATE_ONLINE: "online",
        DEVICE_STATE_DEGRADED: "degraded",
        DEVICE_STATE_ATTENTION: "attention",
    }
    for reason, row in CONDITIONS.items():
        if reason:
            line = f"| `{reason}` | {words[row.state]} | {row.remedy or 'nothing: it passes'} |"
            assert line in page
