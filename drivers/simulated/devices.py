"""The simulated devices: which there are, by default and by setting."""

import json
from typing import Any

from infinireach.driver.v1.session_pb2 import DeviceDescription
from infinireach.v1.device_pb2 import DEVICE_STATE_ONLINE, DeviceAddress, DeviceFeatures
from infinireach.v1.message_pb2 import (
    CHANNEL_SMS,
    CHANNEL_WHATSAPP,
    MEDIA_TYPE_AUDIO,
    MEDIA_TYPE_DOCUMENT,
    MEDIA_TYPE_IMAGE,
    MEDIA_TYPE_STICKER,
    MEDIA_TYPE_VIDEO,
)

DEVICES_MAX = 1000
WINDOW_DEFAULT = 100
WINDOW_MAX = 1000
CHANNELS = {"sms": CHANNEL_SMS, "whatsapp": CHANNEL_WHATSAPP}

FEATURES = {
    "sms": DeviceFeatures(),
    "whatsapp": DeviceFeatures(
        templates=True,
        media=[
            MEDIA_TYPE_IMAGE,
            MEDIA_TYPE_VIDEO,
            MEDIA_TYPE_AUDIO,
            MEDIA_TYPE_DOCUMENT,
            MEDIA_TYPE_STICKER,
        ],
        groups=True,
        read_reports=True,
    ),
}
"""What a device can on each channel: everything."""

DEFAULT_DEVICES = json.dumps([
    {"key": "phone", "name": "Simulated phone", "channel": "sms", "number": "+15559876543"},
    {"key": "whatsapp", "name": "Simulated WhatsApp", "channel": "whatsapp", "number": "+15559876543"},
])


def read_devices(text: str) -> list[DeviceDescription]:
    """The devices of a JSON list: key, number, and optionally name, channel, slot, window."""
    try:
        entries: Any = json.loads(text)
    except ValueError as error:
        raise ValueError(f"must be JSON: {error}") from None
    if not isinstance(entries, list) or not 1 <= len(entries) <= DEVICES_MAX:
        raise ValueError(f"must be a list of 1 to {DEVICES_MAX} devices")
    devices = [_device(entry) for entry in entries]
    if len({device.key for device in devices}) < len(devices):
        raise ValueError("must give each device its own key")
    return devices


def _device(entry: Any) -> DeviceDescription:
    try:
        key, number = str(entry["key"]), str(entry["number"])
        channel = entry.get("channel", "sms")
        slot = int(entry.get("slot", 1 if channel == "sms" else 0))
        window = int(entry.get("window", WINDOW_DEFAULT))
        address = DeviceAddress(channel=CHANNELS[channel], number=number, slot=slot, ready=True)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ValueError(
            "must give each device a key and a number, and may give name, channel (sms, whatsapp), slot, window"
        ) from None
    if not 0 <= window <= WINDOW_MAX:
        raise ValueError(f"must give windows from 0 to {WINDOW_MAX}")
    return DeviceDescription(
        key=key,
        name=str(entry.get("name", key)),
        addresses=[address],
        window=window,
        state=DEVICE_STATE_ONLINE,
        features=FEATURES[channel],
    )
