import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from infinireach.v1 import device_pb2 as _device_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Capability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CAPABILITY_UNSPECIFIED: _ClassVar[Capability]
    CAPABILITY_DELIVERY_REPORTS: _ClassVar[Capability]
    CAPABILITY_INBOUND: _ClassVar[Capability]
    CAPABILITY_IDEMPOTENT_SUBMIT: _ClassVar[Capability]
    CAPABILITY_CANCEL: _ClassVar[Capability]
CAPABILITY_UNSPECIFIED: Capability
CAPABILITY_DELIVERY_REPORTS: Capability
CAPABILITY_INBOUND: Capability
CAPABILITY_IDEMPOTENT_SUBMIT: Capability
CAPABILITY_CANCEL: Capability

class Hello(_message.Message):
    __slots__ = ("driver_name", "driver_kind", "driver_version", "instance_id", "journal_id", "first_unacknowledged_sequence", "last_sequence", "capabilities", "devices", "open_commands")
    DRIVER_NAME_FIELD_NUMBER: _ClassVar[int]
    DRIVER_KIND_FIELD_NUMBER: _ClassVar[int]
    DRIVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_ID_FIELD_NUMBER: _ClassVar[int]
    FIRST_UNACKNOWLEDGED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    OPEN_COMMANDS_FIELD_NUMBER: _ClassVar[int]
    driver_name: str
    driver_kind: str
    driver_version: str
    instance_id: str
    journal_id: str
    first_unacknowledged_sequence: int
    last_sequence: int
    capabilities: _containers.RepeatedScalarFieldContainer[Capability]
    devices: _containers.RepeatedCompositeFieldContainer[DeviceDescription]
    open_commands: _containers.RepeatedCompositeFieldContainer[OpenCommand]
    def __init__(self, driver_name: _Optional[str] = ..., driver_kind: _Optional[str] = ..., driver_version: _Optional[str] = ..., instance_id: _Optional[str] = ..., journal_id: _Optional[str] = ..., first_unacknowledged_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ..., capabilities: _Optional[_Iterable[_Union[Capability, str]]] = ..., devices: _Optional[_Iterable[_Union[DeviceDescription, _Mapping]]] = ..., open_commands: _Optional[_Iterable[_Union[OpenCommand, _Mapping]]] = ...) -> None: ...

class DeviceDescription(_message.Message):
    __slots__ = ("key", "name", "addresses", "window", "state", "features")
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    key: str
    name: str
    addresses: _containers.RepeatedCompositeFieldContainer[_device_pb2.DeviceAddress]
    window: int
    state: _device_pb2.DeviceState
    features: _device_pb2.DeviceFeatures
    def __init__(self, key: _Optional[str] = ..., name: _Optional[str] = ..., addresses: _Optional[_Iterable[_Union[_device_pb2.DeviceAddress, _Mapping]]] = ..., window: _Optional[int] = ..., state: _Optional[_Union[_device_pb2.DeviceState, str]] = ..., features: _Optional[_Union[_device_pb2.DeviceFeatures, _Mapping]] = ...) -> None: ...

class OpenCommand(_message.Message):
    __slots__ = ("command_id", "phase")
    class Phase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PHASE_UNSPECIFIED: _ClassVar[OpenCommand.Phase]
        PHASE_HELD: _ClassVar[OpenCommand.Phase]
        PHASE_STARTED: _ClassVar[OpenCommand.Phase]
    PHASE_UNSPECIFIED: OpenCommand.Phase
    PHASE_HELD: OpenCommand.Phase
    PHASE_STARTED: OpenCommand.Phase
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    command_id: str
    phase: OpenCommand.Phase
    def __init__(self, command_id: _Optional[str] = ..., phase: _Optional[_Union[OpenCommand.Phase, str]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("epoch", "resume_after_sequence", "heartbeat_interval", "heartbeat_timeout", "frame_bytes_max", "unacknowledged_facts_max", "capabilities", "drop_command_ids", "refused_devices")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    RESUME_AFTER_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    FRAME_BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    UNACKNOWLEDGED_FACTS_MAX_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    DROP_COMMAND_IDS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_DEVICES_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    resume_after_sequence: int
    heartbeat_interval: _duration_pb2.Duration
    heartbeat_timeout: _duration_pb2.Duration
    frame_bytes_max: int
    unacknowledged_facts_max: int
    capabilities: _containers.RepeatedScalarFieldContainer[Capability]
    drop_command_ids: _containers.RepeatedScalarFieldContainer[str]
    refused_devices: _containers.RepeatedCompositeFieldContainer[DeviceRefusal]
    def __init__(self, epoch: _Optional[int] = ..., resume_after_sequence: _Optional[int] = ..., heartbeat_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., heartbeat_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., frame_bytes_max: _Optional[int] = ..., unacknowledged_facts_max: _Optional[int] = ..., capabilities: _Optional[_Iterable[_Union[Capability, str]]] = ..., drop_command_ids: _Optional[_Iterable[str]] = ..., refused_devices: _Optional[_Iterable[_Union[DeviceRefusal, _Mapping]]] = ...) -> None: ...

class DeviceRefusal(_message.Message):
    __slots__ = ("device_key", "number", "detail")
    DEVICE_KEY_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    device_key: str
    number: str
    detail: str
    def __init__(self, device_key: _Optional[str] = ..., number: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ("reason", "reconnect_expected")
    REASON_FIELD_NUMBER: _ClassVar[int]
    RECONNECT_EXPECTED_FIELD_NUMBER: _ClassVar[int]
    reason: str
    reconnect_expected: bool
    def __init__(self, reason: _Optional[str] = ..., reconnect_expected: _Optional[bool] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ("reason", "grace_period")
    REASON_FIELD_NUMBER: _ClassVar[int]
    GRACE_PERIOD_FIELD_NUMBER: _ClassVar[int]
    reason: str
    grace_period: _duration_pb2.Duration
    def __init__(self, reason: _Optional[str] = ..., grace_period: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class FactRejected(_message.Message):
    __slots__ = ("sequence", "reason", "detail")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    reason: str
    detail: str
    def __init__(self, sequence: _Optional[int] = ..., reason: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class Acknowledge(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
