"""The public words of the proto's enums, in both directions. One idea, one table.

A word is the value's name in lower case without the enum's prefix; the value 0 has none.
"""

from collections.abc import Mapping
from typing import Any

from infinireach.v1 import device_pb2, message_pb2, webhook_pb2

OTHER = "other"
"""What a value is called that a newer core knows and this facade does not."""


def _words(enum: Any, prefix: str) -> Mapping[int, str]:
    return {enum.Value(name): name.removeprefix(prefix).lower() for name in enum.keys()[1:]}


def by_word(words: Mapping[int, str]) -> Mapping[str, Any]:
    """The enum's values by their words."""
    return {word: value for value, word in words.items()}


CHANNELS = _words(message_pb2.Channel, "CHANNEL_")
DIRECTIONS = _words(message_pb2.Direction, "DIRECTION_")
STATUSES = _words(message_pb2.MessageState, "MESSAGE_STATE_")
REASONS = _words(message_pb2.FailureReason, "FAILURE_REASON_")
MEDIA_TYPES = _words(message_pb2.MediaType, "MEDIA_TYPE_")
ENCODINGS = _words(message_pb2.Encoding, "ENCODING_")
DEVICE_STATUSES = _words(device_pb2.DeviceState, "DEVICE_STATE_")
DELIVERY_STATUSES = _words(webhook_pb2.DeliveryState, "DELIVERY_STATE_")
