"""JSON Schemas of bodies and answers, for the OpenAPI document.

Owns the named components. Bodies are made from the field tables, so they cannot differ from what is checked;
answers mirror `render`, and the tests hold real answers against them.
"""

from collections.abc import Mapping
from typing import Any

from rest_facade import field_tables as tables
from rest_facade import shapes, words
from rest_facade.errors import CODES
from rest_facade.fields import body_of

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
OPTIONAL_TEXT: Schema = {"type": ["string", "null"]}
COUNT: Schema = {"type": "integer", "minimum": 0}
OPTIONAL_PERCENT: Schema = {"type": ["integer", "null"], "minimum": 0, "maximum": 100}
FLAG: Schema = {"type": "boolean"}
RECORD_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{24}$"}
TIME: Schema = {"type": "string", "format": "date-time"}
OPTIONAL_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
SUCCESS: Schema = {"type": "boolean", "const": True}


def reference(name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(properties: Mapping[str, Schema], help_text: str = "") -> Schema:
    """An object that always has all of these properties; a newer gateway may add others."""
    schema: Schema = {"type": "object", "required": list(properties), "properties": dict(properties)}
    return {**schema, "description": help_text} if help_text else schema


def answer(properties: Mapping[str, Schema]) -> Schema:
    """The body of a successful answer."""
    return record({"success": SUCCESS, **properties})


def with_some(schema: Schema, properties: Mapping[str, Schema]) -> Schema:
    """The same record, which may have these properties too."""
    return {**schema, "properties": {**schema["properties"], **properties}}


def word_of(known: Mapping[int, str]) -> Schema:
    """One of the words that an enum has in public."""
    return {"type": "string", "enum": [*known.values(), words.OTHER]}


def optional_word_of(known: Mapping[int, str]) -> Schema:
    """The same, or null."""
    return {"type": ["string", "null"], "enum": [*known.values(), words.OTHER, None]}


def list_of(schema: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": schema}


def _new_message() -> Schema:
    """The channel decides what `to` may be and how long a text is; a template or a file takes the text's place."""
    none: Schema = {"type": "null"}
    sms: Schema = {"channel": {"const": "sms"}, "to": {"pattern": shapes.NUMBER_PATTERN}}
    whatsapp: Schema = {"channel": {"const": "whatsapp"}}
    text: Schema = {"message": TEXT, "template": none, "media": none}
    sms_text = {**text, "message": {**TEXT, "maxLength": shapes.SMS_CHARACTERS_MAX}}
    template: Schema = {"template": {"type": "object"}, "message": none, "media": none}
    caption = {"type": ["string", "null"], "maxLength": shapes.CAPTION_CHARACTERS_MAX}
    bare, captioned = list(tables.TYPES_WITHOUT_CAPTION), list(tables.MEDIA_TYPES)
    schema = body_of(tables.MESSAGE_FIELDS)
    schema["anyOf"] = [
        {"required": ["message"], "properties": {**sms, **sms_text}},
        {"required": ["message"], "properties": {**whatsapp, **text}},
        {"required": ["template"], "properties": {**whatsapp, **template}},
        *(
            {
                "required": ["media"],
                "properties": {
                    **whatsapp,
                    "media": {"type": "object", "properties": {"type": {"enum": types}}},
                    "message": message,
                    "template": none,
                },
            }
            for types, message in (
                ([word for word in captioned if word not in bare], caption),
                (bare, none),
            )
        ),
    ]
    return schema


ACCEPTED: Schema = {
    "type": "object",
    "required": ["success", "queued", "messageId", "jobId"],
    "properties": {
        "success": SUCCESS,
        "queued": SUCCESS,
        "messageId": RECORD_ID,
        "jobId": {"type": "string", "pattern": "^job-[0-9a-f]{24}$"},
    },
    "additionalProperties": False,
}
ERROR_PROPERTIES: dict[str, Schema] = {
    "success": {"type": "boolean", "const": False},
    "error": {"type": "string", "description": "One sentence."},
    "message": {"type": "string", "description": "The same sentence."},
    "code": {"type": "string", "enum": list(CODES), "description": "What programs branch on."},
    "requestId": TEXT,
}
DETAILS: Schema = {
    **list_of(record({"field": TEXT, "issue": TEXT})),
    "description": "Every faulty field; only where fields are at fault.",
}
MESSAGE: dict[str, Schema] = {
    "id": RECORD_ID,
    "messageId": RECORD_ID,
    "status": word_of(words.STATUSES),
    "channel": word_of(words.CHANNELS),
    "direction": word_of(words.DIRECTIONS),
    "from": TEXT,
    "to": TEXT,
    "message": TEXT,
    "deviceId": OPTIONAL_TEXT,
    "externalId": OPTIONAL_TEXT,
    "segments": COUNT,
    "encoding": optional_word_of(words.ENCODINGS),
    "createdAt": OPTIONAL_TIME,
    "sentAt": OPTIONAL_TIME,
    "deliveredAt": OPTIONAL_TIME,
    "failedAt": OPTIONAL_TIME,
    "reason": optional_word_of(words.REASONS),
    "reasonDetail": OPTIONAL_TEXT,
    "networkCode": OPTIONAL_TEXT,
    "holdReason": OPTIONAL_TEXT,
    "holdUntil": OPTIONAL_TIME,
}
TEMPLATE: Schema = record({
    "name": TEXT,
    "language": TEXT,
    "components": list_of({"type": "object"}),
})
MEDIA: Schema = record({
    "type": optional_word_of(words.MEDIA_TYPES),
    "url": OPTIONAL_TEXT,
    "filename": OPTIONAL_TEXT,
    "mimeType": OPTIONAL_TEXT,
    "networkId": OPTIONAL_TEXT,
})
MESSAGE_SOME: dict[str, Schema] = {
    "template": TEMPLATE,
    "media": MEDIA,
    "readAt": TIME,
    "groupId": TEXT,
    "replyTo": RECORD_ID,
    "senderName": TEXT,
}
"""What a message has only if it is set."""
FEATURES: Schema = record(
    {
        "templates": FLAG,
        "media": list_of(word_of(words.MEDIA_TYPES)),
        "groups": FLAG,
        "readReports": FLAG,
        "textMax": {"type": ["integer", "null"], "minimum": 1},
    },
    "What it can send besides plain text to one person; only if its driver tells.",
)
DEVICE: dict[str, Schema] = {
    "id": {"type": "string", "format": "uuid"},
    "name": TEXT,
    "status": word_of(words.DEVICE_STATUSES),
    "statusReason": OPTIONAL_TEXT,
    "remedy": OPTIONAL_TEXT,
    "enabled": FLAG,
    "channels": list_of(word_of(words.CHANNELS)),
    "driver": TEXT,
    "driverName": OPTIONAL_TEXT,
    "lastSeenAt": OPTIONAL_TIME,
    "createdAt": OPTIONAL_TIME,
    "queuedMessages": COUNT,
    "signalPercent": OPTIONAL_PERCENT,
    "batteryPercent": OPTIONAL_PERCENT,
    "numbers": list_of(
        record({
            "channel": word_of(words.CHANNELS),
            "number": TEXT,
            "slot": {"type": ["integer", "null"]},
            "ready": FLAG,
        })
    ),
    "simSlots": list_of(
        record({"slot": {"type": ["integer", "null"]}, "phoneNumber": TEXT, "smsReady": FLAG})
    ),
}
DRIVER_TOKEN: dict[str, Schema] = {
    "id": TEXT,
    "name": TEXT,
    "createdAt": OPTIONAL_TIME,
    "lastUsedAt": OPTIONAL_TIME,
}
WEBHOOK: dict[str, Schema] = {
    "id": RECORD_ID,
    "url": TEXT,
    "events": list_of(TEXT),
    "enabled": FLAG,
    "disabledReason": OPTIONAL_TEXT,
    "timeoutSeconds": COUNT,
    "ordered": FLAG,
    "description": TEXT,
    "createdAt": OPTIONAL_TIME,
    "updatedAt": OPTIONAL_TIME,
}
DELIVERY: dict[str, Schema] = {
    "id": RECORD_ID,
    "eventId": TEXT,
    "event": TEXT,
    "webhookId": TEXT,
    "messageId": OPTIONAL_TEXT,
    "status": word_of(words.DELIVERY_STATUSES),
    "attempts": COUNT,
    "nextAttemptAt": OPTIONAL_TIME,
    "createdAt": OPTIONAL_TIME,
    "finishedAt": OPTIONAL_TIME,
}
ATTEMPT: dict[str, Schema] = {
    "number": COUNT,
    "time": OPTIONAL_TIME,
    "httpStatus": {"type": ["integer", "null"]},
    "error": OPTIONAL_TEXT,
    "durationMs": COUNT,
}
BATCH_STATUS: Schema = {
    "type": "integer",
    "description": "The HTTP status that a request of its own would have got.",
}
CURSOR: Schema = {
    **OPTIONAL_TEXT,
    "description": "Send it as `cursor` for the next page; null on the last one.",
}


def components() -> dict[str, Schema]:
    """Every named schema."""
    return {**_bodies(), **_message_answers(), **_device_answers(), **_webhook_answers(), **_other_answers()}


def _bodies() -> dict[str, Schema]:
    # An item of a batch that is at fault has a result of its own, so the schema of a batch does not judge it.
    items = {"type": "array", "minItems": 1, "maxItems": tables.BATCH_MESSAGES_MAX}
    return {
        "NewMessage": _new_message(),
        "NewMessages": {
            "type": "object",
            "required": ["messages"],
            "properties": {
                "messages": {**items, "description": "Each as in POST /api/v1/messages.", "items": {}}
            },
        },
        "DeviceChange": body_of(tables.DEVICE_FIELDS, least=1),
        "NewDriverToken": body_of(tables.DRIVER_TOKEN_FIELDS),
        "NewWebhook": body_of(tables.NEW_WEBHOOK_FIELDS),
        "WebhookChange": body_of(tables.WEBHOOK_FIELDS, least=1),
        "EnableWebhook": body_of(tables.ENABLE_WEBHOOK_FIELDS),
    }


def _message_answers() -> dict[str, Schema]:
    accepted_item = {**ACCEPTED["properties"], "status": BATCH_STATUS}
    refused = {name: schema for name, schema in ERROR_PROPERTIES.items() if name != "requestId"}
    refused_item = record({**refused, "status": BATCH_STATUS})
    refused_item["properties"]["details"] = DETAILS
    step = {"time": OPTIONAL_TIME, "step": TEXT, "description": TEXT}
    attributes: Schema = {"type": "object", "additionalProperties": TEXT}
    return {
        "Accepted": ACCEPTED,
        "Message": with_some(record(MESSAGE), MESSAGE_SOME),
        "MessageAnswer": with_some(answer(MESSAGE), MESSAGE_SOME),
        "MessagePage": answer({"messages": list_of(reference("Message")), "nextCursor": CURSOR}),
        "BatchResults": answer({
            "accepted": COUNT,
            "failed": COUNT,
            "results": list_of({"oneOf": [record(accepted_item), refused_item]}),
        }),
        "Preview": answer({
            "encoding": optional_word_of(words.ENCODINGS),
            "segments": COUNT,
            "units": {**COUNT, "description": "Septets (gsm7) or UTF-16 code units (ucs2)."},
            "unicodeCharacters": {
                **list_of(TEXT),
                "description": "The characters that force ucs2, each once.",
            },
            "deviceId": OPTIONAL_TEXT,
        }),
        "Timeline": answer({
            "messageId": RECORD_ID,
            "timeline": list_of(record({**step, "attributes": attributes})),
        }),
    }


def _device_answers() -> dict[str, Schema]:
    return {
        "Device": with_some(record(DEVICE), {"features": FEATURES}),
        "DeviceAnswer": answer({"device": reference("Device")}),
        "DeviceList": answer({"devices": list_of(reference("Device"))}),
        "DeviceRemoved": answer({"failedMessages": COUNT}),
        "DriverToken": record(DRIVER_TOKEN),
        "DriverTokenCreated": answer({"driverToken": record({**DRIVER_TOKEN, "token": TEXT})}),
        "DriverTokenList": answer({"driverTokens": list_of(reference("DriverToken"))}),
    }


def _webhook_answers() -> dict[str, Schema]:
    return {
        "Webhook": record(WEBHOOK),
        "WebhookAnswer": answer({"webhook": reference("Webhook")}),
        "WebhookCreated": answer({"webhook": record({**WEBHOOK, "secret": TEXT})}),
        "WebhookList": answer({"webhooks": list_of(reference("Webhook"))}),
        "WebhookTest": record({"success": FLAG, "attempt": record(ATTEMPT)}),
        "Delivery": record(DELIVERY),
        "DeliveryAnswer": answer({"delivery": reference("Delivery")}),
        "DeliveryDetail": answer({
            "delivery": reference("Delivery"),
            "attempts": list_of(record({**ATTEMPT, "response": TEXT})),
        }),
        "DeliveryPage": answer({"deliveries": list_of(reference("Delivery")), "nextCursor": CURSOR}),
    }


def _other_answers() -> dict[str, Schema]:
    error = record(ERROR_PROPERTIES)
    error["properties"]["details"] = DETAILS
    problem = record({"type": TEXT, "title": TEXT, "status": COUNT, "detail": TEXT, **ERROR_PROPERTIES})
    problem["properties"]["details"] = DETAILS
    payload: Schema = {"type": "object", "description": "The body that webhooks carry."}
    event = record({"id": TEXT, "type": TEXT, "createdAt": OPTIONAL_TIME, "payload": payload})
    return {
        "EventPage": answer({"events": list_of(event), "nextCursor": TEXT}),
        "Done": answer({}),
        "Health": record({"status": TEXT}),
        "OpenApi": record({"openapi": TEXT, "paths": {"type": "object"}}),
        "Error": error,
        "Problem": problem,
    }
