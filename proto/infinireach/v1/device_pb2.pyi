import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from infinireach.v1 import message_pb2 as _message_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DeviceState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEVICE_STATE_UNSPECIFIED: _ClassVar[DeviceState]
    DEVICE_STATE_ONLINE: _ClassVar[DeviceState]
    DEVICE_STATE_OFFLINE: _ClassVar[DeviceState]
    DEVICE_STATE_DEGRADED: _ClassVar[DeviceState]
    DEVICE_STATE_ATTENTION: _ClassVar[DeviceState]
DEVICE_STATE_UNSPECIFIED: DeviceState
DEVICE_STATE_ONLINE: DeviceState
DEVICE_STATE_OFFLINE: DeviceState
DEVICE_STATE_DEGRADED: DeviceState
DEVICE_STATE_ATTENTION: DeviceState

class DeviceAddress(_message.Message):
    __slots__ = ("channel", "number", "slot", "ready")
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    channel: _message_pb2.Channel
    number: str
    slot: int
    ready: bool
    def __init__(self, channel: _Optional[_Union[_message_pb2.Channel, str]] = ..., number: _Optional[str] = ..., slot: _Optional[int] = ..., ready: _Optional[bool] = ...) -> None: ...

class DeviceFeatures(_message.Message):
    __slots__ = ("templates", "media", "groups", "text_characters_max", "read_reports")
    TEMPLATES_FIELD_NUMBER: _ClassVar[int]
    MEDIA_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    TEXT_CHARACTERS_MAX_FIELD_NUMBER: _ClassVar[int]
    READ_REPORTS_FIELD_NUMBER: _ClassVar[int]
    templates: bool
    media: _containers.RepeatedScalarFieldContainer[_message_pb2.MediaType]
    groups: bool
    text_characters_max: int
    read_reports: bool
    def __init__(self, templates: _Optional[bool] = ..., media: _Optional[_Iterable[_Union[_message_pb2.MediaType, str]]] = ..., groups: _Optional[bool] = ..., text_characters_max: _Optional[int] = ..., read_reports: _Optional[bool] = ...) -> None: ...

class Device(_message.Message):
    __slots__ = ("id", "name", "state", "driver", "driver_name", "addresses", "enabled", "state_reason", "remedy", "last_seen_time", "create_time", "queued_messages", "signal_percent", "battery_percent", "features")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DRIVER_FIELD_NUMBER: _ClassVar[int]
    DRIVER_NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    STATE_REASON_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    QUEUED_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_PERCENT_FIELD_NUMBER: _ClassVar[int]
    BATTERY_PERCENT_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    state: DeviceState
    driver: str
    driver_name: str
    addresses: _containers.RepeatedCompositeFieldContainer[DeviceAddress]
    enabled: bool
    state_reason: str
    remedy: str
    last_seen_time: _timestamp_pb2.Timestamp
    create_time: _timestamp_pb2.Timestamp
    queued_messages: int
    signal_percent: int
    battery_percent: int
    features: DeviceFeatures
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., state: _Optional[_Union[DeviceState, str]] = ..., driver: _Optional[str] = ..., driver_name: _Optional[str] = ..., addresses: _Optional[_Iterable[_Union[DeviceAddress, _Mapping]]] = ..., enabled: _Optional[bool] = ..., state_reason: _Optional[str] = ..., remedy: _Optional[str] = ..., last_seen_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., queued_messages: _Optional[int] = ..., signal_percent: _Optional[int] = ..., battery_percent: _Optional[int] = ..., features: _Optional[_Union[DeviceFeatures, _Mapping]] = ...) -> None: ...

class DriverToken(_message.Message):
    __slots__ = ("id", "name", "create_time", "last_use_time")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_USE_TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    create_time: _timestamp_pb2.Timestamp
    last_use_time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_use_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
