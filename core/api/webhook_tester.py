"""The test of an endpoint: one `webhook.test` event, sent at once, over the same path as every delivery.

Owns the event's body and how often a tenant may test. Stores nothing, and never gives the answer's body away:
a tenant chooses the URL, and must not read with it what only this machine can reach.
"""

from collections import deque
from collections.abc import Awaitable, Callable

from core.clock import Clock
from core.delivery.claims import ClaimedDelivery, Endpoint
from core.delivery.sender import AttemptResult, WebhookRequest
from core.delivery.signer import Signer
from core.errors import TestRateLimited
from core.ids import new_id
from core.payloads import render
from core.store.rows import WebhookRow
from core.vault import Vault
from core.webhooks import open_secret

EVENT_TYPE = "webhook.test"
MESSAGE = "This is a test of your webhook. No message was sent or received."

TESTS_MAX = 10
WINDOW_S = 60.0
"""Tests of one tenant in this time, in this process."""

TENANTS_MAX = 10_000
"""Tenants whose tests are remembered; beyond it those whose window has passed are forgotten."""


class WebhookTester:
    """Tests endpoints. `send` makes one attempt: core.delivery.sender.WebhookSender.send."""

    def __init__(
        self, send: Callable[[WebhookRequest], Awaitable[AttemptResult]], vault: Vault, clock: Clock
    ) -> None:
        self._send = send
        self._vault = vault
        self._clock = clock
        self._tests_s: dict[str, deque[float]] = {}

    async def test(self, row: WebhookRow, now_ms: int) -> AttemptResult:
        """Send a test event to an endpoint, switched on or off. Raises TestRateLimited."""
        self._count(row.tenant_id)
        return await self._send(self._request(row, now_ms))

    def _count(self, tenant_id: str) -> None:
        now_s = self._clock.monotonic_s()
        if len(self._tests_s) >= TENANTS_MAX:
            self._tests_s = {
                tenant: tests for tenant, tests in self._tests_s.items() if tests[-1] > now_s - WINDOW_S
            }
        tests = self._tests_s.setdefault(tenant_id, deque(maxlen=TESTS_MAX))
        if len(tests) == TESTS_MAX and tests[0] > now_s - WINDOW_S:
            raise TestRateLimited(f"At most {TESTS_MAX} tests a minute; wait a little.")
        tests.append(now_s)

    def _request(self, row: WebhookRow, now_ms: int) -> WebhookRequest:
        data = {"webhookId": row.id, "message": MESSAGE}
        endpoint = Endpoint(
            webhook_id=row.id,
            tenant_id=row.tenant_id,
            url=row.url,
            secret=row.secret,
            version=row.version,
            timeout_s=row.timeout_s,
            ordered=row.ordered,
        )
        delivery = ClaimedDelivery(
            delivery_id=new_id(now_ms),
            endpoint=endpoint,
            event_id=new_id(now_ms),
            event_type=EVENT_TYPE,
            message_id=None,
            attempt=1,
            replay=0,
            due_ms=now_ms,
            body=render(EVENT_TYPE, now_ms, data),
            traceparent=None,
        )
        signer = Signer(lambda one: [open_secret(self._vault, one.secret, one.tenant_id, one.webhook_id)])
        return signer.request(delivery, now_ms)
