"""Webhooks: the endpoints that events are posted to.

Owns the handlers under /api/v1/webhooks and what documents them.
"""

from typing import Any

from infinireach.v1 import webhooks_service_pb2
from rest_facade import parse, render, rpcs
from rest_facade.answers import json_answer
from rest_facade.call import Call
from rest_facade.field_tables import DELIVERY_STATUSES, ENABLE_WEBHOOK_FIELDS, LIST_DELIVERIES_FIELDS
from rest_facade.fields import read_query, require_fields
from rest_facade.route import Body, Route, Success
from rest_facade.wire import Answer

NEW_WEBHOOK_EXAMPLE = {
    "url": "https://example.com/hooks/infini-reach",
    "events": ["message.inbound", "message.delivered", "message.failed"],
}
_WEBHOOK_ID = {"webhookId": "$response.body#/webhook/id"}


async def create(call: Call) -> Answer:
    """Make an endpoint; its secret is shown only here."""
    answer = await call.core.call(rpcs.CREATE_WEBHOOK, parse.new_webhook(call.body), call)
    webhook = {**render.webhook(answer.webhook), "secret": answer.secret}
    return json_answer(201, {"success": True, "webhook": webhook})


async def show_list(call: Call) -> Answer:
    """All endpoints of the account, oldest first."""
    answer = await call.core.call(rpcs.LIST_WEBHOOKS, webhooks_service_pb2.ListWebhooksRequest(), call)
    webhooks = [render.webhook(webhook) for webhook in answer.webhooks]
    return json_answer(200, {"success": True, "webhooks": webhooks})


async def show(call: Call) -> Answer:
    """One endpoint."""
    request = webhooks_service_pb2.GetWebhookRequest(webhook_id=_id(call))
    answer = await call.core.call(rpcs.GET_WEBHOOK, request, call)
    return _webhook_answer(answer)


async def change(call: Call) -> Answer:
    """Change an endpoint."""
    answer = await call.core.call(rpcs.UPDATE_WEBHOOK, parse.webhook_update(_id(call), call.body), call)
    return _webhook_answer(answer)


async def remove(call: Call) -> Answer:
    """Remove an endpoint and what waits for it."""
    request = webhooks_service_pb2.DeleteWebhookRequest(webhook_id=_id(call))
    await call.core.call(rpcs.DELETE_WEBHOOK, request, call)
    return json_answer(200, {"success": True})


async def try_out(call: Call) -> Answer:
    """Post a test event once and say how it went."""
    request = webhooks_service_pb2.TestWebhookRequest(webhook_id=_id(call))
    answer = await call.core.call(rpcs.TEST_WEBHOOK, request, call)
    attempt = render.attempt(answer.attempt, with_response=False)
    return json_answer(200, {"success": answer.success, "attempt": attempt})


async def enable(call: Call) -> Answer:
    """Switch an endpoint on again."""
    values = require_fields(ENABLE_WEBHOOK_FIELDS, call.body)
    request = webhooks_service_pb2.EnableWebhookRequest(
        webhook_id=_id(call), skip_backlog=values.get("skipBacklog", False)
    )
    answer = await call.core.call(rpcs.ENABLE_WEBHOOK, request, call)
    return _webhook_answer(answer)


async def show_deliveries(call: Call) -> Answer:
    """A page of an endpoint's deliveries, newest first."""
    query = read_query(LIST_DELIVERIES_FIELDS, call.request.query_string)
    request = webhooks_service_pb2.ListDeliveriesRequest(
        webhook_id=_id(call),
        page_size=query.get("limit", 0),
        page_token=query.get("cursor", ""),
        state=DELIVERY_STATUSES[query["status"]] if "status" in query else None,
    )
    answer = await call.core.call(rpcs.LIST_DELIVERIES, request, call)
    deliveries = [render.delivery(delivery) for delivery in answer.deliveries]
    return json_answer(
        200, {"success": True, "deliveries": deliveries, "nextCursor": answer.next_page_token or None}
    )


def _id(call: Call) -> str:
    return parse.record_id(call.path["webhookId"])


def _webhook_answer(answer: Any) -> Answer:
    return json_answer(200, {"success": True, "webhook": render.webhook(answer.webhook)})


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/webhooks",
        handler=create,
        operation="createWebhook",
        tag="Webhooks",
        summary="Make a webhook",
        description="The answer holds the secret that signs its requests; it is shown once. At most 50 an account.",
        scope="webhooks",
        body=Body("NewWebhook", NEW_WEBHOOK_EXAMPLE),
        success={201: Success("The webhook with its secret.", "WebhookCreated")},
        errors=("invalid_request", "too_many_webhooks", "outcome_unknown"),
        links={
            "Get": {"operationId": "getWebhook", "parameters": _WEBHOOK_ID},
            "Deliveries": {"operationId": "listDeliveries", "parameters": _WEBHOOK_ID},
            "Delete": {"operationId": "deleteWebhook", "parameters": _WEBHOOK_ID},
        },
    ),
    Route(
        method="GET",
        path="/api/v1/webhooks",
        handler=show_list,
        operation="listWebhooks",
        tag="Webhooks",
        summary="List webhooks",
        scope="webhooks",
        success={200: Success("The webhooks, oldest first.", "WebhookList")},
    ),
    Route(
        method="GET",
        path="/api/v1/webhooks/{webhookId}",
        handler=show,
        operation="getWebhook",
        tag="Webhooks",
        summary="Look at a webhook",
        scope="webhooks",
        success={200: Success("The webhook.", "WebhookAnswer")},
        errors=("not_found",),
    ),
    Route(
        method="PATCH",
        path="/api/v1/webhooks/{webhookId}",
        handler=change,
        operation="updateWebhook",
        tag="Webhooks",
        summary="Change a webhook",
        description="Attempts that begin later use the new values.",
        scope="webhooks",
        body=Body("WebhookChange", {"events": ["message.inbound"]}),
        success={200: Success("The webhook as it is now.", "WebhookAnswer")},
        errors=("invalid_request", "not_found", "outcome_unknown"),
    ),
    Route(
        method="DELETE",
        path="/api/v1/webhooks/{webhookId}",
        handler=remove,
        operation="deleteWebhook",
        tag="Webhooks",
        summary="Remove a webhook",
        description="What still waits for it is dropped.",
        scope="webhooks",
        success={200: Success("It is gone.", "Done")},
        errors=("not_found", "outcome_unknown"),
    ),
    Route(
        method="POST",
        path="/api/v1/webhooks/{webhookId}/test",
        handler=try_out,
        operation="testWebhook",
        tag="Webhooks",
        summary="Try a webhook out",
        description="Posts one `webhook.test` event now and waits for the answer; 10 a minute an account. `success` "
        "says whether the endpoint answered with a 2xx status in time; what it answered is not shown.",
        scope="webhooks",
        success={200: Success("How it went.", "WebhookTest")},
        errors=("not_found", "outcome_unknown"),
    ),
    Route(
        method="POST",
        path="/api/v1/webhooks/{webhookId}/enable",
        handler=enable,
        operation="enableWebhook",
        tag="Webhooks",
        summary="Switch a webhook on again",
        description="Its paused deliveries become due, or are dropped with `skipBacklog`.",
        scope="webhooks",
        body=Body("EnableWebhook", {"skipBacklog": False}, required=False),
        success={200: Success("The webhook as it is now.", "WebhookAnswer")},
        errors=("invalid_request", "not_found", "outcome_unknown"),
    ),
    Route(
        method="GET",
        path="/api/v1/webhooks/{webhookId}/deliveries",
        handler=show_deliveries,
        operation="listDeliveries",
        tag="Webhooks",
        summary="List the deliveries of a webhook",
        description="Newest first.",
        scope="webhooks",
        query=LIST_DELIVERIES_FIELDS,
        success={200: Success("A page.", "DeliveryPage")},
        errors=("invalid_request", "cursor_not_found", "not_found"),
    ),
)
