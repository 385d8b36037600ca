"""Webhook bodies: rows to the public JSON bytes.

Owns the keys, their order and the bytes. A body is rendered once, inside the transaction that records its event,
stored, and sent as it is on every attempt. The bytes are what JavaScript's JSON.stringify(JSON.parse(body)) gives.
"""

import json
from typing import Any

from core import contents
from core.clock import rfc3339, rfc3339_seconds
from core.store.rows import DeviceRow, MessageRow


def render(event_type: str, at_ms: int, data: dict[str, Any]) -> bytes:
    """The body of one event."""
    body = {"event": event_type, "timestamp": rfc3339_seconds(at_ms), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def message_data(message: MessageRow, *, status: str, sequence: int, at_ms: int) -> dict[str, Any]:
    """The `data` of a message event; the documented keys first."""
    data: dict[str, Any] = {
        "messageId": message.id,
        "direction": message.direction,
        "from": message.source,
        "to": message.destination,
        "body": message.body,
        "deviceId": message.device_id,
        "timestamp": rfc3339_seconds(at_ms),
        "status": status,
        "channel": message.channel,
        "externalId": message.external_id,
        "reason": message.failure_reason,
        "sequence": sequence,
        "segments": message.segments,
        "sentAt": _time(message.sent_ms),
        "deliveredAt": _time(message.delivered_ms),
    }
    if message.failure_code:
        data["networkCode"] = message.failure_code
    if message.failure_detail:
        data["detail"] = message.failure_detail
    if message.group_id:
        data["groupId"] = message.group_id
    if message.content:
        data |= _content(message.content)
    if message.read_ms:
        data["readAt"] = _time(message.read_ms)
    if message.reply_to_id:
        data["replyTo"] = message.reply_to_id
    if message.sender_name:
        data["senderName"] = message.sender_name
    return data


def _content(stored: str) -> dict[str, Any]:
    """A template by its name: what goes into its places is JSON of the caller's own, which JavaScript may write
    otherwise. Of a file what is known; its type is always said."""
    match contents.read(stored):
        case contents.Template(name, language):
            return {"template": {"name": name, "language": language}}
        case contents.Media() as media:
            said = {
                "url": media.url,
                "filename": media.filename,
                "mimeType": media.mime_type,
                "networkId": media.network_id,
            }
            given = {key: value for key, value in said.items() if value}
            return {"media": {"type": media.type or None, **given}}
        case None:
            return {}


def device_data(device: DeviceRow, *, numbers: list[str], at_ms: int) -> dict[str, Any]:
    """The `data` of a device event."""
    data: dict[str, Any] = {
        "deviceId": device.id,
        "name": device.name,
        "status": device.state,
        "timestamp": rfc3339_seconds(at_ms),
        "phoneNumbers": numbers,
    }
    if device.state_reason:
        data["reason"] = device.state_reason
    if device.remedy:
        data["remedy"] = device.remedy
    if device.pairing_payload:
        data["pairingPayload"] = device.pairing_payload
    return data


def _time(ms: int | None) -> str | None:
    return rfc3339(ms) if ms is not None else None
