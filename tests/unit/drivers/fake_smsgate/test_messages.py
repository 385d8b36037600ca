"""Messages that the fake phone is given: what the app answers, and what of them goes into the network."""

from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from drivers.android.fake_smsgate import AppKind, FakeSmsGate, Sim
from drivers.android.fake_smsgate.values import Message, Recipient
from tests.fakes.phone_owner import TO, calling
from tests.unit.drivers.fake_smsgate.room import room, states


async def test_a_message_goes_through_all_states_and_is_sent_once() -> None:
    async with room() as (phone, caller):
        answer = await caller.send("first")
        assert (answer.status, answer.body["id"], answer.body["state"]) == (202, "first", "Pending")
        assert answer.body["recipients"] == [{"phoneNumber": TO, "state": "Pending"}]
        await states(phone, "first", "Delivered")
        shown = await caller.state("first")
        assert list(shown["states"]) == ["Pending", "Processed", "Sent", "Delivered"]
        [part] = phone.sent
        assert (part.message_id, part.to, part.sim, part.part, part.parts, part.text) == ((
            "first",
            TO,
            1,
            1,
            1,
            "Hello",
        ))


async def test_a_repeated_id_is_refused_and_sent_once() -> None:
    async with room() as (phone, caller):
        await caller.send("same", "One")
        again = await caller.send("same", "Two")
        assert (again.status, again.body) == (409, {"message": "Message with the same ID already exists"})
        await states(phone, "same", "Delivered")
        assert [part.text for part in phone.sent] == ["One"]


async def test_a_long_text_is_sent_in_parts() -> None:
    async with room() as (phone, caller):
        await caller.send("long", "x" * 307)
        await states(phone, "long", "Delivered")
        assert [(part.part, part.parts, len(part.text)) for part in phone.sent] == [
            (1, 3, 153),
            (2, 3, 153),
            (3, 3, 1),
        ]


async def test_the_sim_is_the_one_that_was_asked_for() -> None:
    async with room(sims=[Sim(1, "+15559876543"), Sim(2, "+15559876544")]) as (phone, caller):
        await caller.send("second", simNumber=2)
        await caller.send("any")
        await caller.send("third", simNumber=3)
        await states(phone, "third", "Failed")
        await states(phone, "second", "Delivered")
        await states(phone, "any", "Delivered")
        assert {part.message_id: part.sim for part in phone.sent} == {"second": 2, "any": 1}
        [recipient] = (await caller.state("third"))["recipients"]
        assert recipient["error"] == "Can't send message: SIM 3 not found"


async def test_a_message_of_higher_priority_goes_first() -> None:
    async with room() as (phone, caller):
        for number in range(3):
            await caller.send(f"low{number}")
        await caller.send("high", priority=100)
        await phone.until(lambda: len(phone.sent) == 4)
        order = [part.message_id for part in phone.sent]
        assert [name for name in order if name != "high"] == ["low0", "low1", "low2"]


async def test_without_a_delivery_report_a_message_stays_sent() -> None:
    async with room() as (phone, caller):
        await caller.send("quiet", withDeliveryReport=False)
        await caller.send("next")
        await states(phone, "next", "Delivered")
        assert (await caller.state("quiet"))["state"] == "Sent"


async def test_a_number_that_is_none_fails_unless_it_is_not_to_be_checked() -> None:
    async with room() as (phone, caller):
        body = {"id": "short", "message": "Hello", "phoneNumbers": ["12345"]}
        await caller.ask("POST", "/message", body)
        await states(phone, "short", "Failed")
        assert phone.sent == []
        await caller.ask("POST", "/messages?skipPhoneValidation=true", {**body, "id": "unchecked"})
        await states(phone, "unchecked", "Delivered")
        assert [part.to for part in phone.sent] == ["12345"]


async def test_a_message_whose_time_is_over_when_its_turn_comes_is_not_sent() -> None:
    async with room() as (phone, caller):
        now = phone.clock.now()
        phone.app.outbox.enqueue(
            Message("late", "Hello", [Recipient(TO)], now, valid_until=now - timedelta(seconds=1))
        )
        await states(phone, "late", "Failed")
        [recipient] = (await caller.state("late"))["recipients"]
        assert recipient["error"] == "TTL expired"
        assert phone.sent == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"textMessage": None}, "Must specify exactly one of: textMessage, dataMessage, or message"),
        ({"message": "two"}, "Cannot specify multiple message types simultaneously"),
        ({"textMessage": {"text": ""}}, "Text message is empty"),
        ({"textMessage": {"text": 5}}, "The fake phone sends nothing but text"),
        ({"phoneNumbers": []}, "phoneNumbers is empty"),
        ({"phoneNumbers": "+15551230000"}, "phoneNumbers must be a list of strings"),
        ({"simNumber": 0}, "simNumber must be >= 1"),
        ({"simNumber": "1"}, "simNumber must be a int"),
        ({"priority": 128}, "priority must be a byte"),
        ({"withDeliveryReport": "yes"}, "withDeliveryReport must be a bool"),
        ({"ttl": 5, "validUntil": "2099-01-01T00:00:00Z"}, "fields conflict: ttl and validUntil"),
        ({"ttl": -5}, "message already expired"),
        ({"validUntil": "2026-01-01T00:00:00Z"}, "message already expired"),
        ({"validUntil": "2099-01-01T00:00:00"}, "Invalid validUntil datetime"),
        ({"deviceId": "another"}, "Invalid device ID"),
    ],
)
async def test_a_body_that_is_wrong_is_refused(change: dict[str, Any], sentence: str) -> None:
    async with room() as (phone, caller):
        answer = await caller.send("wrong", **change)
        assert (answer.status, answer.body) == (400, {"message": sentence})
        assert phone.messages == {}


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"text"'])
async def test_what_is_no_object_is_refused(raw: bytes) -> None:
    async with room() as (_, caller):
        assert (await caller.ask("POST", "/messages", raw=raw)).status == 400


async def test_a_message_that_is_not_there_is_not_found() -> None:
    async with room() as (_, caller):
        answer = await caller.ask("GET", "/messages/absent")
        assert (answer.status, answer.body) == (404, None)


async def test_messages_are_listed_newest_first_by_state_and_page() -> None:
    async with room() as (phone, caller):
        phone.faults.add("stuck_pending")
        for name in ("stuck", "one", "two"):
            await caller.send(name)
        await states(phone, "one", "Delivered")
        await states(phone, "two", "Delivered")
        delivered = await caller.ask("GET", "/messages?state=Delivered&limit=1")
        assert [each["id"] for each in delivered.body] == ["two"]
        assert delivered.headers["X-Total-Count"] == "2"
        everything = await caller.ask("GET", "/messages?sort=created_at&offset=1")
        assert [each["id"] for each in everything.body] == ["one", "two"]
        for query in ("limit=0", "limit=501", "offset=-1", "state=Lost", "from=yesterday", "sort=id"):
            assert (await caller.ask("GET", f"/messages?{query}")).status == 400, query


async def test_an_old_app_lists_nothing() -> None:
    async with room(kind=AppKind.OLD) as (_, caller):
        assert (await caller.ask("GET", "/messages")).status == 405
        assert (await caller.ask("GET", "/inbox")).status == 404


async def test_only_health_is_told_without_the_password() -> None:
    async with room() as (phone, caller):
        for path in ("/", "/device", "/messages", "/message/one", "/webhooks", "/inbox"):
            assert (await caller.ask("GET", path, password="guess")).status == 401, path
        health = await caller.ask("GET", "/health", password="guess")
        assert (health.status, health.body["status"]) == (200, "pass")
        assert phone.requests[-1].path == "/health"


async def test_the_device_names_its_sims() -> None:
    async with room(sims=[Sim(1, "+15559876543"), Sim(2, "+15559876544")]) as (phone, caller):
        phone.faults.add("no_sim", sim=1)
        [device] = (await caller.ask("GET", "/device")).body
        assert [(sim["simNumber"], sim["phoneNumber"]) for sim in device["simCards"]] == [(2, "+15559876544")]


async def test_two_phones_have_two_ports_and_one_port_is_not_had_twice() -> None:
    async with FakeSmsGate() as one, FakeSmsGate() as two, calling(two) as caller:
        assert one.url != two.url
        assert (await caller.ask("GET", "/")).body["status"] == "ok"
        third = FakeSmsGate(port=int(two.url.rsplit(":", 1)[1]))
        with pytest.raises(OSError, match="Address already in use"):
            await third.start()
        await third.close()


async def test_nothing_answers_when_the_phone_is_off() -> None:
    async with FakeSmsGate() as phone:
        pass
    async with calling(phone) as caller:
        with pytest.raises(aiohttp.ClientConnectionError):
            await caller.ask("GET", "/health")
