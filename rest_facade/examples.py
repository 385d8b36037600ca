"""Examples of answers, by schema name, for the documentation; the tests hold them against the schemas.

Owns the examples. Must not know routes.
"""

from collections.abc import Mapping
from typing import Any

MESSAGE_ID = "6741234567890abcdef12345"
DEVICE_ID = "3f1c9a52-0c1d-4f0e-9f55-6f0c2a3c9b11"
WEBHOOK_ID = "674123466a0b1c2d3e4f5a6b"
DELIVERY_ID = "674123470a1b2c3d4e5f6a7b"
EVENT_ID = "67412346ff00112233445566"
TIME = "2024-10-25T10:30:00.123Z"
LATER = "2024-10-25T10:30:04.871Z"

PUBLIC_ID = "a1B2c3D4"
IDS = {
    "messageId": MESSAGE_ID,
    "deviceId": DEVICE_ID,
    "driverTokenId": PUBLIC_ID,
    "webhookId": WEBHOOK_ID,
    "deliveryId": DELIVERY_ID,
}
"""Values for the names in paths."""

NEW_MESSAGE = {
    "to": "+1234567890",
    "message": "Hello from Infini Reach!",
    "from": "+15559876543",
    "channel": "sms",
    "externalId": "order-4711",
}
TEMPLATE_MESSAGE = {
    "to": "+1234567890",
    "from": "+15559876543",
    "channel": "whatsapp",
    "template": {
        "name": "order_shipped",
        "language": "en_US",
        "components": [{"type": "body", "parameters": [{"type": "text", "text": "4711"}]}],
    },
}
MEDIA_MESSAGE = {
    "to": "+1234567890",
    "message": "Your label.",
    "from": "+15559876543",
    "channel": "whatsapp",
    "media": {"type": "image", "url": "https://example.com/files/label.png"},
}
_MESSAGE = {
    "id": MESSAGE_ID,
    "messageId": MESSAGE_ID,
    "status": "delivered",
    "channel": "sms",
    "direction": "outbound",
    "from": "+15559876543",
    "to": "+1234567890",
    "message": "Hello from Infini Reach!",
    "deviceId": DEVICE_ID,
    "externalId": "order-4711",
    "segments": 1,
    "encoding": "gsm7",
    "createdAt": TIME,
    "sentAt": "2024-10-25T10:30:01.502Z",
    "deliveredAt": LATER,
    "failedAt": None,
    "reason": None,
    "reasonDetail": None,
    "networkCode": None,
    "holdReason": None,
    "holdUntil": None,
}
_DEVICE = {
    "id": DEVICE_ID,
    "name": "Front desk",
    "status": "online",
    "statusReason": None,
    "remedy": None,
    "enabled": True,
    "channels": ["sms"],
    "driver": "modem",
    "driverName": "office",
    "lastSeenAt": TIME,
    "createdAt": "2024-10-01T08:00:00.000Z",
    "queuedMessages": 0,
    "signalPercent": 64,
    "batteryPercent": None,
    "numbers": [{"channel": "sms", "number": "+15559876543", "slot": 1, "ready": True}],
    "simSlots": [{"slot": 1, "phoneNumber": "+15559876543", "smsReady": True}],
    "features": {"templates": False, "media": [], "groups": False, "readReports": False, "textMax": None},
}
_DRIVER_TOKEN = {
    "id": PUBLIC_ID,
    "name": "Office modem",
    "createdAt": "2024-10-01T08:00:00.000Z",
    "lastUsedAt": None,
}
_WEBHOOK = {
    "id": WEBHOOK_ID,
    "url": "https://example.com/hooks/infini-reach",
    "events": ["message.inbound", "message.delivered", "message.failed"],
    "enabled": True,
    "disabledReason": None,
    "timeoutSeconds": 10,
    "ordered": False,
    "description": "",
    "createdAt": TIME,
    "updatedAt": TIME,
}
_DELIVERY = {
    "id": DELIVERY_ID,
    "eventId": EVENT_ID,
    "event": "message.delivered",
    "webhookId": WEBHOOK_ID,
    "messageId": MESSAGE_ID,
    "status": "delivered",
    "attempts": 1,
    "nextAttemptAt": None,
    "createdAt": LATER,
    "finishedAt": "2024-10-25T10:30:05.020Z",
}
_ATTEMPT = {
    "number": 1,
    "time": LATER,
    "httpStatus": 200,
    "error": None,
    "durationMs": 149,
}
_PAYLOAD = {
    "event": "message.inbound",
    "timestamp": "2024-10-25T10:30:00Z",
    "data": {
        "messageId": MESSAGE_ID,
        "direction": "inbound",
        "from": "+1234567890",
        "to": "+15559876543",
        "body": "Hello! I need support",
        "deviceId": DEVICE_ID,
        "timestamp": "2024-10-25T10:30:00Z",
        "status": "delivered",
    },
}
_STEPS = [
    {
        "time": TIME,
        "step": "accepted",
        "description": "Accepted and stored.",
        "attributes": {"device": DEVICE_ID, "segments": "1", "encoding": "gsm7"},
    },
    {
        "time": "2024-10-25T10:30:00.140Z",
        "step": "claimed",
        "description": "Given to the device's driver.",
        "attributes": {"attempt": "1"},
    },
]

ANSWERS: Mapping[str, Any] = {
    "Accepted": {"success": True, "queued": True, "messageId": MESSAGE_ID, "jobId": f"job-{MESSAGE_ID}"},
    "BatchResults": {
        "success": True,
        "accepted": 1,
        "failed": 1,
        "results": [
            {
                "success": True,
                "queued": True,
                "messageId": MESSAGE_ID,
                "jobId": f"job-{MESSAGE_ID}",
                "status": 201,
            },
            {
                "success": False,
                "error": "No device found with phone number +15550000000 for your account.",
                "message": "No device found with phone number +15550000000 for your account.",
                "code": "device_not_found",
                "status": 404,
            },
        ],
    },
    "DeliveryAnswer": {"success": True, "delivery": _DELIVERY},
    "DeliveryDetail": {"success": True, "delivery": _DELIVERY, "attempts": [{**_ATTEMPT, "response": "ok"}]},
    "DeliveryPage": {"success": True, "deliveries": [_DELIVERY], "nextCursor": None},
    "DeviceAnswer": {"success": True, "device": _DEVICE},
    "DeviceList": {"success": True, "devices": [_DEVICE]},
    "DeviceRemoved": {"success": True, "failedMessages": 3},
    "Done": {"success": True},
    "DriverTokenCreated": {"success": True, "driverToken": {**_DRIVER_TOKEN, "token": "ird_…"}},
    "DriverTokenList": {"success": True, "driverTokens": [_DRIVER_TOKEN]},
    "EventPage": {
        "success": True,
        "events": [{"id": EVENT_ID, "type": "message.inbound", "createdAt": TIME, "payload": _PAYLOAD}],
        "nextCursor": "MTIz",
    },
    "Health": {"status": "ok"},
    "MessageAnswer": {"success": True, **_MESSAGE},
    "MessagePage": {"success": True, "messages": [_MESSAGE], "nextCursor": None},
    "Preview": {
        "success": True,
        "encoding": "ucs2",
        "segments": 2,
        "units": 81,
        "unicodeCharacters": ["漢"],
        "deviceId": DEVICE_ID,
    },
    "Timeline": {"success": True, "messageId": MESSAGE_ID, "timeline": _STEPS},
    "WebhookAnswer": {"success": True, "webhook": _WEBHOOK},
    "WebhookCreated": {"success": True, "webhook": {**_WEBHOOK, "secret": "whsec_…"}},
    "WebhookList": {"success": True, "webhooks": [_WEBHOOK]},
    "WebhookTest": {"success": True, "attempt": _ATTEMPT},
}
PAYLOAD = _PAYLOAD
