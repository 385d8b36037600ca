"""Public JSON to the core's messages.

Owns the conversion in this direction, and the rules over several fields of one request. Single values are checked
by the field tables; the core validates everything again.
"""

import re
from collections.abc import Mapping
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from infinireach.v1 import devices_service_pb2, messages_service_pb2, webhook_pb2, webhooks_service_pb2
from rest_facade import field_tables as tables
from rest_facade.errors import ApiError, FieldFault, invalid_request
from rest_facade.fields import read_fields, require_fields

JOB_PREFIX = "job-"
_ID = re.compile(r"[0-9a-f]{24}").fullmatch
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_PUBLIC_ID = re.compile(r"[0-9A-Za-z]{1,64}").fullmatch
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}").fullmatch
_GROUP_SUFFIX = "@g.us"


def record_id(text: str) -> str:
    """The id of a path. Raises ApiError `not_found` if nothing can have it."""
    if not _ID(text):
        raise ApiError("not_found")
    return text


def message_id(text: str) -> str:
    """The same for messages, which also go by the id of their job."""
    return record_id(text.removeprefix(JOB_PREFIX))


def device_id(text: str) -> str:
    """The same for devices."""
    if not _UUID(text.lower()):
        raise ApiError("not_found")
    return text.lower()


def public_id(text: str) -> str:
    """The same for keys and tokens."""
    if not _PUBLIC_ID(text):
        raise ApiError("not_found")
    return text


def traceparent(value: str | None) -> str:
    """A W3C trace context of version 00 as it is; empty if it is anything else."""
    return value if value is not None and _TRACEPARENT(value) else ""


def new_message(
    body: Mapping[str, Any], trace: str
) -> tuple[messages_service_pb2.NewMessage | None, list[FieldFault]]:
    """The message that a body describes, or every fault in it."""
    if body.get("template") is not None or body.get("media") is not None:
        return _rich_message(body, trace)
    is_whatsapp = body.get("channel") == "whatsapp"
    values, faults = read_fields(tables.WHATSAPP_FIELDS if is_whatsapp else tables.SMS_FIELDS, body)
    if values.get("channel") == "sms" and values.get("to", "").endswith(_GROUP_SUFFIX):
        faults.append(FieldFault("to", "must be a phone number for sms; groups are on whatsapp only"))
    if faults:
        return None, faults
    return _message_of(values, trace), faults


def _rich_message(
    body: Mapping[str, Any], trace: str
) -> tuple[messages_service_pb2.NewMessage | None, list[FieldFault]]:
    """The same for a message with a template or a file."""
    kind = "template" if body.get("template") is not None else "media"
    table = tables.TEMPLATE_MESSAGE_FIELDS if kind == "template" else tables.MEDIA_MESSAGE_FIELDS
    values, faults = read_fields(table, body)
    if values.get("channel") == "sms":
        faults.append(FieldFault(kind, "must be given with whatsapp only"))
    if kind == "template":
        if any(body.get(name) is not None for name in tables.TEXT_NAMES):
            faults.append(FieldFault("message", "must not be given together with template"))
        if body.get("media") is not None:
            faults.append(FieldFault("media", "must not be given together with template"))
    elif "message" in values and values.get("media", {}).get("type") in tables.TYPES_WITHOUT_CAPTION:
        faults.append(FieldFault("message", f"must not be given with {values['media']['type']}"))
    if faults:
        return None, faults
    message = _message_of(values, trace)
    if kind == "template":
        template = values["template"]
        message.template.name, message.template.language = template["name"], template["language"]
        message.template.components_json = template.get("components", b"").decode()
    else:
        media = values["media"]
        message.media.type, message.media.url = tables.MEDIA_TYPES[media["type"]], media["url"]
        message.media.filename = media.get("filename", "")
    return message, faults


def _message_of(values: Mapping[str, Any], trace: str) -> messages_service_pb2.NewMessage:
    message = messages_service_pb2.NewMessage(
        to=values["to"],
        text=values.get("message"),
        channel=tables.CHANNELS[values["channel"]],
        external_id=values.get("externalId"),
        device_id=values.get("deviceId"),
        traceparent=trace,
    )
    setattr(message, "from", values["from"])
    return message


def required_message(body: Mapping[str, Any], trace: str) -> messages_service_pb2.NewMessage:
    """The message that a body describes. Raises ApiError `invalid_request` with every fault."""
    message, faults = new_message(body, trace)
    if message is None:
        raise invalid_request(faults)
    return message


def batch_items(body: Mapping[str, Any]) -> list[Any]:
    """The items of a batch, not looked at yet. Raises ApiError `invalid_request`."""
    items = body.get("messages")
    if items is None:
        raise invalid_request([FieldFault("messages", "is required")])
    if not isinstance(items, list):
        raise invalid_request([FieldFault("messages", "must be a list")])
    found: list[Any] = items
    if not 1 <= len(found) <= tables.BATCH_MESSAGES_MAX:
        raise invalid_request([FieldFault("messages", f"must have 1 to {tables.BATCH_MESSAGES_MAX} entries")])
    return found


def message_filter(query: Mapping[str, Any]) -> messages_service_pb2.ListMessagesRequest:
    """What a query wants listed."""
    request = messages_service_pb2.ListMessagesRequest(
        page_size=query.get("limit"),
        page_token=query.get("cursor"),
        state=tables.STATUSES[query["status"]] if "status" in query else None,
        channel=tables.CHANNELS[query["channel"]] if "channel" in query else None,
        direction=tables.DIRECTIONS[query["direction"]] if "direction" in query else None,
        to=query.get("to"),
    )
    setattr(request, "from", query.get("from", ""))
    for name, field in (("since", request.since_time), ("until", request.until_time)):
        if name in query:
            moment = Timestamp()
            moment.FromDatetime(query[name])
            field.CopyFrom(moment)
    return request


def device_update(device: str, body: Mapping[str, Any]) -> devices_service_pb2.UpdateDeviceRequest:
    """The change of a device that a body asks for. Raises ApiError `invalid_request`."""
    values = _changes(tables.DEVICE_FIELDS, body)
    return devices_service_pb2.UpdateDeviceRequest(
        device_id=device,
        name=values.get("name", ""),
        enabled=values.get("enabled", False),
        update_mask=FieldMask(paths=list(values)),
    )


def new_webhook(body: Mapping[str, Any]) -> webhooks_service_pb2.CreateWebhookRequest:
    """The endpoint that a body describes. Raises ApiError `invalid_request`."""
    values = require_fields(tables.NEW_WEBHOOK_FIELDS, body)
    return webhooks_service_pb2.CreateWebhookRequest(webhook=_webhook("", values))


def webhook_update(webhook: str, body: Mapping[str, Any]) -> webhooks_service_pb2.UpdateWebhookRequest:
    """The change of an endpoint that a body asks for. Raises ApiError `invalid_request`."""
    values = _changes(tables.WEBHOOK_FIELDS, body)
    paths = ["timeout_s" if name == "timeoutSeconds" else name for name in values]
    return webhooks_service_pb2.UpdateWebhookRequest(
        webhook=_webhook(webhook, values), update_mask=FieldMask(paths=paths)
    )


def _changes(fields: tuple[tables.Field, ...], body: Mapping[str, Any]) -> dict[str, Any]:
    values = require_fields(fields, body)
    if not values:
        names = ", ".join(field.name for field in fields)
        raise invalid_request([FieldFault("body", f"must change at least one of {names}")])
    return values


def _webhook(webhook: str, values: Mapping[str, Any]) -> webhook_pb2.Webhook:
    return webhook_pb2.Webhook(
        id=webhook,
        url=values.get("url", ""),
        events=values.get("events", []),
        enabled=values.get("enabled", True),
        timeout_s=values.get("timeoutSeconds", 0),
        ordered=values.get("ordered", False),
        description=values.get("description", ""),
    )
