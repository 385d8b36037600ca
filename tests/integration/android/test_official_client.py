"""The app's own client takes the fake phone for the app; what the driver sends and reads is what the client does."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from android_sms_gateway import AsyncAPIClient, domain
from android_sms_gateway.ahttp import AiohttpAsyncHttpClient
from android_sms_gateway.enums import HealthStatus, ProcessState, WebhookDelivery, WebhookEvent
from android_sms_gateway.errors import APIError

from drivers.android.config import PhoneConfig, SimNumber
from drivers.android.fake_smsgate import NUMBER, PASSWORD, USER, Conditions, FakeSmsGate, Sim
from drivers.android.phone_api import Outgoing, PhoneApi
from tests.fakes.phone_owner import TO, webhook_place

FAST = Conditions(radio_s=0.01, report_s=0.01)
YEAR = timedelta(days=365)


@asynccontextmanager
async def official() -> AsyncGenerator[tuple[FakeSmsGate, AsyncAPIClient]]:
    """A phone with two SIMs, and the official client that has its password."""
    sims = [Sim(1, NUMBER), Sim(2, "+15559876544")]
    async with (
        FakeSmsGate(sims=sims, conditions=FAST) as phone,
        AiohttpAsyncHttpClient() as http,
        AsyncAPIClient(USER, PASSWORD, base_url=phone.url, http_client=http) as client,
    ):
        yield phone, client


def message(message_id: str = "official", **changes: Any) -> domain.Message:
    """What the client sends."""
    whole = domain.Message(
        id=message_id, phone_numbers=[TO], text_message=domain.TextMessage("Hello"), with_delivery_report=True
    )
    return replace(whole, **changes)


async def until_state(phone: FakeSmsGate, message_id: str, state: str) -> None:
    """Wait until a message has a state."""
    await phone.until(lambda: phone.messages[message_id].state == state)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ttl": 3600},
        {"valid_until": datetime.now(UTC) + YEAR},
        {"sim_number": 2},
        {"priority": domain.MessagePriority.BYPASS_THRESHOLD},
        {"with_delivery_report": False},
        {"phone_numbers": [TO, "+15551230001"]},
    ],
    ids=lambda changes: next(iter(changes), "plain"),
)
async def test_what_the_client_sends_is_sent(changes: dict[str, Any]) -> None:
    async with official() as (phone, client):
        accepted = await client.send(message(**changes), skip_phone_validation=True)
        assert (accepted.id, accepted.state) == ("official", ProcessState.Pending)
        await until_state(phone, "official", "Sent" if "with_delivery_report" in changes else "Delivered")
        state = await client.get_state("official")
        assert state.created_at is not None
        assert {each.phone_number for each in state.recipients} == set(message(**changes).phone_numbers)
        assert {part.sim for part in phone.sent} == {changes.get("sim_number", 1)}


async def test_the_client_reads_lists_by_state_and_page() -> None:
    async with official() as (phone, client):
        for number in range(3):
            await client.send(message(f"m{number}"))
            await until_state(phone, f"m{number}", "Delivered")
        page = await client.get_messages(
            query=domain.MessagesQueryFilter(state="Delivered", from_=datetime.now(UTC) - YEAR),
            pagination=domain.QueryPagination(limit=2, offset=1),
            sort="created_at",
        )
        assert [each.id for each in page] == ["m1", "m2"]


async def test_the_client_is_told_of_what_is_wrong() -> None:
    async with official() as (_, client):
        await client.send(message())
        for attempt, status in ((message(), 409), (message("none", phone_numbers=[]), 400)):
            with pytest.raises(APIError) as refused:
                await client.send(attempt)
            assert refused.value.status_code == status
        with pytest.raises(APIError) as absent:
            await client.get_state("absent")
        assert absent.value.status_code == 404


async def test_the_client_keeps_webhooks_and_their_events_are_ones_that_it_knows() -> None:
    async with official() as (phone, client), webhook_place() as place:
        made = [
            await client.create_webhook(domain.Webhook(id=None, url=place.url, event=event))
            for event in (WebhookEvent.SMS_SENT, WebhookEvent.SMS_DELIVERED, WebhookEvent.SMS_RECEIVED)
        ]
        assert await client.get_webhooks() == made
        await client.send(message())
        phone.deliver_inbound("Hello back", sim=2)
        await phone.until(lambda: len(place.events) == 3)
        assert {WebhookEvent(event.body["event"]) for event in place.events} == {each.event for each in made}
        for each in made:
            await client.delete_webhook(str(each.id))
        assert await client.get_webhooks() == []


async def test_the_client_reads_the_inbox_and_has_it_refreshed() -> None:
    async with official() as (phone, client):
        await phone.app.stop()
        phone.deliver_inbound("While away", sim=2)
        await phone.restart()
        since, until = datetime.now(UTC) - YEAR, datetime.now(UTC) + YEAR
        assert await client.list_inbox_messages() == []
        await client.refresh_inbox(
            domain.InboxRefreshRequest(
                since=since,
                until=until,
                message_types=["SMS"],
                webhook_delivery=WebhookDelivery.DISABLED,
            )
        )
        await client.export_inbox(
            domain.MessagesExportRequest(device_id=phone.app.identity.device_id, since=since, until=until)
        )
        [listed] = await client.list_inbox_messages(
            inbox_filter=domain.InboxQueryFilter(message_type="SMS", from_=since, to=until),
            pagination=domain.QueryPagination(limit=10, offset=0),
        )
        assert (listed.content_preview, listed.sim_number) == ("While away", 2)
        assert (listed.message_type, listed.recipient) == ("SMS", "+15559876544")


async def test_the_client_reads_the_health() -> None:
    async with official() as (phone, client):
        phone.faults.add("battery", percent=15)
        health = await client.health_check()
        assert health.status is HealthStatus.WARN
        assert health.checks is not None
        assert health.checks["battery:level"].observed_value == 15


async def test_what_the_driver_sends_is_what_the_client_would_send() -> None:
    async with official() as (phone, client):
        api = PhoneApi(PhoneConfig("phone", phone.url, USER, PASSWORD, (SimNumber(NUMBER, 2),)))
        try:
            await api.submit(Outgoing("same", "Hello ä 😀", TO, 2, wants_report=True, ttl_s=600))
        finally:
            await api.close()
        await client.send(
            domain.Message(
                id="other",
                phone_numbers=[TO],
                text_message=domain.TextMessage("Hello ä 😀"),
                sim_number=2,
                ttl=600,
                with_delivery_report=True,
            ),
            skip_phone_validation=True,
        )
        ours, theirs = (json.loads(request.body) for request in phone.requests)
        assert {**theirs, "id": "same"} == {"isEncrypted": False, "priority": 0, **ours}


async def test_the_driver_reads_what_the_client_reads() -> None:
    async with official() as (phone, client):
        api = PhoneApi(PhoneConfig("phone", phone.url, USER, PASSWORD, (SimNumber(NUMBER, 1),)))
        try:
            phone.faults.add("not_delivered", count=1)
            for number in range(3):
                await client.send(message(f"m{number}"))
            phone.deliver_inbound("Hello ä 😀", sim=2)
            await until_state(phone, "m2", "Delivered")
            now = datetime.now(UTC).timestamp()
            ours = await api.messages(since_s=now - 3600, until_s=now + 3600, limit=50)
            theirs = await client.get_messages()
            assert ours is not None
            assert {name: (each.state, each.error) for name, each in ours.items()} == {
                each.id: (each.state.value, each.recipients[0].error or "") for each in theirs
            }
            [mine] = await api.inbox(since_s=now - 3600, until_s=now + 3600, limit=10, offset=0) or []
            [yours] = await client.list_inbox_messages()
            assert (mine.source, mine.text, mine.sim) == (
                yours.sender,
                yours.content_preview,
                yours.sim_number,
            )
            assert mine.at_s == yours.created_at.timestamp()
            health = await client.health_check()
            assert health.checks is not None
            assert (await api.health(wall_s=now)).battery_percent == health.checks[
                "battery:level"
            ].observed_value
        finally:
            await api.close()
