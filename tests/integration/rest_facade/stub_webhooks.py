"""The stub core's webhooks, deliveries and events."""

# ruff: noqa: N802 - methods are named as in the proto and do what it says

from collections.abc import Iterable

import grpc

from infinireach.v1 import webhook_pb2, webhooks_service_pb2, webhooks_service_pb2_grpc
from tests.integration.rest_facade.stub_world import NOW, Context, Guarded, refuse

WEBHOOKS_MAX = 50


class Webhooks(Guarded, webhooks_service_pb2_grpc.WebhooksServiceServicer):
    """Webhooks."""

    async def CreateWebhook(
        self, request: webhooks_service_pb2.CreateWebhookRequest, context: Context
    ) -> webhooks_service_pb2.CreateWebhookResponse:
        tenant_id = await self.enter(context)
        await self._check_events(request.webhook.events, context)
        if sum(owner == tenant_id for owner, _ in self.world.webhooks.values()) >= WEBHOOKS_MAX:
            await refuse(
                context,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "The account has 50 webhooks, as many as it may have.",
                reason="TOO_MANY_WEBHOOKS",
            )
        webhook = webhook_pb2.Webhook()
        webhook.CopyFrom(request.webhook)
        webhook.id = self.world.new_id()
        webhook.timeout_s = webhook.timeout_s or 10
        webhook.create_time.CopyFrom(NOW)
        webhook.update_time.CopyFrom(NOW)
        self.world.webhooks[webhook.id] = (tenant_id, webhook)
        delivery = webhook_pb2.Delivery(
            id=self.world.new_id(),
            event_id="e" * 24,
            event_type="message.delivered",
            webhook_id=webhook.id,
            state=webhook_pb2.DELIVERY_STATE_PENDING,
            attempts=1,
            next_attempt_time=NOW,
            create_time=NOW,
        )
        self.world.deliveries[delivery.id] = (tenant_id, delivery)
        return webhooks_service_pb2.CreateWebhookResponse(webhook=webhook, secret="whsec_secret-of-the-tests")

    async def GetWebhook(
        self, request: webhooks_service_pb2.GetWebhookRequest, context: Context
    ) -> webhooks_service_pb2.GetWebhookResponse:
        return webhooks_service_pb2.GetWebhookResponse(webhook=await self._own(request.webhook_id, context))

    async def ListWebhooks(
        self, request: webhooks_service_pb2.ListWebhooksRequest, context: Context
    ) -> webhooks_service_pb2.ListWebhooksResponse:
        tenant_id = await self.enter(context)
        own = [webhook for owner, webhook in self.world.webhooks.values() if owner == tenant_id]
        return webhooks_service_pb2.ListWebhooksResponse(webhooks=own)

    async def UpdateWebhook(
        self, request: webhooks_service_pb2.UpdateWebhookRequest, context: Context
    ) -> webhooks_service_pb2.UpdateWebhookResponse:
        webhook = await self._own(request.webhook.id, context)
        await self._check_events(request.webhook.events, context)
        for name in request.update_mask.paths:
            if name == "events":
                webhook.events[:] = request.webhook.events
            else:
                setattr(webhook, name, getattr(request.webhook, name))
        return webhooks_service_pb2.UpdateWebhookResponse(webhook=webhook)

    async def DeleteWebhook(
        self, request: webhooks_service_pb2.DeleteWebhookRequest, context: Context
    ) -> webhooks_service_pb2.DeleteWebhookResponse:
        webhook = await self._own(request.webhook_id, context)
        del self.world.webhooks[webhook.id]
        return webhooks_service_pb2.DeleteWebhookResponse()

    async def EnableWebhook(
        self, request: webhooks_service_pb2.EnableWebhookRequest, context: Context
    ) -> webhooks_service_pb2.EnableWebhookResponse:
        webhook = await self._own(request.webhook_id, context)
        webhook.enabled = True
        return webhooks_service_pb2.EnableWebhookResponse(webhook=webhook)

    async def TestWebhook(
        self, request: webhooks_service_pb2.TestWebhookRequest, context: Context
    ) -> webhooks_service_pb2.TestWebhookResponse:
        webhook = await self._own(request.webhook_id, context)
        if "busy" in webhook.url:
            await refuse(
                context,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "Too many test deliveries; wait a minute.",
                reason="TEST_RATE_LIMITED",
            )
        attempt = webhook_pb2.DeliveryAttempt(number=1, time=NOW, status=204, duration_ms=12)
        return webhooks_service_pb2.TestWebhookResponse(success=True, attempt=attempt)

    async def ListDeliveries(
        self, request: webhooks_service_pb2.ListDeliveriesRequest, context: Context
    ) -> webhooks_service_pb2.ListDeliveriesResponse:
        webhook = await self._own(request.webhook_id, context)
        found = [
            delivery
            for _, delivery in self.world.deliveries.values()
            if delivery.webhook_id == webhook.id and request.state in {0, delivery.state}
        ]
        return webhooks_service_pb2.ListDeliveriesResponse(deliveries=found)

    async def GetDelivery(
        self, request: webhooks_service_pb2.GetDeliveryRequest, context: Context
    ) -> webhooks_service_pb2.GetDeliveryResponse:
        delivery = await self._own_delivery(request.delivery_id, context)
        attempt = webhook_pb2.DeliveryAttempt(number=1, time=NOW, error="timeout", duration_ms=10_000)
        return webhooks_service_pb2.GetDeliveryResponse(delivery=delivery, attempts=[attempt])

    async def RedeliverDelivery(
        self, request: webhooks_service_pb2.RedeliverDeliveryRequest, context: Context
    ) -> webhooks_service_pb2.RedeliverDeliveryResponse:
        delivery = await self._own_delivery(request.delivery_id, context)
        return webhooks_service_pb2.RedeliverDeliveryResponse(delivery=delivery)

    async def ListEvents(
        self, request: webhooks_service_pb2.ListEventsRequest, context: Context
    ) -> webhooks_service_pb2.ListEventsResponse:
        tenant_id = await self.enter(context)
        if request.after and not (request.after.isascii() and request.after.isdigit()):
            await refuse(
                context,
                grpc.StatusCode.INVALID_ARGUMENT,
                "after: is no cursor",
                reason="INVALID_ARGUMENT",
                violations=[("after", "is not a cursor that an earlier answer gave")],
            )
        own = [event for owner, event in self.world.events if owner == tenant_id]
        start = int(request.after or 0)
        page = own[start : start + (request.page_size or 100)]
        wanted = [event for event in page if not request.types or event.type in request.types]
        return webhooks_service_pb2.ListEventsResponse(events=wanted, next_cursor=str(start + len(page)))

    async def _check_events(self, events: Iterable[str], context: Context) -> None:
        if {"message.inbound", "message.received"} <= set(events):
            await refuse(
                context,
                grpc.StatusCode.INVALID_ARGUMENT,
                "events: two names of one event",
                reason="INVALID_ARGUMENT",
                violations=[("webhook.events", "are two names of one event; choose one")],
            )

    async def _own(self, webhook_id: str, context: Context) -> webhook_pb2.Webhook:
        tenant_id = await self.enter(context)
        owner, webhook = self.world.webhooks.get(webhook_id, ("", webhook_pb2.Webhook()))
        if owner != tenant_id:
            await self.not_found(context)
        return webhook

    async def _own_delivery(self, delivery_id: str, context: Context) -> webhook_pb2.Delivery:
        tenant_id = await self.enter(context)
        owner, delivery = self.world.deliveries.get(delivery_id, ("", webhook_pb2.Delivery()))
        if owner != tenant_id:
            await self.not_found(context)
        return delivery
