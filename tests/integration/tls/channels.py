"""Calls and driver streams over a channel with credentials."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from infinireach.driver.v1 import driver_service_pb2_grpc
from infinireach.v1 import (
    devices_service_pb2,
    devices_service_pb2_grpc,
    messages_service_pb2,
    messages_service_pb2_grpc,
)
from tests.driver_frames import Request
from tests.e2e.played_driver import PlayedDriver, hello
from tests.fakes.core_process import SERVICE_CREDENTIAL

CALL_S_MAX = 20.0
HEADER = "x-forwarded-client-cert"

Metadata = tuple[tuple[str, str], ...]


def channel(target: str, credentials: grpc.ChannelCredentials) -> grpc.aio.Channel:
    """A channel that shares no connection with another one."""
    return grpc.aio.secure_channel(target, credentials, options=[("grpc.use_local_subchannel_pool", 1)])


async def health(target: str, credentials: grpc.ChannelCredentials) -> str:
    """What the server says of itself; the status of the call if it fails."""
    async with channel(target, credentials) as opened:
        try:
            stub: Any = health_pb2_grpc.HealthStub(opened)
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=CALL_S_MAX)
        except grpc.aio.AioRpcError as error:
            return error.code().name
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


async def channelz(target: str, credentials: grpc.ChannelCredentials) -> str:
    """The status of a call that asks which servers and connections the process has."""
    async with channel(target, credentials) as opened:
        ask = opened.unary_unary("/grpc.channelz.v1.Channelz/GetServers")
        try:
            await ask(b"", timeout=CALL_S_MAX)
        except grpc.aio.AioRpcError as error:
            return error.code().name
    return "OK"


async def list_devices(target: str, credentials: grpc.ChannelCredentials, metadata: Metadata) -> None:
    """A call that needs an identity."""
    async with channel(target, credentials) as opened:
        stub = devices_service_pb2_grpc.DevicesServiceStub(opened)
        await stub.ListDevices(
            devices_service_pb2.ListDevicesRequest(), metadata=metadata, timeout=CALL_S_MAX
        )


async def large_message(target: str, credentials: grpc.ChannelCredentials, metadata: Metadata) -> str:
    """The status of a CreateMessage with 2 MB of text."""
    request = messages_service_pb2.CreateMessageRequest()
    request.message.text = "x" * 2_000_000
    async with channel(target, credentials) as opened:
        stub = messages_service_pb2_grpc.MessagesServiceStub(opened)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.CreateMessage(request, metadata=metadata, timeout=CALL_S_MAX)
    return refused.value.code().name


@asynccontextmanager
async def unfinished_calls(
    target: str, credentials: grpc.ChannelCredentials, count: int
) -> AsyncGenerator[list[Any]]:
    """Calls that show no credential and never send their message, in the order in which they were begun."""
    async with channel(target, credentials) as opened:
        calls: list[Any] = []
        for _ in range(count):
            call: Any = opened.stream_unary("/infinireach.v1.MessagesService/CreateMessage")(
                timeout=CALL_S_MAX
            )
            await call.wait_for_connection()
            calls.append(call)
        yield calls


def as_service(tenant_id: str) -> Metadata:
    """The facade, acting for a tenant."""
    return (("authorization", f"Bearer {SERVICE_CREDENTIAL}"), ("x-tenant-id", tenant_id))


def by_token(token: str) -> Metadata:
    """A driver with a token."""
    return (("authorization", f"Bearer {token}"),)


def forwarding(token_id: str) -> Metadata:
    """What Envoy adds to the stream of a driver whose certificate it verified."""
    uri = f"urn:infinireach:driver-token:{token_id}"
    return ((HEADER, f'Hash=0a1b;Subject="CN=driver, O=\\"Acme\\"";URI={uri}'),)


@asynccontextmanager
async def driver_stream(
    target: str,
    credentials: grpc.ChannelCredentials,
    metadata: Metadata,
    *,
    first: Request | None = None,
    says_hello: bool = True,
) -> AsyncGenerator[PlayedDriver]:
    """A stream on which a driver said hello. One that is to be refused says nothing: its words may come too late."""
    async with channel(target, credentials) as opened:
        stub = driver_service_pb2_grpc.DriverServiceStub(opened)
        stream = stub.Connect(metadata=metadata, timeout=CALL_S_MAX)
        driver = PlayedDriver(stream)
        try:
            if says_hello:
                await driver.send(first or hello())
            yield driver
        finally:
            stream.cancel()
