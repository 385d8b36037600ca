"""The core's messages to public JSON.

Owns the names, words and forms of everything that is answered. Must not know HTTP.
"""

from typing import Any

import msgspec
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from infinireach.v1 import device_pb2, event_pb2, message_pb2, messages_service_pb2, webhook_pb2
from rest_facade.errors import ApiError
from rest_facade.words import (
    CHANNELS,
    DELIVERY_STATUSES,
    DEVICE_STATUSES,
    DIRECTIONS,
    ENCODINGS,
    MEDIA_TYPES,
    OTHER,
    REASONS,
    STATUSES,
)

encode = msgspec.json.Encoder().encode


def accepted_body(message_id: str) -> bytes:
    """The answer to an accepted message: exactly these four keys."""
    return b'{"success":true,"queued":true,"messageId":"%b","jobId":"job-%b"}' % (
        identifier := message_id.encode("ascii"),
        identifier,
    )


def error_facts(error: ApiError, request_id: str) -> dict[str, Any]:
    """The one error body; `details` only where fields are at fault."""
    facts: dict[str, Any] = {
        "success": False,
        "error": error.sentence,
        "message": error.sentence,
        "code": error.code.name,
        "requestId": request_id,
    }
    if error.details:
        facts["details"] = [{"field": fault.field, "issue": fault.issue} for fault in error.details]
    return facts


def problem_facts(error: ApiError, request_id: str) -> dict[str, Any]:
    """The same facts as RFC 9457 problem details, the ones of the plain body as extension members."""
    return {
        "type": f"/docs#error-{error.code.name}",
        "title": error.code.sentence,
        "status": error.code.status,
        "detail": error.sentence,
        **error_facts(error, request_id),
    }


def time(holder: Message, field: str) -> str | None:
    """A timestamp field in RFC 3339 with milliseconds, UTC; None if it is not set."""
    if not holder.HasField(field):
        return None
    moment: Timestamp = getattr(holder, field)
    return moment.ToDatetime().isoformat(timespec="milliseconds") + "Z"


def message(record: message_pb2.Message) -> dict[str, Any]:
    """One message; what few messages have is there only if it is set."""
    failure = record.failure
    facts: dict[str, Any] = {
        "id": record.id,
        "messageId": record.id,
        "status": STATUSES.get(record.state, OTHER),
        "channel": CHANNELS.get(record.channel, OTHER),
        "direction": DIRECTIONS.get(record.direction, OTHER),
        "from": record.source,
        "to": record.destination,
        "message": record.text,
        "deviceId": record.device_id or None,
        "externalId": record.external_id or None,
        "segments": record.segments,
        "encoding": ENCODINGS.get(record.encoding),
        "createdAt": time(record, "create_time"),
        "sentAt": time(record, "send_time"),
        "deliveredAt": time(record, "deliver_time"),
        "failedAt": time(record, "fail_time"),
        "reason": REASONS.get(failure.reason, OTHER) if failure.reason else None,
        "reasonDetail": failure.detail or None,
        "networkCode": failure.network_code or None,
        "holdReason": record.hold_reason or None,
        "holdUntil": time(record, "hold_time"),
    }
    if record.HasField("template"):
        facts["template"] = _template(record.template)
    if record.HasField("media"):
        facts["media"] = _media(record.media)
    if record.HasField("read_time"):
        facts["readAt"] = time(record, "read_time")
    if record.group_id:
        facts["groupId"] = record.group_id
    if record.reply_to_message_id:
        facts["replyTo"] = record.reply_to_message_id
    if record.sender_name:
        facts["senderName"] = record.sender_name
    return facts


def _template(record: message_pb2.Template) -> dict[str, Any]:
    components = msgspec.Raw((record.components_json or "[]").encode())
    return {"name": record.name, "language": record.language, "components": components}


def _media(record: message_pb2.Media) -> dict[str, Any]:
    return {
        "type": MEDIA_TYPES.get(record.type, OTHER) if record.type else None,
        "url": record.url or None,
        "filename": record.filename or None,
        "mimeType": record.mime_type or None,
        "networkId": record.network_id or None,
    }


def timeline_entry(entry: message_pb2.TimelineEntry) -> dict[str, Any]:
    """One step in a message's life."""
    return {
        "time": time(entry, "time"),
        "step": entry.step,
        "description": entry.description,
        "attributes": dict(entry.attributes),
    }


def preview(answer: messages_service_pb2.PreviewMessageResponse) -> dict[str, Any]:
    """How a text would go out."""
    return {
        "success": True,
        "encoding": ENCODINGS.get(answer.encoding),
        "segments": answer.segments,
        "units": answer.units,
        "unicodeCharacters": list(answer.unicode_characters),
        "deviceId": answer.device_id or None,
    }


def device(record: device_pb2.Device) -> dict[str, Any]:
    """One device. `simSlots` are its SMS numbers, `numbers` all of them; `features` only if its driver tells them."""
    numbers = [
        {
            "channel": CHANNELS.get(address.channel, OTHER),
            "number": address.number,
            "slot": address.slot or None,
            "ready": address.ready,
        }
        for address in record.addresses
    ]
    facts: dict[str, Any] = {
        "id": record.id,
        "name": record.name,
        "status": DEVICE_STATUSES.get(record.state, OTHER),
        "statusReason": record.state_reason or None,
        "remedy": record.remedy or None,
        "enabled": record.enabled,
        "channels": list(dict.fromkeys(number["channel"] for number in numbers)),
        "driver": record.driver,
        "driverName": record.driver_name or None,
        "lastSeenAt": time(record, "last_seen_time"),
        "createdAt": time(record, "create_time"),
        "queuedMessages": record.queued_messages,
        "signalPercent": record.signal_percent if record.HasField("signal_percent") else None,
        "batteryPercent": record.battery_percent if record.HasField("battery_percent") else None,
        "numbers": numbers,
        "simSlots": [
            {"slot": address.slot or None, "phoneNumber": address.number, "smsReady": address.ready}
            for address in record.addresses
            if address.channel == message_pb2.CHANNEL_SMS
        ],
    }
    if record.HasField("features"):
        facts["features"] = _features(record.features)
    return facts


def _features(record: device_pb2.DeviceFeatures) -> dict[str, Any]:
    return {
        "templates": record.templates,
        "media": [MEDIA_TYPES.get(kind, OTHER) for kind in record.media],
        "groups": record.groups,
        "readReports": record.read_reports,
        "textMax": record.text_characters_max or None,
    }


def driver_token(record: device_pb2.DriverToken) -> dict[str, Any]:
    """A driver token without its secret."""
    return {
        "id": record.id,
        "name": record.name,
        "createdAt": time(record, "create_time"),
        "lastUsedAt": time(record, "last_use_time"),
    }


def webhook(record: webhook_pb2.Webhook) -> dict[str, Any]:
    """An endpoint without its secret."""
    return {
        "id": record.id,
        "url": record.url,
        "events": list(record.events),
        "enabled": record.enabled,
        "disabledReason": record.disabled_reason or None,
        "timeoutSeconds": record.timeout_s,
        "ordered": record.ordered,
        "description": record.description,
        "createdAt": time(record, "create_time"),
        "updatedAt": time(record, "update_time"),
    }


def delivery(record: webhook_pb2.Delivery) -> dict[str, Any]:
    """The delivery of one event to one endpoint."""
    return {
        "id": record.id,
        "eventId": record.event_id,
        "event": record.event_type,
        "webhookId": record.webhook_id,
        "messageId": record.message_id or None,
        "status": DELIVERY_STATUSES.get(record.state, OTHER),
        "attempts": record.attempts,
        "nextAttemptAt": time(record, "next_attempt_time"),
        "createdAt": time(record, "create_time"),
        "finishedAt": time(record, "finish_time"),
    }


def attempt(record: webhook_pb2.DeliveryAttempt, *, with_response: bool) -> dict[str, Any]:
    """One attempt of a delivery."""
    facts = {
        "number": record.number,
        "time": time(record, "time"),
        "httpStatus": record.status or None,
        "error": record.error or None,
        "durationMs": record.duration_ms,
    }
    return {**facts, "response": record.response} if with_response else facts


def event(record: event_pb2.Event) -> dict[str, Any]:
    """An event: its id and cursor facts around the very JSON that webhooks carry."""
    return {
        "id": record.id,
        "type": record.type,
        "createdAt": time(record, "create_time"),
        "payload": msgspec.Raw(record.body or b"null"),
    }
