"""A core in memory that speaks the real gRPC services: what the facade is tested against.

Owns its port.
"""

# ruff: noqa: N802 - methods are named as in the proto

from dataclasses import dataclass, field

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from infinireach.v1 import (
    accounts_service_pb2_grpc,
    devices_service_pb2_grpc,
    messages_service_pb2_grpc,
    webhooks_service_pb2_grpc,
)
from tests.integration.rest_facade.stub_devices import Devices
from tests.integration.rest_facade.stub_messages import Accounts, Messages
from tests.integration.rest_facade.stub_webhooks import Webhooks
from tests.integration.rest_facade.stub_world import Context, World


class Health(health_pb2_grpc.HealthServicer):
    """Whether the stub says that it serves."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> health_pb2.HealthCheckResponse:
        answer = health_pb2.HealthCheckResponse
        return answer(status=answer.SERVING if self._world.serves else answer.NOT_SERVING)


BATCH_BYTES_MAX = 8 * 1024 * 1024
"""What the core reads of one call."""


@dataclass
class StubCore:
    """The stub on a port; `start` and `stop` as often as a test wants, always on the same port."""

    world: World = field(default_factory=World)
    port: int = 0
    _server: grpc.aio.Server | None = None

    async def start(self, credentials: grpc.ServerCredentials | None = None) -> None:
        """Listen, with TLS if there are credentials."""
        server = grpc.aio.server(
            options=(("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", BATCH_BYTES_MAX))
        )
        accounts_service_pb2_grpc.add_AccountsServiceServicer_to_server(Accounts(self.world), server)
        messages_service_pb2_grpc.add_MessagesServiceServicer_to_server(Messages(self.world), server)
        devices_service_pb2_grpc.add_DevicesServiceServicer_to_server(Devices(self.world), server)
        webhooks_service_pb2_grpc.add_WebhooksServiceServicer_to_server(Webhooks(self.world), server)
        health_pb2_grpc.add_HealthServicer_to_server(Health(self.world), server)
        address = f"127.0.0.1:{self.port}"
        if credentials is None:
            self.port = server.add_insecure_port(address)
        else:
            self.port = server.add_secure_port(address, credentials)
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Break every call off and close the port."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None
