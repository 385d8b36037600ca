"""Calls of the app: only signed and fresh ones are believed, and doubled, lost or shuffled ones change nothing."""

import hashlib
import hmac
import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from drivers.android.fake_smsgate import SIGNING_KEY, FakeSmsGate
from drivers.runtime import JournalUnwritable
from tests.fakes.core_stub import StubCore
from tests.unit.drivers.android.phones import Gateway, gateway

LONG = "x" * 200
CALL = {
    "event": "sms:received",
    "payload": {"sender": "+1", "message": "m", "receivedAt": "2026-01-01T00:00:00Z"},
}


async def ready(it: Gateway, phone: FakeSmsGate) -> str:
    """Wait until the phone calls the driver; where it does."""
    await it.until_ready()
    await phone.until(lambda: len(phone.app.webhooks.registered) == 6)
    [url] = {each.url for each in phone.app.webhooks.registered.values()}
    return url


def signed(body: bytes, *, key: str = SIGNING_KEY, age_s: int = 0) -> dict[str, str]:
    stamp = str(int(time.time()) - age_s)
    signature = hmac.new(key.encode(), body + stamp.encode(), hashlib.sha256).hexdigest()
    return {"X-Timestamp": stamp, "X-Signature": signature}


async def call(url: str, body: bytes, headers: Mapping[str, str], method: str = "POST") -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, data=body, headers=headers) as answer,
    ):
        return answer.status


async def test_long_text_is_delivered_when_all_its_parts_are(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        await ready(it, phone)
        command_id = it.offer(LONG, parts=2)
        await it.until_state(command_id, "delivered")
        delivered = [report for report in it.reports(command_id) if report.HasField("delivered")]
        assert len(delivered) == 1


async def test_long_text_of_which_one_part_arrived_stays_sent(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    phone.faults.add("one_part_delivered")
    phone.faults.add("webhook_doubled", count=10)
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        await ready(it, phone)
        command_id = it.offer(LONG, parts=2)
        await it.until_state(command_id, "submitted")
        await it.until_state(it.offer("later"), "delivered")
        await phone.until(lambda: phone.app.webhooks.waiting == 0)
        assert core.states()[command_id] == "submitted"


@pytest.mark.parametrize(
    "fault",
    ["webhook_doubled", "webhook_reordered", "webhook_lost", "webhook_wrongly_signed", "webhook_unsigned"],
)
async def test_trouble_with_webhooks_changes_nothing(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path, fault: str
) -> None:
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        await ready(it, phone)
        phone.faults.add(fault, count=12)
        ids = [it.offer(str(number)) for number in range(3)]
        phone.deliver_inbound("in")
        for command_id in ids:
            await it.until_state(command_id, "delivered")
        await core.until(lambda: [each.text for each in core.inbound] == ["in"])
    assert sorted(part.message_id for part in phone.sent) == sorted(ids)


async def test_older_form_of_events_is_understood(core: StubCore, phone: FakeSmsGate, tmp_path: Path) -> None:
    phone.faults.add("webhook_old_shape")
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        await ready(it, phone)
        await it.until_state(it.offer(LONG, parts=2), "delivered")


async def test_only_signed_and_fresh_calls_are_believed(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    body = json.dumps(CALL).encode()
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        url = await ready(it, phone)
        refused: list[dict[str, str]] = [
            {},
            signed(body, key="another"),
            signed(body, age_s=301),
            signed(body, age_s=-310),
            signed(body + b" "),
            {**signed(body), "X-Timestamp": "soon"},
            {**signed(body), "X-Timestamp": "\u0663"},
            {**signed(body), "X-Signature": ""},
        ]
        for headers in refused:
            assert await call(url, body, headers) == 401
        assert core.inbound == []
        assert await call(url, body, signed(body)) == 200
        await core.until(lambda: [each.text for each in core.inbound] == ["m"])


async def test_what_is_no_call_of_a_phone_is_refused(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        url = await ready(it, phone)
        assert await call(f"{url}-other", b"{}", signed(b"{}")) == 404
        assert await call(url, b"", {}, "GET") == 405
        for body in (b"no json", b"[]", b"{}", b'{"event": 1}'):
            assert await call(url, body, signed(body)) == 400


@pytest.mark.parametrize(
    "changed",
    [
        {"event": "sms:delivered", "payload": {"messageId": "somebody's"}},
        {"event": "sms:sent", "payload": {"messageId": "somebody's", "partsCount": "many"}},
        {"event": "sms:failed", "payload": None},
        {"event": "sms:received", "payload": {"sender": 1, "message": "m"}},
        {"event": "sms:received", "payload": {"sender": "+1", "message": "m", "receivedAt": "yesterday"}},
        {"event": "mms:received", "payload": {}},
        {"event": "system:ping", "payload": {}},
    ],
)
async def test_event_that_says_nothing_to_the_gateway_is_taken_and_changes_nothing(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path, changed: dict[str, Any]
) -> None:
    body = json.dumps(changed).encode()
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        url = await ready(it, phone)
        assert await call(url, body, signed(body)) == 200
        await it.until_state(it.offer(), "delivered")
        assert core.inbound == []


async def told(url: str, command_id: str, event: str, *, event_id: str = "e", **payload: object) -> None:
    """An event that the app tells."""
    told = {"id": event_id, "event": event, "payload": {"messageId": command_id, **payload}}
    body = json.dumps(told).encode()
    assert await call(url, body, signed(body)) == 200


@asynccontextmanager
async def sent_and_silent(
    core: StubCore, phone: FakeSmsGate, folder: Path, *, parts: int
) -> AsyncGenerator[tuple[Gateway, str, str]]:
    """A long text that the core takes for so many parts, of which the app itself tells nothing more."""
    phone.faults.add("webhook_lost", count=1000)
    async with gateway(core, folder, phone, webhook=True) as it:
        url = await ready(it, phone)
        command_id = it.offer(LONG, parts=parts)
        await it.until_state(command_id, "submitted")
        yield it, url, command_id


async def test_app_that_counts_fewer_parts_after_they_arrived_is_right(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with sent_and_silent(core, phone, tmp_path, parts=3) as (it, url, command_id):
        for number in (1, 2):
            await told(url, command_id, "sms:delivered", deliveredAt=f"2026-01-01T00:00:00.{number}00Z")
        assert core.states()[command_id] == "submitted"
        await told(url, command_id, "sms:sent", partsCount=2)
        await it.until_state(command_id, "delivered")


async def test_count_of_the_app_outlives_the_process(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with sent_and_silent(core, phone, tmp_path, parts=2) as (it, url, command_id):
        await told(url, command_id, "sms:sent", partsCount=3)
        await told(url, command_id, "sms:delivered", deliveredAt="2026-01-01T00:00:00.100Z")
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        url = await ready_anew(it, phone, url)
        await told(url, command_id, "sms:delivered", deliveredAt="2026-01-01T00:00:00.200Z")
        await it.until_state(it.offer("later"), "delivered")
        assert core.states()[command_id] == "submitted"
        await told(url, command_id, "sms:delivered", deliveredAt="2026-01-01T00:00:00.300Z")
        await it.until_state(command_id, "delivered")


async def test_parts_without_a_time_are_told_apart_by_their_events(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with sent_and_silent(core, phone, tmp_path, parts=2) as (it, url, command_id):
        for _ in range(3):
            await told(url, command_id, "sms:delivered", event_id="one")
        await it.until_state(it.offer("later"), "delivered")
        assert core.states()[command_id] == "submitted"
        await told(url, command_id, "sms:delivered", event_id="two")
        await it.until_state(command_id, "delivered")


async def test_same_part_by_two_events_counts_once(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with sent_and_silent(core, phone, tmp_path, parts=2) as (it, url, command_id):
        for event_id in ("one", "two"):
            at = "2026-01-01T00:00:00.100Z"
            await told(url, command_id, "sms:delivered", event_id=event_id, deliveredAt=at)
        await it.until_state(it.offer("later"), "delivered")
        assert core.states()[command_id] == "submitted"


async def test_journal_that_cannot_be_written_has_the_app_call_again(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps(CALL).encode()
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        url = await ready(it, phone)
        journal = it.engine._journal  # pyright: ignore[reportPrivateUsage]

        def full(*_: object, **__: object) -> None:
            raise JournalUnwritable("disk full")

        with monkeypatch.context() as patch:
            patch.setattr(journal, "commit", full)
            assert await call(url, body, signed(body)) == 503
            assert core.inbound == []
        assert await call(url, body, signed(body)) == 200
        await core.until(lambda: [each.text for each in core.inbound] == ["m"])


async def ready_anew(it: Gateway, phone: FakeSmsGate, before: str) -> str:
    """Wait until the phone calls somewhere else than before, for everything; where."""
    await it.until_ready()
    await phone.until(lambda: before not in {each.url for each in phone.app.webhooks.registered.values()})
    return await ready(it, phone)


async def test_webhooks_are_registered_anew_where_the_driver_listens_now(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        before = await ready(it, phone)
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        assert await ready_anew(it, phone, before) != before
        await it.until_state(it.offer(LONG, parts=2), "delivered")


async def test_webhooks_are_registered_once_and_again_after_the_app_lost_them(
    core: StubCore, phone: FakeSmsGate, tmp_path: Path
) -> None:
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        await ready(it, phone)
    async with gateway(core, tmp_path, phone, webhook=True) as it:
        await ready(it, phone)
        await phone.restart(memory_kept=False)
        await ready(it, phone)
        assert {each.event for each in phone.app.webhooks.registered.values()} == {
            "sms:received",
            "sms:sent",
            "sms:delivered",
            "sms:failed",
            "app:started",
            "system:ping",
        }
