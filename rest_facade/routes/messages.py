"""Messages: send, look at, withdraw.

Owns the handlers under /api/v1/messages and what documents them.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from infinireach.v1 import messages_service_pb2
from rest_facade import errors, parse, render, rpcs
from rest_facade.answers import json_answer, rate_limited
from rest_facade.call import Call
from rest_facade.core_client import BatchItem, BatchResult
from rest_facade.errors import ApiError, FieldFault
from rest_facade.examples import MEDIA_MESSAGE, NEW_MESSAGE, TEMPLATE_MESSAGE
from rest_facade.field_tables import LIST_MESSAGES_FIELDS
from rest_facade.fields import read_query
from rest_facade.route import Body, Route, Success
from rest_facade.wire import Answer


async def send(call: Call) -> Answer:
    """Accept one message: 201, or 200 if its externalId repeats."""
    message = parse.required_message(call.body, _trace(call))
    item = BatchItem(message=message, tenant_id=call.tenant_id)
    result = await call.core.batcher.submit(item, idempotent=bool(message.external_id))
    if result.HasField("error"):
        raise _refusal(result, call.body)
    return Answer(201 if result.created else 200, render.accepted_body(result.message_id))


async def send_batch(call: Call) -> Answer:
    """Accept many messages; each has a result of its own, in the order of the request."""
    items = parse.batch_items(call.body)
    if len(items) > call.caller.per_minute:
        issue = f"must be at most {call.caller.per_minute} entries, what this key may send in a minute"
        raise errors.invalid_request([FieldFault("messages", issue)])
    await _count_further(call, len(items) - 1)
    if len(items) > call.core.batcher.room:
        raise ApiError("unavailable", "Too many messages are waiting; nothing was accepted.")
    trace = _trace(call)
    results = await asyncio.gather(*(_send_item(call, item, trace) for item in items))
    failed = sum(not result["success"] for result in results)
    return json_answer(
        200, {"success": True, "accepted": len(results) - failed, "failed": failed, "results": results}
    )


async def _send_item(call: Call, item: object, trace: str) -> dict[str, Any]:
    try:
        if not isinstance(item, dict):
            raise errors.invalid_request([FieldFault("messages", "every entry must be an object")])
        body = cast("dict[str, Any]", item)
        message = parse.required_message(body, trace)
        result = await call.core.batcher.submit(
            BatchItem(message=message, tenant_id=call.tenant_id), idempotent=bool(message.external_id)
        )
        if result.HasField("error"):
            raise _refusal(result, body)
    except ApiError as error:
        facts = render.error_facts(error, call.request_id)
        del facts["requestId"]
        return {**facts, "status": error.code.status}
    identifier = result.message_id
    return {
        "success": True,
        "queued": True,
        "messageId": identifier,
        "jobId": f"job-{identifier}",
        "status": 201 if result.created else 200,
    }


async def _count_further(call: Call, cost: int) -> None:
    """Count the other messages of a batch as requests too. Raises ApiError `rate_limited`; then none was sent."""
    caller = call.caller
    if not cost:
        return
    if call.limiter.is_shared:
        verdict = await call.limiter.take_shared(caller.limit_name, limit=caller.per_minute, cost=cost)
    else:
        verdict = call.limiter.take(caller.limit_name, limit=caller.per_minute, cost=cost)
    call.verdict = verdict
    if not verdict.allowed:
        raise rate_limited(verdict)


async def preview(call: Call) -> Answer:
    """Say how a text would go out; nothing is sent."""
    message = parse.required_message(call.body, "")
    request = messages_service_pb2.PreviewMessageRequest(message=message)
    try:
        answer = await call.core.call(rpcs.PREVIEW_MESSAGE, request, call)
    except ApiError as error:
        if error.code.name == "device_not_found":
            raise _device_not_found(call.body) from None
        raise
    return json_answer(200, render.preview(answer))


async def show(call: Call) -> Answer:
    """One message."""
    request = messages_service_pb2.GetMessageRequest(message_id=parse.message_id(call.path["messageId"]))
    answer = await call.core.call(rpcs.GET_MESSAGE, request, call)
    return json_answer(200, {"success": True, **render.message(answer.message)})


async def show_list(call: Call) -> Answer:
    """A page of messages, newest first."""
    query = read_query(LIST_MESSAGES_FIELDS, call.request.query_string)
    answer = await call.core.call(rpcs.LIST_MESSAGES, parse.message_filter(query), call)
    return json_answer(
        200,
        {
            "success": True,
            "messages": [render.message(message) for message in answer.messages],
            "nextCursor": answer.next_page_token or None,
        },
    )


async def show_timeline(call: Call) -> Answer:
    """The steps of one message, oldest first."""
    message_id = parse.message_id(call.path["messageId"])
    request = messages_service_pb2.GetMessageTimelineRequest(message_id=message_id)
    answer = await call.core.call(rpcs.GET_MESSAGE_TIMELINE, request, call)
    return json_answer(
        200,
        {
            "success": True,
            "messageId": message_id,
            "timeline": [render.timeline_entry(entry) for entry in answer.entries],
        },
    )


async def cancel(call: Call) -> Answer:
    """Withdraw a message that waits."""
    request = messages_service_pb2.CancelMessageRequest(message_id=parse.message_id(call.path["messageId"]))
    answer = await call.core.call(rpcs.CANCEL_MESSAGE, request, call)
    return json_answer(200, {"success": True, **render.message(answer.message)})


def _trace(call: Call) -> str:
    return parse.traceparent(call.request.headers.get("traceparent"))


def _refusal(result: BatchResult, body: Mapping[str, Any]) -> ApiError:
    """What the caller is told of an item that the core refused."""
    error = result.error
    if error.reason == "DEVICE_NOT_FOUND":
        return _device_not_found(body)
    return errors.from_core(
        status="INVALID_ARGUMENT" if error.field_violations else "INTERNAL",
        reason=error.reason,
        sentence=error.message,
        violations=[(fault.field, fault.description) for fault in error.field_violations],
    )


def _device_not_found(body: Mapping[str, Any]) -> ApiError:
    """The sentence that callers know, with the number as they wrote it."""
    number = body.get("from") or body.get("e164From")
    return ApiError("device_not_found", f"No device found with phone number {number} for your account.")


_GET_LINKS = {
    "GetMessage": {"operationId": "getMessage", "parameters": {"messageId": "$response.body#/messageId"}},
    "GetTimeline": {
        "operationId": "getMessageTimeline",
        "parameters": {"messageId": "$response.body#/messageId"},
    },
    "Cancel": {"operationId": "cancelMessage", "parameters": {"messageId": "$response.body#/messageId"}},
}
_NEW_MESSAGE = Body("NewMessage", NEW_MESSAGE, others={"template": TEMPLATE_MESSAGE, "media": MEDIA_MESSAGE})

ROUTES = (
    Route(
        method="POST",
        path="/api/v1/messages",
        handler=send,
        operation="sendMessage",
        tag="Messages",
        summary="Send a message",
        description="Queues an SMS or WhatsApp message on one of your devices and answers at once. When the answer "
        "arrives the message is stored durably; a device that is offline sends it when it is back. "
        "What a device can send besides plain text is in its `features`; what it cannot is refused here.",
        scope="messages:send",
        body=_NEW_MESSAGE,
        success={
            201: Success("Queued.", "Accepted"),
            200: Success("This `externalId` was queued before; nothing was added.", "Accepted"),
        },
        errors=("invalid_request", "device_not_found", "external_id_conflict", "outcome_unknown"),
        links=_GET_LINKS,
    ),
    Route(
        method="GET",
        path="/api/v1/messages",
        handler=show_list,
        operation="listMessages",
        tag="Messages",
        summary="List messages",
        description="Newest first, inbound ones included.",
        scope="messages:read",
        query=LIST_MESSAGES_FIELDS,
        success={200: Success("A page.", "MessagePage")},
        errors=(
            "invalid_request",
            "cursor_not_found",
        ),
    ),
    Route(
        method="POST",
        path="/api/v1/messages/batch",
        handler=send_batch,
        operation="sendMessages",
        tag="Messages",
        summary="Send up to 1000 messages",
        description="Every message has a result of its own, in the order of the request; one that is refused does "
        "not spoil the others. It counts as many requests as it has messages, and the body may have 4 MiB.",
        scope="messages:send",
        body=Body("NewMessages", {"messages": [NEW_MESSAGE]}, is_batch=True),
        success={200: Success("The results.", "BatchResults")},
        errors=("invalid_request",),
    ),
    Route(
        method="POST",
        path="/api/v1/messages/preview",
        handler=preview,
        operation="previewMessage",
        tag="Messages",
        summary="See how a message would go out",
        description="Encoding, segments, and the characters that make it expensive. Nothing is sent.",
        scope="messages:send",
        body=_NEW_MESSAGE,
        success={200: Success("The preview.", "Preview")},
        errors=("invalid_request", "device_not_found"),
    ),
    Route(
        method="GET",
        path="/api/v1/messages/{messageId}",
        handler=show,
        operation="getMessage",
        tag="Messages",
        summary="Look at a message",
        description="`messageId` may also be a `jobId`.",
        scope="messages:read",
        success={200: Success("The message.", "MessageAnswer")},
        errors=("not_found",),
    ),
    Route(
        method="GET",
        path="/api/v1/messages/{messageId}/timeline",
        handler=show_timeline,
        operation="getMessageTimeline",
        tag="Messages",
        summary="See everything that happened to a message",
        description="Accepted, claimed, submitted, reports, webhook attempts: why it has not arrived. "
        "Of more than 1000 steps the newest; `shortened` stands for the others.",
        scope="messages:read",
        success={200: Success("The steps, oldest first.", "Timeline")},
        errors=("not_found",),
    ),
    Route(
        method="POST",
        path="/api/v1/messages/{messageId}/cancel",
        handler=cancel,
        operation="cancelMessage",
        tag="Messages",
        summary="Withdraw a message",
        description="Works while it is `queued` or `scheduled`.",
        scope="messages:send",
        success={200: Success("The message, cancelled.", "MessageAnswer")},
        errors=("not_found", "not_cancellable", "outcome_unknown"),
    ),
)
