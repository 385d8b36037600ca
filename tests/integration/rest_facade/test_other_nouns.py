"""Devices, driver tokens, webhooks, deliveries and events through real HTTP and real gRPC."""

import json
from typing import Any

from infinireach.v1 import event_pb2
from tests.integration.rest_facade.conftest import Api
from tests.integration.rest_facade.stub_world import NOW, OTHER_TENANT, TENANT

DEVICE = "11111111-1111-4111-8111-111111111111"
FOREIGN_DEVICE = "22222222-2222-4222-8222-222222222222"


async def make_webhook(api: Api, **changes: object) -> str:
    """Make an endpoint; its id."""
    answer = await api.call("POST", "/api/v1/webhooks", json={"url": "https://example.com/hook", **changes})
    assert answer.status == 201, answer.json
    return str(answer.json["webhook"]["id"])


async def test_devices_show_the_numbers_that_messages_may_be_sent_from(api: Api) -> None:
    answer = await api.call("GET", "/api/v1/devices")
    (device,) = answer.json["devices"]
    assert (device["id"], device["name"], device["status"]) == (DEVICE, "Front desk", "online")
    assert device["channels"] == ["sms", "whatsapp"]
    assert device["simSlots"] == [{"slot": 1, "phoneNumber": "+15559876543", "smsReady": True}]
    assert device["lastSeenAt"] == "2024-10-25T10:30:00.123Z"
    assert (await api.call("GET", f"/api/v1/devices/{DEVICE}")).json["device"] == device


async def test_device_is_renamed_and_switched_off(api: Api) -> None:
    answer = await api.call(
        "PATCH", f"/api/v1/devices/{DEVICE}", json={"name": "Back office", "enabled": False}
    )
    assert (answer.json["device"]["name"], answer.json["device"]["enabled"]) == ("Back office", False)
    again = await api.call("PATCH", f"/api/v1/devices/{DEVICE}", json={"enabled": True})
    assert (again.json["device"]["name"], again.json["device"]["enabled"]) == ("Back office", True)


async def test_change_of_nothing_is_refused(api: Api) -> None:
    answer = await api.call("PATCH", f"/api/v1/devices/{DEVICE}", json={"name": None})
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")


async def test_removed_device_tells_what_became_of_its_queue(api: Api) -> None:
    await api.send()
    answer = await api.call("DELETE", f"/api/v1/devices/{DEVICE}")
    assert answer.json == {"success": True, "failedMessages": 1}
    assert (await api.call("GET", f"/api/v1/devices/{DEVICE}")).status == 404


async def test_device_of_another_tenant_looks_like_none(api: Api) -> None:
    for method, body in (("GET", None), ("PATCH", {"name": "Mine"}), ("DELETE", None)):
        answer = await api.call(method, f"/api/v1/devices/{FOREIGN_DEVICE}", json=body)
        assert (answer.status, answer.json["code"]) == (404, "not_found")


async def test_driver_token_is_shown_once(api: Api) -> None:
    made = await api.call("POST", "/api/v1/driver-tokens", json={"name": "Office modem"})
    assert made.status == 201
    token = made.json["driverToken"]
    assert token["token"].startswith("ird_")
    listed = await api.call("GET", "/api/v1/driver-tokens")
    assert listed.json["driverTokens"] == [
        {name: token[name] for name in ("id", "name", "createdAt", "lastUsedAt")}
    ]
    assert (await api.call("DELETE", f"/api/v1/driver-tokens/{token['id']}", key="key-of-b")).status == 404
    assert (await api.call("DELETE", f"/api/v1/driver-tokens/{token['id']}")).json == {"success": True}
    assert (await api.call("DELETE", f"/api/v1/driver-tokens/{token['id']}")).status == 404


async def test_webhook_shows_its_secret_only_when_it_is_made(api: Api) -> None:
    made = await api.call("POST", "/api/v1/webhooks", json={"url": "https://example.com/hook?key=a%20b"})
    webhook = made.json["webhook"]
    assert webhook.pop("secret").startswith("whsec_")
    assert (webhook["url"], webhook["events"], webhook["enabled"]) == (
        "https://example.com/hook?key=a%20b",
        [],
        True,
    )
    shown = await api.call("GET", f"/api/v1/webhooks/{webhook['id']}")
    assert shown.json == {"success": True, "webhook": webhook}
    assert (await api.call("GET", "/api/v1/webhooks")).json["webhooks"] == [webhook]


async def test_webhook_is_changed_only_where_the_body_says(api: Api) -> None:
    webhook = await make_webhook(api, events=["message.sent"], description="first")
    answer = await api.call(
        "PATCH", f"/api/v1/webhooks/{webhook}", json={"timeoutSeconds": 3, "ordered": True, "enabled": False}
    )
    changed = answer.json["webhook"]
    assert (changed["timeoutSeconds"], changed["ordered"], changed["enabled"]) == (3, True, False)
    assert (changed["events"], changed["description"]) == (["message.sent"], "first")
    enabled = await api.call("POST", f"/api/v1/webhooks/{webhook}/enable")
    assert enabled.json["webhook"]["enabled"] is True


async def test_webhook_is_enabled_with_or_without_a_body(api: Api) -> None:
    webhook = await make_webhook(api)
    bodies: list[dict[str, Any]] = [{}, {"json": {}}, {"json": {"skipBacklog": True}}, {"data": b""}]
    for options in bodies:
        answer = await api.call("POST", f"/api/v1/webhooks/{webhook}/enable", **options)
        assert answer.status == 200, answer.json
    faulty = await api.call("POST", f"/api/v1/webhooks/{webhook}/enable", json={"skipBacklog": "yes"})
    assert faulty.status == 400


async def test_removed_webhook_is_gone(api: Api) -> None:
    webhook = await make_webhook(api)
    assert (await api.call("DELETE", f"/api/v1/webhooks/{webhook}")).json == {"success": True}
    assert (await api.call("GET", f"/api/v1/webhooks/{webhook}")).status == 404


async def test_test_of_a_webhook_tells_how_it_went_and_not_what_was_answered(api: Api) -> None:
    webhook = await make_webhook(api)
    answer = await api.call("POST", f"/api/v1/webhooks/{webhook}/test")
    assert answer.json["success"] is True
    assert answer.json["attempt"]["httpStatus"] == 204
    assert "response" not in answer.json["attempt"]


async def test_too_many_tests_are_rate_limited(api: Api) -> None:
    webhook = await make_webhook(api, url="https://busy.example.com")
    answer = await api.call("POST", f"/api/v1/webhooks/{webhook}/test")
    assert (answer.status, answer.json["code"]) == (429, "rate_limited")
    assert answer.headers["Retry-After"] == "60"


async def test_more_webhooks_than_an_account_may_have_are_refused(api: Api) -> None:
    for _ in range(50):
        await make_webhook(api)
    answer = await api.call("POST", "/api/v1/webhooks", json={"url": "https://example.com"})
    assert (answer.status, answer.json["code"]) == (409, "too_many_webhooks")


async def test_delivery_is_listed_shown_with_its_attempts_and_repeated(api: Api) -> None:
    webhook = await make_webhook(api)
    page = await api.call("GET", f"/api/v1/webhooks/{webhook}/deliveries?limit=10&status=pending")
    (delivery,) = page.json["deliveries"]
    assert (delivery["webhookId"], delivery["status"], delivery["attempts"]) == (webhook, "pending", 1)
    shown = await api.call("GET", f"/api/v1/deliveries/{delivery['id']}")
    assert shown.json["delivery"] == delivery
    assert shown.json["attempts"][0]["error"] == "timeout"
    assert shown.json["attempts"][0]["httpStatus"] is None
    again = await api.call("POST", f"/api/v1/deliveries/{delivery['id']}/redeliver")
    assert again.json == {"success": True, "delivery": delivery}
    assert (await api.call("GET", f"/api/v1/deliveries/{delivery['id']}", key="key-of-b")).status == 404


async def test_events_are_pulled_from_where_the_client_was(api: Api) -> None:
    for number, owner in enumerate([TENANT, OTHER_TENANT, TENANT, TENANT]):
        body = json.dumps({"event": "message.sent", "number": number}).encode()
        api.world.events.append((
            owner,
            event_pb2.Event(id=f"{number:024x}", type="message.sent", create_time=NOW, body=body),
        ))
    first = (await api.call("GET", "/api/v1/events?limit=2")).json
    assert [event["payload"]["number"] for event in first["events"]] == [0, 2]
    second = (await api.call("GET", f"/api/v1/events?after={first['nextCursor']}")).json
    assert [event["payload"]["number"] for event in second["events"]] == [3]
    third = (await api.call("GET", f"/api/v1/events?after={second['nextCursor']}")).json
    assert third == {"success": True, "events": [], "nextCursor": second["nextCursor"]}


async def test_two_names_of_one_event_are_refused(api: Api) -> None:
    events = ["message.inbound", "message.received"]
    answer = await api.call("POST", "/api/v1/webhooks", json={"url": "https://example.com", "events": events})
    assert answer.json["details"][0]["field"] == "events"
