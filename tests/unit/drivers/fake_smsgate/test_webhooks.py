"""The fake phone's webhooks: which it takes, what they say, and how they go wrong."""

import itertools

import pytest

from drivers.android.fake_smsgate import NUMBER
from tests.fakes.phone_owner import TO
from tests.unit.drivers.fake_smsgate.room import EVENTS, room, states, told_room


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1/hook", "http://localhost/hook", "ftp://example.com", "", "https://", 5, None]
)
async def test_a_webhook_goes_to_https_or_to_the_phone_itself(url: object) -> None:
    async with room() as (_, caller):
        answer = await caller.ask("POST", "/webhooks", {"url": url, "event": "sms:sent"})
        assert answer.status == 400
        assert (await caller.ask("GET", "/webhooks")).body == []


async def test_webhooks_are_made_replaced_listed_and_removed() -> None:
    async with room() as (_, caller):
        for url in ("https://example.com/one", "http://127.0.0.1:9876/two"):
            answer = await caller.ask("POST", "/webhooks", {"id": "mine", "url": url, "event": "sms:sent"})
            assert (answer.status, answer.body) == (201, {"id": "mine", "url": url, "event": "sms:sent"})
        other = await caller.ask("POST", "/webhooks", {"url": "https://example.com", "event": "sms:failed"})
        assert len(other.body["id"]) == 21
        assert [each["id"] for each in (await caller.ask("GET", "/webhooks")).body] == [
            "mine",
            other.body["id"],
        ]
        assert (await caller.ask("DELETE", "/webhooks/mine")).status == 204
        assert [each["id"] for each in (await caller.ask("GET", "/webhooks")).body] == [other.body["id"]]
        odd = await caller.ask("POST", "/webhooks", {"url": "https://example.com", "event": "sms:lost"})
        assert odd.status == 400


async def test_a_message_is_told_of_as_sent_once_and_as_delivered_for_each_part() -> None:
    async with told_room() as (phone, caller, place):
        await caller.send("long", "x" * 400)
        await phone.until(lambda: len(place.events) == 4)
        assert sorted(place.names()) == ["sms:delivered"] * 3 + ["sms:sent"]
        assert all(event.is_signed for event in place.events)
        [sent] = [event.body for event in place.events if event.body["event"] == "sms:sent"]
        assert sent["webhookId"] == "sms:sent"
        payload = sent["payload"]
        assert (payload["messageId"], payload["sender"], payload["recipient"]) == ("long", NUMBER, TO)
        assert payload["partsCount"] == 3
        assert "reason" not in payload


async def test_a_failure_is_told_of_with_its_reason() -> None:
    async with told_room() as (phone, caller, place):
        phone.faults.add("send_failed", reason="RESULT_ERROR_RADIO_OFF")
        await caller.send("failed")
        await phone.until(lambda: len(place.events) == 1)
        [event] = place.events
        assert event.body["event"] == "sms:failed"
        assert event.body["payload"]["reason"] == "Send result: RESULT_ERROR_RADIO_OFF"


async def test_a_delivery_is_tried_again_until_it_is_taken() -> None:
    async with told_room() as (phone, _, place):
        answers = itertools.chain([500, 404, 302], itertools.repeat(204))
        place.status = lambda: next(answers)
        phone.deliver_inbound("Hello")
        for wait_s in (10, 20, 40):
            await phone.until(lambda refusals=place.refused: place.refused > refusals)
            phone.clock.pass_time(wait_s)
        await phone.until(lambda: phone.app.webhooks.waiting == 0)
        assert (place.refused, place.names()) == (3, ["sms:received"])


async def test_after_fourteen_retries_a_delivery_is_given_up() -> None:
    async with told_room() as (phone, _, place):
        place.status = lambda: 503
        phone.deliver_inbound("Hello")
        for _ in range(15):
            await phone.until(lambda refusals=place.refused: place.refused > refusals)
            phone.clock.pass_time(200_000)
        await phone.until(lambda: phone.app.webhooks.given_up == 1)
        assert (place.refused, place.events) == (15, [])


async def test_what_was_not_delivered_when_the_app_died_is_delivered_when_it_is_back() -> None:
    async with told_room() as (phone, _, place):
        place.status = lambda: 500
        phone.deliver_inbound("Hello")
        await phone.until(lambda: place.refused == 1)
        place.status = lambda: 200
        await phone.restart()
        await phone.until(lambda: phone.app.webhooks.waiting == 0)
        assert sorted(place.names()) == ["app:started", "sms:received"]
        [started] = [event.body["payload"] for event in place.events if event.body["event"] == "app:started"]
        assert started == {"simCards": [{"slotIndex": 0, "simNumber": 1, "phoneNumber": NUMBER}]}


async def test_the_phone_says_that_it_is_there() -> None:
    async with told_room() as (phone, _, place):
        phone.app.ping()
        await phone.until(lambda: place.names() == ["system:ping"])


async def test_an_event_can_come_twice_with_two_ids() -> None:
    async with told_room() as (phone, _, place):
        phone.faults.add("webhook_doubled")
        phone.deliver_inbound("Twice")
        await phone.until(lambda: len(place.events) == 2)
        one, two = (event.body for event in place.events)
        assert one["id"] != two["id"]
        assert one["payload"] == two["payload"]


async def test_an_event_can_come_after_the_next_one() -> None:
    async with told_room() as (phone, _, place):
        phone.faults.add("webhook_reordered")
        phone.deliver_inbound("First")
        assert phone.app.webhooks.waiting == 1
        assert place.events == []
        phone.deliver_inbound("Second")
        await phone.until(lambda: len(place.events) == 2)
        assert phone.app.webhooks.waiting == 0


@pytest.mark.parametrize("fault", ["webhook_wrongly_signed", "webhook_unsigned"])
async def test_an_event_can_be_signed_by_nobody_or_somebody_else(fault: str) -> None:
    async with told_room() as (phone, _, place):
        phone.faults.add(fault)
        phone.deliver_inbound("Believe me")
        phone.app.ping()
        await phone.until(lambda: len(place.events) == 2)
        assert {event.body["event"]: event.is_signed for event in place.events} == {
            "sms:received": False,
            "system:ping": True,
        }
        [forged] = [event for event in place.events if not event.is_signed]
        assert ("X-Signature" in forged.headers) is (fault == "webhook_wrongly_signed")


async def test_an_event_can_be_lost() -> None:
    async with told_room() as (phone, _, place):
        phone.faults.add("webhook_lost")
        phone.deliver_inbound("Lost")
        phone.deliver_inbound("Found")
        await phone.until(lambda: len(place.events) == 1)
        assert place.events[0].body["payload"]["message"] == "Found"
        assert phone.app.webhooks.waiting == 0


async def test_events_can_have_the_shape_of_earlier_apps() -> None:
    async with told_room() as (phone, caller, place):
        phone.faults.add("webhook_old_shape")
        await caller.send("old")
        await states(phone, "old", "Delivered")
        await phone.until(lambda: len(place.events) == 2)
        for event in place.events:
            assert event.body["payload"]["phoneNumber"] == TO
            assert not {"sender", "recipient"} & set(event.body["payload"])


async def test_a_phone_that_is_away_sends_no_events_until_it_is_back() -> None:
    async with told_room() as (phone, _, place):
        phone.faults.add("away", seconds=3600)
        phone.deliver_inbound("Are you there?")
        await phone.until(lambda: phone.app.webhooks.attempts == 1)
        assert place.events == []
        phone.clock.pass_time(3600)
        await phone.until(lambda: len(place.events) == 1)
        assert {event for event in EVENTS if event in place.names()} == {"sms:received"}
