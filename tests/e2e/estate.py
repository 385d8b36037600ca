"""What the demo tenant has, full of canary strings, for tests of who may see it.

Owns making one of everything, the ids, and the check that an answer shows nothing of it.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.gateway import Client, Gateway, eventually
from tests.e2e.hooks import hook

CANARY = "canary-7f3a19"
RECIPIENT = "+15557319246"


@dataclass(slots=True)
class Estate:
    """One of everything, by path parameter of the REST API."""

    ids: dict[str, list[str]]
    key_id: str
    recipient: str = RECIPIENT
    message_cursor: str = ""
    event_cursor: str = ""
    canaries: list[str] = field(default_factory=list[str])

    def assert_unseen(self, answer: bytes | str) -> None:
        """Fail if an answer shows a canary or an id."""
        text = answer.decode() if isinstance(answer, bytes) else answer
        shown = [canary for canary in self.canaries if canary in text]
        assert shown == [], text

    async def assert_intact(self, owner: Client) -> None:
        """Fail if anything was changed by somebody else."""
        for device_id in self.ids["deviceId"]:
            device = (await owner.get(f"/api/v1/devices/{device_id}"))["device"]
            assert CANARY in device["name"]
            assert device["enabled"] is True
        for webhook_id in self.ids["webhookId"]:
            webhook = (await owner.get(f"/api/v1/webhooks/{webhook_id}"))["webhook"]
            assert CANARY in webhook["description"]
            assert webhook["enabled"] is True
        tokens = (await owner.get("/api/v1/driver-tokens"))["driverTokens"]
        assert set(self.ids["driverTokenId"]) <= {token["id"] for token in tokens}
        for message_id in self.ids["messageId"]:
            found = await owner.get(f"/api/v1/messages/{message_id}")
            assert found["status"] in {"delivered", "scheduled", "queued", "sent"}
        for delivery_id in self.ids["deliveryId"]:
            found = await owner.get(f"/api/v1/deliveries/{delivery_id}")
            assert len(found["attempts"]) == 1


async def make_estate(running: Gateway, owner: Client) -> Estate:
    """Make one of everything in the demo tenant."""
    device_ids = [device["id"] for device in running.run["devices"]]
    for number, device_id in enumerate(device_ids):
        name = {"name": f"{CANARY} phone {number}"}
        assert (await owner.request("PATCH", f"/api/v1/devices/{device_id}", name)).status == 200
    token = (await owner.post("/api/v1/driver-tokens", {"name": f"{CANARY} token"}))["driverToken"]
    message_id = await owner.send(to=RECIPIENT, message=f"{CANARY} text", externalId=f"{CANARY}-{id(owner)}")
    webhook_id, delivery_ids = await _webhook(owner)
    await _inbound(running, owner)
    page = await owner.get("/api/v1/messages?limit=1")
    events = await owner.get("/api/v1/events?limit=1")
    ids = {
        "messageId": [message_id],
        "deviceId": device_ids,
        "driverTokenId": [token["id"]],
        "webhookId": [webhook_id],
        "deliveryId": delivery_ids,
    }
    return Estate(
        ids,
        key_id=owner.key.removeprefix("irk_")[:8],
        message_cursor=page["nextCursor"],
        event_cursor=events["nextCursor"],
        canaries=[CANARY, RECIPIENT, token["token"], *(each for group in ids.values() for each in group)],
    )


async def _webhook(owner: Client) -> tuple[str, list[str]]:
    """A webhook that outlives its receiver, and a delivery of it."""
    async with hook(owner, ["message.delivered"]) as receiving:
        body = {
            "url": f"{receiving.receiver.url}?{CANARY}",
            "description": f"{CANARY} hook",
            "events": ["message.delivered"],
        }
        webhook: dict[str, Any] = (await owner.post("/api/v1/webhooks", body))["webhook"]
        await owner.send(to=RECIPIENT, message=f"{CANARY} delivered")

        async def look() -> list[str]:
            page = await owner.get(f"/api/v1/webhooks/{webhook['id']}/deliveries?status=delivered")
            return [delivery["id"] for delivery in page["deliveries"]]

        deliveries = await eventually(look, "the webhook got its delivery")
    # So that later deliveries of other tests do not go where nobody listens any more.
    quiet = await owner.request(
        "PATCH", f"/api/v1/webhooks/{webhook['id']}", {"events": ["webhook.disabled"]}
    )
    assert quiet.status == 200, json.dumps(quiet.json)
    return webhook["id"], deliveries


async def _inbound(running: Gateway, owner: Client) -> None:
    running.command(
        *("simulate", "inbound", "--from", RECIPIENT, "--to", "+15559876543"),
        *("--body", f"{CANARY} inbound"),
    )

    async def look() -> list[Any]:
        page = await owner.get(f"/api/v1/messages?direction=inbound&from=%2B{RECIPIENT[1:]}")
        return page["messages"]

    await eventually(look, "the message came in")
