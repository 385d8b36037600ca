from infinireach.driver.v1 import command_pb2 as _command_pb2
from infinireach.driver.v1 import fact_pb2 as _fact_pb2
from infinireach.driver.v1 import session_pb2 as _session_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ConnectRequest(_message.Message):
    __slots__ = ("hello", "facts", "accepted", "heartbeat", "goodbye")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    hello: _session_pb2.Hello
    facts: _fact_pb2.FactBatch
    accepted: _command_pb2.CommandsAccepted
    heartbeat: _session_pb2.Heartbeat
    goodbye: _session_pb2.Goodbye
    def __init__(self, hello: _Optional[_Union[_session_pb2.Hello, _Mapping]] = ..., facts: _Optional[_Union[_fact_pb2.FactBatch, _Mapping]] = ..., accepted: _Optional[_Union[_command_pb2.CommandsAccepted, _Mapping]] = ..., heartbeat: _Optional[_Union[_session_pb2.Heartbeat, _Mapping]] = ..., goodbye: _Optional[_Union[_session_pb2.Goodbye, _Mapping]] = ...) -> None: ...

class ConnectResponse(_message.Message):
    __slots__ = ("acknowledged_sequence", "welcome", "send_commands", "cancel_command", "heartbeat", "drain", "fact_rejected", "acknowledge")
    ACKNOWLEDGED_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    SEND_COMMANDS_FIELD_NUMBER: _ClassVar[int]
    CANCEL_COMMAND_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    FACT_REJECTED_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGE_FIELD_NUMBER: _ClassVar[int]
    acknowledged_sequence: int
    welcome: _session_pb2.Welcome
    send_commands: _command_pb2.SendCommands
    cancel_command: _command_pb2.CancelCommand
    heartbeat: _session_pb2.Heartbeat
    drain: _session_pb2.Drain
    fact_rejected: _session_pb2.FactRejected
    acknowledge: _session_pb2.Acknowledge
    def __init__(self, acknowledged_sequence: _Optional[int] = ..., welcome: _Optional[_Union[_session_pb2.Welcome, _Mapping]] = ..., send_commands: _Optional[_Union[_command_pb2.SendCommands, _Mapping]] = ..., cancel_command: _Optional[_Union[_command_pb2.CancelCommand, _Mapping]] = ..., heartbeat: _Optional[_Union[_session_pb2.Heartbeat, _Mapping]] = ..., drain: _Optional[_Union[_session_pb2.Drain, _Mapping]] = ..., fact_rejected: _Optional[_Union[_session_pb2.FactRejected, _Mapping]] = ..., acknowledge: _Optional[_Union[_session_pb2.Acknowledge, _Mapping]] = ...) -> None: ...
