import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from infinireach.v1 import device_pb2 as _device_pb2
from infinireach.v1 import message_pb2 as _message_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FactBatch(_message.Message):
    __slots__ = ("facts",)
    FACTS_FIELD_NUMBER: _ClassVar[int]
    facts: _containers.RepeatedCompositeFieldContainer[Fact]
    def __init__(self, facts: _Optional[_Iterable[_Union[Fact, _Mapping]]] = ...) -> None: ...

class Fact(_message.Message):
    __slots__ = ("sequence", "event_time", "command_report", "inbound_message", "device_changed")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    COMMAND_REPORT_FIELD_NUMBER: _ClassVar[int]
    INBOUND_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_CHANGED_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    event_time: _timestamp_pb2.Timestamp
    command_report: CommandReport
    inbound_message: InboundMessage
    device_changed: DeviceChanged
    def __init__(self, sequence: _Optional[int] = ..., event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., command_report: _Optional[_Union[CommandReport, _Mapping]] = ..., inbound_message: _Optional[_Union[InboundMessage, _Mapping]] = ..., device_changed: _Optional[_Union[DeviceChanged, _Mapping]] = ...) -> None: ...

class CommandReport(_message.Message):
    __slots__ = ("command_id", "submitted", "delivered", "failed", "cancelled", "outcome_unknown", "retry_delay")
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    RETRY_DELAY_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    submitted: Submitted
    delivered: Delivered
    failed: _message_pb2.Failure
    cancelled: Cancelled
    outcome_unknown: OutcomeUnknown
    retry_delay: _duration_pb2.Duration
    def __init__(self, command_id: _Optional[str] = ..., submitted: _Optional[_Union[Submitted, _Mapping]] = ..., delivered: _Optional[_Union[Delivered, _Mapping]] = ..., failed: _Optional[_Union[_message_pb2.Failure, _Mapping]] = ..., cancelled: _Optional[_Union[Cancelled, _Mapping]] = ..., outcome_unknown: _Optional[_Union[OutcomeUnknown, _Mapping]] = ..., retry_delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Submitted(_message.Message):
    __slots__ = ("segment_references",)
    SEGMENT_REFERENCES_FIELD_NUMBER: _ClassVar[int]
    segment_references: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, segment_references: _Optional[_Iterable[str]] = ...) -> None: ...

class Delivered(_message.Message):
    __slots__ = ("segments", "network_time", "is_read")
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    NETWORK_TIME_FIELD_NUMBER: _ClassVar[int]
    IS_READ_FIELD_NUMBER: _ClassVar[int]
    segments: _containers.RepeatedScalarFieldContainer[int]
    network_time: _timestamp_pb2.Timestamp
    is_read: bool
    def __init__(self, segments: _Optional[_Iterable[int]] = ..., network_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., is_read: _Optional[bool] = ...) -> None: ...

class Cancelled(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class OutcomeUnknown(_message.Message):
    __slots__ = ("detail",)
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    detail: str
    def __init__(self, detail: _Optional[str] = ...) -> None: ...

class InboundMessage(_message.Message):
    __slots__ = ("device_key", "channel", "source", "destination", "text", "network_time", "segments", "group_id", "media", "reply_to_command_id", "sender_name")
    DEVICE_KEY_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NETWORK_TIME_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    REPLY_TO_COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_NAME_FIELD_NUMBER: _ClassVar[int]
    device_key: str
    channel: _message_pb2.Channel
    source: str
    destination: str
    text: str
    network_time: _timestamp_pb2.Timestamp
    segments: int
    group_id: str
    media: _message_pb2.Media
    reply_to_command_id: str
    sender_name: str
    def __init__(self, device_key: _Optional[str] = ..., channel: _Optional[_Union[_message_pb2.Channel, str]] = ..., source: _Optional[str] = ..., destination: _Optional[str] = ..., text: _Optional[str] = ..., network_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., segments: _Optional[int] = ..., group_id: _Optional[str] = ..., media: _Optional[_Union[_message_pb2.Media, _Mapping]] = ..., reply_to_command_id: _Optional[str] = ..., sender_name: _Optional[str] = ...) -> None: ...

class DeviceChanged(_message.Message):
    __slots__ = ("device_key", "state", "reason", "remedy", "window", "signal_percent", "battery_percent", "pairing_payload")
    DEVICE_KEY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_PERCENT_FIELD_NUMBER: _ClassVar[int]
    BATTERY_PERCENT_FIELD_NUMBER: _ClassVar[int]
    PAIRING_PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    device_key: str
    state: _device_pb2.DeviceState
    reason: str
    remedy: str
    window: int
    signal_percent: int
    battery_percent: int
    pairing_payload: str
    def __init__(self, device_key: _Optional[str] = ..., state: _Optional[_Union[_device_pb2.DeviceState, str]] = ..., reason: _Optional[str] = ..., remedy: _Optional[str] = ..., window: _Optional[int] = ..., signal_percent: _Optional[int] = ..., battery_percent: _Optional[int] = ..., pairing_payload: _Optional[str] = ...) -> None: ...
