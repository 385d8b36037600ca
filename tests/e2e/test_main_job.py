"""The first thing that anybody does with the gateway: the published curl command, and the webhooks that follow."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.e2e.gateway import Client, Gateway, eventually
from tests.e2e.hooks import Hook, hook

SMS = b"""{
"to": "+1234567890",
"message": "Hello from Infini Reach!",
"from": "+15559876543",
"channel": "sms"
}"""
WHATSAPP = b"""{
"to": "+1234567890",
"message": "Hello via WhatsApp!",
"from": "+15559876543",
"channel": "whatsapp"
}"""
DOCUMENTED_KEYS = ["messageId", "direction", "from", "to", "body", "deviceId", "timestamp", "status"]
ADDED_KEYS = ["channel", "externalId", "reason", "sequence", "segments", "sentAt", "deliveredAt"]


@pytest.mark.parametrize(("channel", "body"), [("sms", SMS), ("whatsapp", WHATSAPP)])
async def test_the_published_command_is_answered_and_delivered(
    owner: Client, channel: str, body: bytes, record_testsuite_property: Callable[[str, object], None]
) -> None:
    started = time.monotonic()
    answer = await owner.request("POST", "/api/v1/messages", raw=body)
    assert answer.status == 201
    assert answer.headers["X-Request-Id"]
    accepted = answer.json
    assert set(accepted) == {"success", "queued", "messageId", "jobId"}
    assert accepted["success"] is True
    assert accepted["queued"] is True
    assert re.fullmatch(r"[0-9a-f]{24}", accepted["messageId"])
    assert accepted["jobId"] == f"job-{accepted['messageId']}"
    message = await owner.message_in(accepted["jobId"], "delivered")
    record_testsuite_property(f"{channel}_delivered_s", round(time.monotonic() - started, 3))
    assert (message["channel"], message["message"]) == (channel, json.loads(body)["message"])
    assert message["createdAt"] <= message["sentAt"] <= message["deliveredAt"]


@pytest.mark.parametrize(("channel", "body"), [("sms", SMS), ("whatsapp", WHATSAPP)])
async def test_webhooks_tell_of_it_and_verify_by_both_schemes(
    owner: Client, channel: str, body: bytes
) -> None:
    async with hook(owner, ["message.sent", "message.delivered"]) as receiving:
        accepted = (await owner.request("POST", "/api/v1/messages", raw=body)).json
        sent = await receiving.wait_for(accepted["messageId"], "message.sent")
        delivered = await receiving.wait_for(accepted["messageId"], "message.delivered")
        assert receiving.names(accepted["messageId"]) == ["message.sent", "message.delivered"]
    for event, request in (("sent", sent), ("delivered", delivered)):
        receiving.verify(request)
        assert request.method == "POST"
        assert request.header("X-Infini-Reach-Event") == f"message.{event}"
        assert request.header("X-Infini-Reach-Attempt") == "1"
        told = json.loads(request.body)
        assert list(told) == ["event", "timestamp", "data"]
        assert list(told["data"])[:8] == DOCUMENTED_KEYS
        assert list(told["data"])[8:] == ADDED_KEYS
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["timestamp"])
        assert told["data"]["status"] == event
        assert told["data"]["channel"] == channel
        assert (told["data"]["from"], told["data"]["to"]) == ("+15559876543", "+1234567890")
        assert told["data"]["body"] == json.loads(body)["message"]
    compact = json.dumps(json.loads(sent.body), separators=(",", ":"), ensure_ascii=False)
    assert compact.encode() == sent.body


async def test_a_request_that_was_tampered_with_does_not_verify(owner: Client) -> None:
    async with hook(owner, ["message.delivered"]) as receiving:
        request = await receiving.wait_for(await owner.send(), "message.delivered")
    forged = replace(request, body=request.body.replace(b"+1555", b"+1666"))
    with pytest.raises(AssertionError):
        receiving.verify(forged)
    with pytest.raises(AssertionError):
        Hook(receiving.id, "whsec_AAAA", receiving.receiver).verify(request)


@pytest.mark.parametrize("channel", ["sms", "whatsapp"])
async def test_a_message_that_comes_in_is_told_and_listed(
    running: Gateway, owner: Client, channel: str
) -> None:
    text = f"Hello back via {channel}"
    async with (
        hook(owner, ["message.inbound"]) as by_name,
        hook(owner, ["message.received"]) as by_alias,
    ):
        after = await _end_of_events(owner)
        running.command(
            *("simulate", "inbound", "--from", "+15551112222", "--to", "+15559876543"),
            *("--body", text, "--channel", channel),
        )
        listed = await eventually(lambda: _inbound(owner, text), "it is listed")
        told = await by_name.wait_for(listed["id"], "message.inbound")
        aliased = await by_alias.wait_for(listed["id"], "message.received")
        events = await eventually(
            lambda: _events_of(owner, after, listed["id"]), "it is in the feed of events"
        )
        assert by_name.names(listed["id"]) == ["message.inbound"]
        assert by_alias.names(listed["id"]) == ["message.received"]
    by_name.verify(told)
    by_alias.verify(aliased)
    data = json.loads(told.body)["data"]
    assert list(data)[:8] == DOCUMENTED_KEYS
    assert json.loads(aliased.body)["data"] == data
    assert {name: data[name] for name in ("direction", "from", "to", "body", "status", "channel")} == {
        "direction": "inbound",
        "from": "+15551112222",
        "to": "+15559876543",
        "body": text,
        "status": "delivered",
        "channel": channel,
    }
    assert data["deviceId"] in {device["id"] for device in running.run["devices"]}
    assert [event["payload"]["data"] for event in events] == [data]
    assert (listed["direction"], listed["from"], listed["deviceId"]) == (
        "inbound",
        "+15551112222",
        data["deviceId"],
    )


async def _inbound(client: Client, text: str) -> dict[str, Any] | None:
    page = await client.get("/api/v1/messages?direction=inbound&from=%2B15551112222")
    return next((message for message in page["messages"] if message["message"] == text), None)


async def _end_of_events(client: Client) -> str:
    cursor = ""
    while True:
        page = await client.get(f"/api/v1/events?limit=1000&after={cursor}" if cursor else "/api/v1/events")
        if not page["events"]:
            return page["nextCursor"]
        cursor = page["nextCursor"]


async def _events_of(client: Client, after: str, message_id: str) -> list[dict[str, Any]]:
    page = await client.get(f"/api/v1/events?types=message.inbound&after={after}")
    return [event for event in page["events"] if event["payload"]["data"]["messageId"] == message_id]
