"""A customer's webhook in these tests: a receiver that is registered with the gateway.

Owns the registration, the wait for events, and both ways to verify a signature as a receiver does.
"""

import hashlib
import hmac
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from standardwebhooks import Webhook

from tests.e2e.gateway import WAIT_S_MAX, Client, until
from tests.fakes.webhook_receiver import ReceivedRequest, WebhookReceiver


@dataclass(frozen=True, slots=True)
class Hook:
    """A registered endpoint and what it received."""

    id: str
    secret: str
    receiver: WebhookReceiver

    def events(self, message_id: str) -> list[dict[str, Any]]:
        """The bodies about one message, in the order in which they came."""
        bodies = [json.loads(request.body) for request in self.receiver.requests]
        return [body for body in bodies if body["data"].get("messageId") == message_id]

    def names(self, message_id: str) -> list[str]:
        """The names of the events about one message, in the order in which they came."""
        return [body["event"] for body in self.events(message_id)]

    def request(self, message_id: str, event: str) -> ReceivedRequest | None:
        """The request that told of an event of a message."""
        for request in self.receiver.requests:
            body = json.loads(request.body)
            if body["event"] == event and body["data"].get("messageId") == message_id:
                return request
        return None

    async def wait_for(self, message_id: str, event: str, *, within_s: float = WAIT_S_MAX) -> ReceivedRequest:
        """The request that tells of an event of a message, as soon as it came."""
        return await until(
            lambda: self.request(message_id, event), f"{event} of {message_id}", within_s=within_s
        )

    def verify(self, request: ReceivedRequest) -> None:
        """Verify a request in both ways; the official library raises what fails the test."""
        expected = hmac.new(self.secret.encode(), request.body, hashlib.sha256).hexdigest()
        for name in ("X-Infini-Reach-Signature", "X-Webhook-Signature"):
            assert request.header(name) == expected
        headers = {name.lower(): value for name, value in request.headers}
        Webhook(self.secret).verify(request.body, headers)


@asynccontextmanager
async def hook(client: Client, events: Sequence[str] = ()) -> AsyncGenerator[Hook]:
    """A receiver that gets these events of the client's tenant, all if none is named."""
    async with WebhookReceiver() as receiver:
        body = {"url": receiver.url, "events": list(events)}
        made = (await client.post("/api/v1/webhooks", body))["webhook"]
        try:
            yield Hook(made["id"], made["secret"], receiver)
        finally:
            await client.request("DELETE", f"/api/v1/webhooks/{made['id']}")
