from google.protobuf import field_mask_pb2 as _field_mask_pb2
from infinireach.v1 import device_pb2 as _device_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListDevicesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListDevicesResponse(_message.Message):
    __slots__ = ("devices",)
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    devices: _containers.RepeatedCompositeFieldContainer[_device_pb2.Device]
    def __init__(self, devices: _Optional[_Iterable[_Union[_device_pb2.Device, _Mapping]]] = ...) -> None: ...

class GetDeviceRequest(_message.Message):
    __slots__ = ("device_id",)
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    def __init__(self, device_id: _Optional[str] = ...) -> None: ...

class GetDeviceResponse(_message.Message):
    __slots__ = ("device",)
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    device: _device_pb2.Device
    def __init__(self, device: _Optional[_Union[_device_pb2.Device, _Mapping]] = ...) -> None: ...

class UpdateDeviceRequest(_message.Message):
    __slots__ = ("device_id", "name", "enabled", "update_mask")
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    name: str
    enabled: bool
    update_mask: _field_mask_pb2.FieldMask
    def __init__(self, device_id: _Optional[str] = ..., name: _Optional[str] = ..., enabled: _Optional[bool] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class UpdateDeviceResponse(_message.Message):
    __slots__ = ("device",)
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    device: _device_pb2.Device
    def __init__(self, device: _Optional[_Union[_device_pb2.Device, _Mapping]] = ...) -> None: ...

class DeleteDeviceRequest(_message.Message):
    __slots__ = ("device_id",)
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    device_id: str
    def __init__(self, device_id: _Optional[str] = ...) -> None: ...

class DeleteDeviceResponse(_message.Message):
    __slots__ = ("failed_messages",)
    FAILED_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    failed_messages: int
    def __init__(self, failed_messages: _Optional[int] = ...) -> None: ...

class CreateDriverTokenRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class CreateDriverTokenResponse(_message.Message):
    __slots__ = ("driver_token", "token")
    DRIVER_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    driver_token: _device_pb2.DriverToken
    token: str
    def __init__(self, driver_token: _Optional[_Union[_device_pb2.DriverToken, _Mapping]] = ..., token: _Optional[str] = ...) -> None: ...

class ListDriverTokensRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListDriverTokensResponse(_message.Message):
    __slots__ = ("driver_tokens",)
    DRIVER_TOKENS_FIELD_NUMBER: _ClassVar[int]
    driver_tokens: _containers.RepeatedCompositeFieldContainer[_device_pb2.DriverToken]
    def __init__(self, driver_tokens: _Optional[_Iterable[_Union[_device_pb2.DriverToken, _Mapping]]] = ...) -> None: ...

class DeleteDriverTokenRequest(_message.Message):
    __slots__ = ("driver_token_id",)
    DRIVER_TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    driver_token_id: str
    def __init__(self, driver_token_id: _Optional[str] = ...) -> None: ...

class DeleteDriverTokenResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
