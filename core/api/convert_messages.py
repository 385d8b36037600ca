"""Messages: rows to proto, filters from proto.

Owns that one conversion; no rules.
"""

import json

from google.protobuf.timestamp_pb2 import Timestamp

from core import contents
from core.api import convert_contents
from core.message_state import State
from core.messages import MessageFilter
from core.store.rows import AttemptRow, DeliveryRow, MessageRow, TimelineRow
from infinireach.v1 import message_pb2, messages_service_pb2

CHANNELS = {message_pb2.CHANNEL_SMS: "sms", message_pb2.CHANNEL_WHATSAPP: "whatsapp"}
_CHANNEL_NUMBERS = {word: number for number, word in CHANNELS.items()}
_DIRECTIONS = {message_pb2.DIRECTION_OUTBOUND: "outbound", message_pb2.DIRECTION_INBOUND: "inbound"}
_DIRECTION_NUMBERS = {word: number for number, word in _DIRECTIONS.items()}
_STATES: dict[message_pb2.MessageState, str] = {
    getattr(message_pb2, f"MESSAGE_STATE_{state.name}"): state.value for state in State
}
_STATE_NUMBERS = {word: number for number, word in _STATES.items()}
_ENCODINGS = {"gsm7": message_pb2.ENCODING_GSM7, "ucs2": message_pb2.ENCODING_UCS2}
_REASONS: dict[str, message_pb2.FailureReason] = {
    name.removeprefix("FAILURE_REASON_").lower(): getattr(message_pb2, name)
    for name in message_pb2.FailureReason.keys()  # noqa: SIM118 - an enum wrapper, no dict
}


def timestamp(ms: int | None) -> Timestamp | None:
    """A proto timestamp; None stays None, which leaves a field unset."""
    if ms is None:
        return None
    seconds, milliseconds = divmod(ms, 1000)
    return Timestamp(seconds=seconds, nanos=milliseconds * 1_000_000)


def encoding(word: str) -> message_pb2.Encoding:
    """The proto's encoding; unspecified where the channel has none."""
    return _ENCODINGS.get(word, message_pb2.ENCODING_UNSPECIFIED)


def message(row: MessageRow) -> message_pb2.Message:
    """A message as callers see it."""
    failure = None
    if row.failure_reason is not None:
        failure = message_pb2.Failure(
            reason=_REASONS.get(row.failure_reason),
            network_code=row.failure_code or "",
            detail=row.failure_detail or "",
        )
    content = contents.read(row.content)
    return message_pb2.Message(
        id=row.id,
        external_id=row.external_id or "",
        channel=_CHANNEL_NUMBERS[row.channel],
        direction=_DIRECTION_NUMBERS[row.direction],
        source=row.source,
        destination=row.destination,
        text=row.body,
        device_id=row.device_id,
        state=_STATE_NUMBERS[row.state],
        failure=failure,
        segments=row.segments,
        encoding=encoding(row.encoding),
        create_time=timestamp(row.created_ms),
        send_time=timestamp(row.sent_ms),
        deliver_time=timestamp(row.delivered_ms),
        fail_time=timestamp(row.failed_ms),
        hold_reason=row.hold_reason or "",
        hold_time=timestamp(row.hold_until_ms),
        template=convert_contents.template(content) if isinstance(content, contents.Template) else None,
        media=convert_contents.media(content) if isinstance(content, contents.Media) else None,
        read_time=timestamp(row.read_ms),
        group_id=row.group_id or "",
        reply_to_message_id=row.reply_to_id or "",
        sender_name=row.sender_name or "",
    )


def message_filter(request: messages_service_pb2.ListMessagesRequest, before_id: str) -> MessageFilter:
    """What the request wants listed."""
    return MessageFilter(
        state=_STATES.get(request.state, ""),
        channel=CHANNELS.get(request.channel, ""),
        direction=_DIRECTIONS.get(request.direction, ""),
        sender=getattr(request, "from"),
        recipient=request.to,
        since_ms=request.since_time.ToMilliseconds() if request.HasField("since_time") else None,
        until_ms=request.until_time.ToMilliseconds() if request.HasField("until_time") else None,
        before_id=before_id,
    )


_SENTENCES = {
    "accepted": "Accepted and stored.",
    "claimed": "Given to the device's driver.",
    "submitted": "The network took it.",
    "delivered": "The network reported it delivered.",
    "read": "The recipient was reported to have read it.",
    "failed": "It failed.",
    "retry": "It could not be sent and waits for another attempt.",
    "unknown": "Nobody can tell whether the network took it.",
    "expired": "Its deadline passed before it was sent.",
    "cancelled": "It was withdrawn.",
    "received": "It came in.",
    "late_report": "A report came that changes nothing any more.",
    "webhook_attempt": "A webhook was called.",
    "shortened": "What happened before is left out: there are too many steps.",
}


def step(row: TimelineRow) -> message_pb2.TimelineEntry:
    """A stored step."""
    return _entry(row.at_ms, row.step, json.loads(row.attributes))


def accepted_step(row: MessageRow) -> message_pb2.TimelineEntry:
    """The first step of an outbound message, which is not stored: the row itself says it."""
    attributes = {"device": row.device_id, "segments": str(row.segments), "encoding": row.encoding}
    return _entry(row.created_ms, "accepted", attributes)


def shortened_step(oldest: message_pb2.TimelineEntry) -> message_pb2.TimelineEntry:
    """What stands for the steps before the oldest one that is shown."""
    return message_pb2.TimelineEntry(time=oldest.time, step="shortened", description=_SENTENCES["shortened"])


def attempt_step(delivery: DeliveryRow, attempt: AttemptRow) -> message_pb2.TimelineEntry:
    """An attempt to tell a webhook of the message."""
    attributes = {
        "event": delivery.event_type,
        "webhook": delivery.webhook_id,
        "delivery": delivery.id,
        "attempt": str(attempt.number),
        "status": str(attempt.status),
    }
    if attempt.error:
        attributes["error"] = attempt.error
    return _entry(attempt.at_ms, "webhook_attempt", attributes)


def _entry(at_ms: int, name: str, attributes: dict[str, str]) -> message_pb2.TimelineEntry:
    return message_pb2.TimelineEntry(
        time=timestamp(at_ms), step=name, description=_SENTENCES.get(name, name), attributes=attributes
    )
