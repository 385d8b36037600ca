import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from infinireach.v1 import message_pb2 as _message_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SendCommands(_message.Message):
    __slots__ = ("commands",)
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    commands: _containers.RepeatedCompositeFieldContainer[SendCommand]
    def __init__(self, commands: _Optional[_Iterable[_Union[SendCommand, _Mapping]]] = ...) -> None: ...

class SendCommand(_message.Message):
    __slots__ = ("command_id", "message_id", "device_key", "channel", "source", "destination", "text", "template", "media", "delivery_report_wanted", "not_after", "traceparent")
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    DEVICE_KEY_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_REPORT_WANTED_FIELD_NUMBER: _ClassVar[int]
    NOT_AFTER_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    message_id: str
    device_key: str
    channel: _message_pb2.Channel
    source: str
    destination: str
    text: TextContent
    template: _message_pb2.Template
    media: MediaContent
    delivery_report_wanted: bool
    not_after: _timestamp_pb2.Timestamp
    traceparent: str
    def __init__(self, command_id: _Optional[str] = ..., message_id: _Optional[str] = ..., device_key: _Optional[str] = ..., channel: _Optional[_Union[_message_pb2.Channel, str]] = ..., source: _Optional[str] = ..., destination: _Optional[str] = ..., text: _Optional[_Union[TextContent, _Mapping]] = ..., template: _Optional[_Union[_message_pb2.Template, _Mapping]] = ..., media: _Optional[_Union[MediaContent, _Mapping]] = ..., delivery_report_wanted: _Optional[bool] = ..., not_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., traceparent: _Optional[str] = ...) -> None: ...

class TextContent(_message.Message):
    __slots__ = ("body", "encoding", "segments")
    BODY_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    body: str
    encoding: _message_pb2.Encoding
    segments: int
    def __init__(self, body: _Optional[str] = ..., encoding: _Optional[_Union[_message_pb2.Encoding, str]] = ..., segments: _Optional[int] = ...) -> None: ...

class MediaContent(_message.Message):
    __slots__ = ("media", "caption")
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    media: _message_pb2.Media
    caption: str
    def __init__(self, media: _Optional[_Union[_message_pb2.Media, _Mapping]] = ..., caption: _Optional[str] = ...) -> None: ...

class CancelCommand(_message.Message):
    __slots__ = ("command_id",)
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    def __init__(self, command_id: _Optional[str] = ...) -> None: ...

class CommandsAccepted(_message.Message):
    __slots__ = ("command_ids",)
    COMMAND_IDS_FIELD_NUMBER: _ClassVar[int]
    command_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, command_ids: _Optional[_Iterable[str]] = ...) -> None: ...
