"""The two names of a field: in the proto and in the public JSON. One idea, one table."""

PUBLIC_FIELD_NAMES = {
    "text": "message",
    "external_id": "externalId",
    "device_id": "deviceId",
    "message_id": "messageId",
    "webhook_id": "webhookId",
    "delivery_id": "deliveryId",
    "driver_token_id": "driverTokenId",
    "timeout_s": "timeoutSeconds",
    "skip_backlog": "skipBacklog",
    "page_size": "limit",
    "page_token": "cursor",
    "state": "status",
    "since_time": "since",
    "until_time": "until",
    "components_json": "components",
}
"""Public name by proto name; a field that is missing has the same name in both."""

PUBLIC_OBJECTS = ("template", "media")
"""Fields that are objects in public too: what is in them is named by its path."""
