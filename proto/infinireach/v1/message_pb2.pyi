import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Channel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANNEL_UNSPECIFIED: _ClassVar[Channel]
    CHANNEL_SMS: _ClassVar[Channel]
    CHANNEL_WHATSAPP: _ClassVar[Channel]

class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIRECTION_UNSPECIFIED: _ClassVar[Direction]
    DIRECTION_OUTBOUND: _ClassVar[Direction]
    DIRECTION_INBOUND: _ClassVar[Direction]

class MessageState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MESSAGE_STATE_UNSPECIFIED: _ClassVar[MessageState]
    MESSAGE_STATE_QUEUED: _ClassVar[MessageState]
    MESSAGE_STATE_SCHEDULED: _ClassVar[MessageState]
    MESSAGE_STATE_SENDING: _ClassVar[MessageState]
    MESSAGE_STATE_SENT: _ClassVar[MessageState]
    MESSAGE_STATE_DELIVERED: _ClassVar[MessageState]
    MESSAGE_STATE_FAILED: _ClassVar[MessageState]
    MESSAGE_STATE_EXPIRED: _ClassVar[MessageState]
    MESSAGE_STATE_CANCELLED: _ClassVar[MessageState]
    MESSAGE_STATE_UNKNOWN: _ClassVar[MessageState]

class FailureReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FAILURE_REASON_UNSPECIFIED: _ClassVar[FailureReason]
    FAILURE_REASON_OUTCOME_UNKNOWN: _ClassVar[FailureReason]
    FAILURE_REASON_DESTINATION_INVALID: _ClassVar[FailureReason]
    FAILURE_REASON_DESTINATION_UNREACHABLE: _ClassVar[FailureReason]
    FAILURE_REASON_NETWORK_REJECTED: _ClassVar[FailureReason]
    FAILURE_REASON_NO_SERVICE: _ClassVar[FailureReason]
    FAILURE_REASON_CREDIT_EXHAUSTED: _ClassVar[FailureReason]
    FAILURE_REASON_DEVICE_FAULT: _ClassVar[FailureReason]
    FAILURE_REASON_CONTENT_UNSUPPORTED: _ClassVar[FailureReason]
    FAILURE_REASON_EXPIRED: _ClassVar[FailureReason]
    FAILURE_REASON_CANCELLED: _ClassVar[FailureReason]
    FAILURE_REASON_WINDOW_CLOSED: _ClassVar[FailureReason]
    FAILURE_REASON_RECIPIENT_OPTED_OUT: _ClassVar[FailureReason]
    FAILURE_REASON_RATE_LIMITED: _ClassVar[FailureReason]
    FAILURE_REASON_DEVICE_REMOVED: _ClassVar[FailureReason]
    FAILURE_REASON_PARTLY_SENT: _ClassVar[FailureReason]
    FAILURE_REASON_TEMPLATE_REJECTED: _ClassVar[FailureReason]

class MediaType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MEDIA_TYPE_UNSPECIFIED: _ClassVar[MediaType]
    MEDIA_TYPE_IMAGE: _ClassVar[MediaType]
    MEDIA_TYPE_VIDEO: _ClassVar[MediaType]
    MEDIA_TYPE_AUDIO: _ClassVar[MediaType]
    MEDIA_TYPE_DOCUMENT: _ClassVar[MediaType]
    MEDIA_TYPE_STICKER: _ClassVar[MediaType]

class Encoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENCODING_UNSPECIFIED: _ClassVar[Encoding]
    ENCODING_GSM7: _ClassVar[Encoding]
    ENCODING_UCS2: _ClassVar[Encoding]
CHANNEL_UNSPECIFIED: Channel
CHANNEL_SMS: Channel
CHANNEL_WHATSAPP: Channel
DIRECTION_UNSPECIFIED: Direction
DIRECTION_OUTBOUND: Direction
DIRECTION_INBOUND: Direction
MESSAGE_STATE_UNSPECIFIED: MessageState
MESSAGE_STATE_QUEUED: MessageState
MESSAGE_STATE_SCHEDULED: MessageState
MESSAGE_STATE_SENDING: MessageState
MESSAGE_STATE_SENT: MessageState
MESSAGE_STATE_DELIVERED: MessageState
MESSAGE_STATE_FAILED: MessageState
MESSAGE_STATE_EXPIRED: MessageState
MESSAGE_STATE_CANCELLED: MessageState
MESSAGE_STATE_UNKNOWN: MessageState
FAILURE_REASON_UNSPECIFIED: FailureReason
FAILURE_REASON_OUTCOME_UNKNOWN: FailureReason
FAILURE_REASON_DESTINATION_INVALID: FailureReason
FAILURE_REASON_DESTINATION_UNREACHABLE: FailureReason
FAILURE_REASON_NETWORK_REJECTED: FailureReason
FAILURE_REASON_NO_SERVICE: FailureReason
FAILURE_REASON_CREDIT_EXHAUSTED: FailureReason
FAILURE_REASON_DEVICE_FAULT: FailureReason
FAILURE_REASON_CONTENT_UNSUPPORTED: FailureReason
FAILURE_REASON_EXPIRED: FailureReason
FAILURE_REASON_CANCELLED: FailureReason
FAILURE_REASON_WINDOW_CLOSED: FailureReason
FAILURE_REASON_RECIPIENT_OPTED_OUT: FailureReason
FAILURE_REASON_RATE_LIMITED: FailureReason
FAILURE_REASON_DEVICE_REMOVED: FailureReason
FAILURE_REASON_PARTLY_SENT: FailureReason
FAILURE_REASON_TEMPLATE_REJECTED: FailureReason
MEDIA_TYPE_UNSPECIFIED: MediaType
MEDIA_TYPE_IMAGE: MediaType
MEDIA_TYPE_VIDEO: MediaType
MEDIA_TYPE_AUDIO: MediaType
MEDIA_TYPE_DOCUMENT: MediaType
MEDIA_TYPE_STICKER: MediaType
ENCODING_UNSPECIFIED: Encoding
ENCODING_GSM7: Encoding
ENCODING_UCS2: Encoding

class Template(_message.Message):
    __slots__ = ("name", "language", "components_json")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    COMPONENTS_JSON_FIELD_NUMBER: _ClassVar[int]
    name: str
    language: str
    components_json: str
    def __init__(self, name: _Optional[str] = ..., language: _Optional[str] = ..., components_json: _Optional[str] = ...) -> None: ...

class Media(_message.Message):
    __slots__ = ("type", "url", "filename", "mime_type", "network_id")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    MIME_TYPE_FIELD_NUMBER: _ClassVar[int]
    NETWORK_ID_FIELD_NUMBER: _ClassVar[int]
    type: MediaType
    url: str
    filename: str
    mime_type: str
    network_id: str
    def __init__(self, type: _Optional[_Union[MediaType, str]] = ..., url: _Optional[str] = ..., filename: _Optional[str] = ..., mime_type: _Optional[str] = ..., network_id: _Optional[str] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("reason", "network_code", "detail")
    REASON_FIELD_NUMBER: _ClassVar[int]
    NETWORK_CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    reason: FailureReason
    network_code: str
    detail: str
    def __init__(self, reason: _Optional[_Union[FailureReason, str]] = ..., network_code: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class Message(_message.Message):
    __slots__ = ("id", "external_id", "channel", "direction", "source", "destination", "text", "device_id", "state", "failure", "segments", "encoding", "create_time", "send_time", "deliver_time", "fail_time", "hold_reason", "hold_time", "template", "media", "read_time", "group_id", "reply_to_message_id", "sender_name")
    ID_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_ID_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    SEND_TIME_FIELD_NUMBER: _ClassVar[int]
    DELIVER_TIME_FIELD_NUMBER: _ClassVar[int]
    FAIL_TIME_FIELD_NUMBER: _ClassVar[int]
    HOLD_REASON_FIELD_NUMBER: _ClassVar[int]
    HOLD_TIME_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    READ_TIME_FIELD_NUMBER: _ClassVar[int]
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    REPLY_TO_MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_NAME_FIELD_NUMBER: _ClassVar[int]
    id: str
    external_id: str
    channel: Channel
    direction: Direction
    source: str
    destination: str
    text: str
    device_id: str
    state: MessageState
    failure: Failure
    segments: int
    encoding: Encoding
    create_time: _timestamp_pb2.Timestamp
    send_time: _timestamp_pb2.Timestamp
    deliver_time: _timestamp_pb2.Timestamp
    fail_time: _timestamp_pb2.Timestamp
    hold_reason: str
    hold_time: _timestamp_pb2.Timestamp
    template: Template
    media: Media
    read_time: _timestamp_pb2.Timestamp
    group_id: str
    reply_to_message_id: str
    sender_name: str
    def __init__(self, id: _Optional[str] = ..., external_id: _Optional[str] = ..., channel: _Optional[_Union[Channel, str]] = ..., direction: _Optional[_Union[Direction, str]] = ..., source: _Optional[str] = ..., destination: _Optional[str] = ..., text: _Optional[str] = ..., device_id: _Optional[str] = ..., state: _Optional[_Union[MessageState, str]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., segments: _Optional[int] = ..., encoding: _Optional[_Union[Encoding, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., send_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., deliver_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., fail_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., hold_reason: _Optional[str] = ..., hold_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., template: _Optional[_Union[Template, _Mapping]] = ..., media: _Optional[_Union[Media, _Mapping]] = ..., read_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., group_id: _Optional[str] = ..., reply_to_message_id: _Optional[str] = ..., sender_name: _Optional[str] = ...) -> None: ...

class TimelineEntry(_message.Message):
    __slots__ = ("time", "step", "description", "attributes")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TIME_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    step: str
    description: str
    attributes: _containers.ScalarMap[str, str]
    def __init__(self, time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., step: _Optional[str] = ..., description: _Optional[str] = ..., attributes: _Optional[_Mapping[str, str]] = ...) -> None: ...
