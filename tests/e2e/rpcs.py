"""Every RPC of the public services, from the descriptors, called with an API key.

Owns the channel, the list of RPCs, and the comparison of what calls came to.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from infinireach.v1 import (
    accounts_service_pb2,
    devices_service_pb2,
    messages_service_pb2,
    webhooks_service_pb2,
)

RPCS: dict[str, MethodDescriptor] = {
    method.name: method
    for module in (accounts_service_pb2, devices_service_pb2, messages_service_pb2, webhooks_service_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to; equal outcomes cannot be told apart but by their request ids."""

    code: str
    text: str
    reason: str
    metadata: tuple[tuple[str, str], ...]
    details: tuple[str, ...]
    answer: Message | None = None


class Rpcs:
    """The services as one caller sees them."""

    def __init__(self, channel: grpc.aio.Channel, key: str) -> None:
        self._channel = channel
        self._key = key

    async def call(self, name: str, request: Message) -> Outcome:
        """Call an RPC by its name, which no two services share."""
        method = RPCS[name]
        invoke: Any = self._channel.unary_unary(
            f"/{method.containing_service.full_name}/{name}",
            request_serializer=_serialize,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        metadata = (("x-api-key", self._key),) if self._key else ()
        try:
            answer = await invoke(request, metadata=metadata, timeout=20)
        except grpc.aio.AioRpcError as error:
            return _refused(error)
        return Outcome("OK", "", "", (), (), answer)


@asynccontextmanager
async def rpcs(target: str, key: str) -> AsyncGenerator[Rpcs]:
    """The services at an address, with a key; an empty one presents none."""
    async with grpc.aio.insecure_channel(target) as channel:
        yield Rpcs(channel, key)


def _serialize(request: Message) -> bytes:
    return request.SerializeToString()


def _refused(error: grpc.aio.AioRpcError) -> Outcome:
    status: Any = rpc_status.from_call(error)  # pyright: ignore[reportArgumentType]
    assert status is not None, error
    reason, metadata, others = "", (), []
    for packed in status.details:
        info = error_details_pb2.ErrorInfo()
        if packed.Unpack(info):
            reason, metadata = info.reason, tuple(sorted(info.metadata.items()))
        elif not packed.Is(error_details_pb2.RequestInfo.DESCRIPTOR):
            others.append(str(packed))
    return Outcome(error.code().name, error.details() or "", reason, metadata, tuple(others))
