"""WebhooksService: a tenant's endpoints, what was delivered to them, and the feed of events.

Owns the walk of one call: validate, one use case, convert. The rules are in core.webhooks, core.delivery_log,
core.event_feed and core.api.validate_webhooks; the test of an endpoint is in core.api.webhook_tester.
"""

# ruff: noqa: N802 - methods are named as in the proto

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from core import delivery_log, event_feed, webhooks
from core.api import convert_webhooks as convert
from core.api import paging, validate, validate_webhooks
from core.api.guard import Caller, Identity, rpc
from core.api.webhook_tester import WebhookTester
from core.clock import Clock
from core.delivery.egress import EgressPolicy
from core.delivery.subscriptions import join, names_by_type
from core.delivery.target import InvalidTarget, parse_target
from core.store.engine import Store
from core.store.rows import WebhookRow
from core.vault import Vault
from infinireach.v1 import webhooks_service_pb2 as pb
from infinireach.v1 import webhooks_service_pb2_grpc as pb_grpc

Result = TypeVar("Result")


class WebhooksService(pb_grpc.WebhooksServiceServicer):
    """See webhooks_service.proto.

    `policy` says which URLs are allowed, `wake` is told of endpoints for which something became due, and
    `timeout_default_s` is for endpoints that ask for none.
    """

    def __init__(
        self,
        identity: Identity,
        store: Store,
        clock: Clock,
        *,
        vault: Vault,
        policy: EgressPolicy,
        tester: WebhookTester,
        wake: Callable[[Iterable[str]], None],
        timeout_default_s: int,
    ) -> None:
        self.identity = identity
        self._store = store
        self._clock = clock
        self._vault = vault
        self._policy = policy
        self._tester = tester
        self._wake = wake
        self._timeout_default_s = timeout_default_s
        self._settling: set[asyncio.Task[Any]] = set()

    @rpc(scope="webhooks")
    async def CreateWebhook(
        self, request: pb.CreateWebhookRequest, caller: Caller
    ) -> pb.CreateWebhookResponse:
        """Makes an endpoint; the answer holds its secret."""
        new = validate_webhooks.new_webhook(
            request.webhook,
            caller.tenant_id,
            url_issue=self._url_issue,
            timeout_default_s=self._timeout_default_s,
        )
        row, secret = await self._store.run(webhooks.create_webhook, new, self._vault, self._clock.now_ms())
        return pb.CreateWebhookResponse(webhook=convert.webhook(row), secret=secret)

    @rpc(scope="webhooks")
    async def GetWebhook(self, request: pb.GetWebhookRequest, caller: Caller) -> pb.GetWebhookResponse:
        """One endpoint."""
        webhook_id = validate.id_of("webhook", "webhook_id", request.webhook_id)
        row = await self._store.read(webhooks.get_webhook, caller.tenant_id, webhook_id)
        return pb.GetWebhookResponse(webhook=convert.webhook(row))

    @rpc(scope="webhooks")
    async def ListWebhooks(self, request: pb.ListWebhooksRequest, caller: Caller) -> pb.ListWebhooksResponse:
        """The tenant's endpoints."""
        rows = await self._store.read(webhooks.list_webhooks, caller.tenant_id)
        return pb.ListWebhooksResponse(webhooks=map(convert.webhook, rows))

    @rpc(scope="webhooks")
    async def UpdateWebhook(
        self, request: pb.UpdateWebhookRequest, caller: Caller
    ) -> pb.UpdateWebhookResponse:
        """Changes an endpoint."""
        change = validate_webhooks.webhook_change(
            request, url_issue=self._url_issue, timeout_default_s=self._timeout_default_s
        )
        row = await self._store.run(webhooks.update_webhook, caller.tenant_id, change, self._clock.now_ms())
        if change.enabled is None:
            self._wake([row.id])
        else:
            await self._to_the_end(self._settle_backlog(row.id))
        return pb.UpdateWebhookResponse(webhook=convert.webhook(row))

    @rpc(scope="webhooks")
    async def DeleteWebhook(
        self, request: pb.DeleteWebhookRequest, caller: Caller
    ) -> pb.DeleteWebhookResponse:
        """Removes an endpoint and what waits for it."""
        webhook_id = validate.id_of("webhook", "webhook_id", request.webhook_id)
        await self._store.run(webhooks.delete_webhook, caller.tenant_id, webhook_id)
        await self._to_the_end(self._settle_backlog(webhook_id))
        return pb.DeleteWebhookResponse()

    @rpc(scope="webhooks")
    async def EnableWebhook(
        self, request: pb.EnableWebhookRequest, caller: Caller
    ) -> pb.EnableWebhookResponse:
        """Switches an endpoint on again."""
        webhook_id = validate.id_of("webhook", "webhook_id", request.webhook_id)
        row = await self._to_the_end(
            self._enable(caller.tenant_id, webhook_id, skip_backlog=request.skip_backlog)
        )
        return pb.EnableWebhookResponse(webhook=convert.webhook(row))

    @rpc(scope="webhooks")
    async def TestWebhook(self, request: pb.TestWebhookRequest, caller: Caller) -> pb.TestWebhookResponse:
        """Posts a test event once and says how it went."""
        webhook_id = validate.id_of("webhook", "webhook_id", request.webhook_id)
        row = await self._store.read(webhooks.get_webhook, caller.tenant_id, webhook_id)
        at_ms = self._clock.now_ms()
        result = await self._tester.test(row, at_ms)
        success = result.status is not None and 200 <= result.status <= 299
        return pb.TestWebhookResponse(success=success, attempt=convert.attempt_of_test(result, at_ms))

    @rpc(scope="webhooks")
    async def ListDeliveries(
        self, request: pb.ListDeliveriesRequest, caller: Caller
    ) -> pb.ListDeliveriesResponse:
        """One page of an endpoint's deliveries, newest first."""
        wanted = validate_webhooks.list_deliveries(request)
        limit = paging.page_size(request.page_size)
        rows, before_id = await self._store.read(
            delivery_log.list_deliveries, caller.tenant_id, wanted, limit
        )
        return pb.ListDeliveriesResponse(
            deliveries=map(convert.delivery, rows),
            next_page_token=paging.encode(before_id) if before_id else "",
        )

    @rpc(scope="webhooks")
    async def GetDelivery(self, request: pb.GetDeliveryRequest, caller: Caller) -> pb.GetDeliveryResponse:
        """One delivery with its attempts."""
        delivery_id = validate.id_of("delivery", "delivery_id", request.delivery_id)
        row, attempts = await self._store.read(delivery_log.get_delivery, caller.tenant_id, delivery_id)
        return pb.GetDeliveryResponse(delivery=convert.delivery(row), attempts=map(convert.attempt, attempts))

    @rpc(scope="webhooks")
    async def RedeliverDelivery(
        self, request: pb.RedeliverDeliveryRequest, caller: Caller
    ) -> pb.RedeliverDeliveryResponse:
        """Makes a delivery due now."""
        delivery_id = validate.id_of("delivery", "delivery_id", request.delivery_id)
        row = await self._store.run(
            delivery_log.redeliver, caller.tenant_id, delivery_id, self._clock.now_ms()
        )
        self._wake([row.webhook_id])
        return pb.RedeliverDeliveryResponse(delivery=convert.delivery(row))

    @rpc(scope="messages:read")
    async def ListEvents(self, request: pb.ListEventsRequest, caller: Caller) -> pb.ListEventsResponse:
        """Events after a cursor."""
        wanted = validate_webhooks.list_events(request)
        rows, position = await self._store.read(event_feed.read_feed, caller.tenant_id, wanted)
        names = names_by_type(join(wanted.types))
        return pb.ListEventsResponse(
            events=[convert.event(row, names) for row in rows], next_cursor=paging.encode_cursor(position)
        )

    def _url_issue(self, url: str) -> str | None:
        """Why an endpoint may not have this URL; None if it may."""
        try:
            parse_target(url, self._policy)
        except InvalidTarget as refused:
            return refused.issue
        return None

    async def _to_the_end(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Work of several transactions; goes on even if the caller hangs up meanwhile."""
        task = asyncio.create_task(work, name="settle a backlog")
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        return await asyncio.shield(task)

    async def _enable(self, tenant_id: str, webhook_id: str, *, skip_backlog: bool) -> WebhookRow:
        """Skips first: nothing that is to be skipped may be waiting once the endpoint is on."""
        while skip_backlog and await self._store.run(
            webhooks.skip_paused, tenant_id, webhook_id, self._clock.now_ms()
        ):
            pass
        row = await self._store.run(webhooks.enable_webhook, tenant_id, webhook_id, self._clock.now_ms())
        await self._settle_backlog(webhook_id)
        return row

    async def _settle_backlog(self, webhook_id: str) -> None:
        """Bring what waits in line with its endpoint, step by step, so that other transactions have their turn."""
        try:
            while await self._store.run(webhooks.settle_backlog, webhook_id, self._clock.now_ms()):
                pass
        finally:
            self._wake([webhook_id])
