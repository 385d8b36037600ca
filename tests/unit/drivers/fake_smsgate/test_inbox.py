"""Messages that come in at the fake phone, and how its apps, new and old, let them be caught up."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from drivers.android.fake_smsgate import SENDER, AppKind, Sim
from tests.unit.drivers.fake_smsgate.room import room, told_room

ALL: dict[str, Any] = {"since": "2020-01-01T00:00:00Z", "until": "2090-01-01T00:00:00Z"}
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


async def test_a_message_that_comes_in_is_listed_with_its_sim() -> None:
    async with room(sims=[Sim(1, "+15559876543"), Sim(2, "+15559876544")]) as (phone, caller):
        phone.deliver_inbound("Hello you", sim=2, at=AT)
        listed = await caller.ask("GET", "/inbox?limit=10")
        [message] = listed.body
        assert listed.headers["X-Total-Count"] == "1"
        assert message["contentPreview"] == "Hello you"
        assert (message["sender"], message["recipient"], message["simNumber"]) == (SENDER, "+15559876544", 2)
        assert message["createdAt"] == "2026-01-02T03:04:05.000Z"
        assert (await caller.ask("GET", f"/inbox/{message['id']}")).body["id"] == message["id"]


async def test_ids_are_javas_hash_of_what_came_in() -> None:
    async with room() as (phone, _):
        one = phone.deliver_inbound("ä😀", at=AT)
        assert one.inbox_id == f"text:{one.content_hash}"
        assert int(one.event_id, 16) == one.content_hash % (1 << 32)
        assert one.content_hash == _java_hash(one.sender, AT, 1, one.text)


def _java_hash(sender: str, at: datetime, subscription: int, text: str) -> int:
    """The same, written as the language defines it: sums of powers of 31 modulo 2**32."""

    def of_text(value: str) -> int:
        units = memoryview(value.encode("utf-16-le")).cast("H")
        return sum(unit * 31 ** (len(units) - 1 - place) for place, unit in enumerate(units))

    milliseconds = int(at.timestamp() * 1000)
    date = (milliseconds & 0xFFFFFFFF) ^ (milliseconds >> 32)
    whole = ((of_text(sender) * 31 + date) * 31 + subscription) * 31 + of_text(text)
    return (whole + (1 << 31)) % (1 << 32) - (1 << 31)


async def test_the_same_message_in_the_same_second_is_one_for_the_app() -> None:
    async with room() as (phone, caller):
        for second in (0, 0, 1):
            phone.deliver_inbound("Ping", at=AT + timedelta(seconds=second))
        assert len((await caller.ask("GET", "/inbox")).body) == 2


async def test_lists_are_by_time_and_page() -> None:
    async with room() as (phone, caller):
        for number in range(3):
            phone.deliver_inbound(f"Text {number}", at=AT + timedelta(minutes=number))
        page = await caller.ask("GET", "/inbox?limit=1&offset=1")
        assert ([each["contentPreview"] for each in page.body], page.headers["X-Total-Count"]) == ((
            ["Text 1"],
            "3",
        ))
        later = await caller.ask("GET", "/inbox?from=2026-01-02T03:05:00%2B00:00")
        assert [each["contentPreview"] for each in later.body] == ["Text 2", "Text 1"]
        assert (await caller.ask("GET", "/inbox?type=MMS")).body == []
        for query in ("type=FAX", "from=x", "limit=0", "from=2027-01-01T00:00:00Z&to=2026-01-01T00:00:00Z"):
            assert (await caller.ask("GET", f"/inbox?{query}")).status == 400, query


async def test_what_came_in_while_the_app_was_dead_is_there_after_a_refresh() -> None:
    async with told_room() as (phone, caller, place):
        await phone.app.stop()
        phone.deliver_inbound("While you were out", at=AT)
        await phone.restart()
        assert (await caller.ask("GET", "/inbox")).body == []
        assert (await caller.ask("POST", "/inbox/refresh", ALL)).status == 202
        assert [each["contentPreview"] for each in (await caller.ask("GET", "/inbox")).body] == [
            "While you were out"
        ]
        await caller.ask("POST", "/inbox/refresh", {**ALL, "webhookDelivery": "Individual"})
        phone.deliver_inbound("Now", at=AT)
        await phone.until(lambda: place.names().count("sms:received") == 1)
        assert place.events[-1].body["payload"]["message"] == "Now"


async def test_a_refresh_can_send_events_for_what_is_new_to_the_app() -> None:
    async with told_room() as (phone, caller, place):
        await phone.app.stop()
        phone.deliver_inbound("Missed", at=AT)
        await phone.restart()
        for _ in range(2):
            await caller.ask("POST", "/inbox/refresh", {**ALL, "webhookDelivery": "Individual"})
        await phone.until(lambda: "sms:received" in place.names() and not phone.app.webhooks.waiting)
        assert place.names().count("sms:received") == 1


async def test_an_old_app_exports_what_it_sent_before_once_more() -> None:
    async with told_room(kind=AppKind.OLD) as (phone, caller, place):
        phone.deliver_inbound("Again and again", at=AT)
        for _ in range(2):
            assert (await caller.ask("POST", "/messages/inbox/export", ALL)).status == 202
        await phone.until(lambda: place.names().count("sms:received") == 3)
        payloads = [event.body["payload"] for event in place.events if event.body["event"] == "sms:received"]
        assert payloads == [payloads[0]] * 3
        assert payloads[0]["phoneNumber"] == SENDER
        assert "sender" not in payloads[0]


async def test_a_period_that_is_none_is_refused() -> None:
    async with room() as (_, caller):
        for body in (
            {},
            {"since": "2026-01-01T00:00:00Z"},
            {"since": ALL["until"], "until": ALL["since"]},
            [],
        ):
            assert (await caller.ask("POST", "/inbox/refresh", body)).status == 400, body
            assert (await caller.ask("POST", "/messages/inbox/export", body)).status == 400, body
        odd = {**ALL, "webhookDelivery": "Pigeon"}
        assert (await caller.ask("POST", "/inbox/refresh", odd)).status == 400


async def test_an_app_whose_memory_is_lost_finds_its_inbox_again_but_not_its_messages() -> None:
    async with told_room() as (phone, caller, _):
        await caller.send("gone")
        phone.deliver_inbound("Kept by Android", at=AT)
        await phone.until(lambda: phone.messages["gone"].state == "Delivered")
        await phone.restart(memory_kept=False)
        assert (await caller.ask("GET", "/messages/gone")).status == 404
        assert (await caller.ask("GET", "/webhooks")).body == []
        await caller.ask("POST", "/inbox/refresh", ALL)
        assert len((await caller.ask("GET", "/inbox")).body) == 1


async def test_dates_are_in_the_phones_zone() -> None:
    async with room(zone=timezone(timedelta(hours=2))) as (phone, caller):
        phone.deliver_inbound("Bonjour", at=AT)
        [message] = (await caller.ask("GET", "/inbox")).body
        assert message["createdAt"] == "2026-01-02T05:04:05.000+02:00"
        health = await caller.ask("GET", "/health")
        written = datetime.strptime(health.headers["Date"], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
        assert abs(datetime.now(UTC) - written) < timedelta(minutes=1)
