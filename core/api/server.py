"""The gRPC server: its port, its services, its health.

Owns what is served where and the server's options. What a call does is its service's business.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from core import service_credential
from core.api.accounts_service import AccountsService
from core.api.devices_service import DevicesService
from core.api.driver_service import DriverService
from core.api.identity import Identity
from core.api.key_cache import KeyCache
from core.api.messages_service import MessagesService
from core.api.webhook_tester import WebhookTester
from core.api.webhooks_service import WebhooksService
from core.clock import Clock
from core.config import Settings
from core.delivery.egress import EgressPolicy
from core.sessions.dispatcher import Dispatcher
from core.store.engine import Store
from core.vault import Vault
from infinireach.driver.v1 import driver_service_pb2, driver_service_pb2_grpc
from infinireach.v1 import (
    accounts_service_pb2,
    accounts_service_pb2_grpc,
    devices_service_pb2,
    devices_service_pb2_grpc,
    messages_service_pb2,
    messages_service_pb2_grpc,
    webhooks_service_pb2,
    webhooks_service_pb2_grpc,
)

REQUEST_BYTES_MAX = 8 * 1024 * 1024
"""A full BatchCreateMessages has some 7 MB; driver frames have their own, smaller limit."""

STOP_GRACE_S = 1.0
"""How long running calls may take once the port is closed."""

SERVER_OPTIONS = [
    ("grpc.max_receive_message_length", REQUEST_BYTES_MAX),
    ("grpc.so_reuseport", 0),  # a taken port is an error, not a share of the calls
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 0),
]

SERVICE_MODULES = (
    messages_service_pb2,
    devices_service_pb2,
    webhooks_service_pb2,
    accounts_service_pb2,
    driver_service_pb2,
)
HealthServicer = health.aio.HealthServicer  # pyright: ignore[reportAttributeAccessIssue] - behind a version check


class AddressTaken(Exception):
    """Something else listens on the address of the gRPC server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What the services work with."""

    settings: Settings
    store: Store
    clock: Clock
    vault: Vault
    policy: EgressPolicy
    send: Callable[..., Awaitable[Any]]
    """Makes one attempt at a delivery, as core.delivery.sender.WebhookSender.send does."""
    wake_relay: Callable[[], None]
    wake_deliverer: Callable[[Iterable[str]], None]
    dispatcher: Dispatcher


class GrpcServer:
    """All services on one port. `start`, then `say_stopping`, then `stop`; `abort` at any time."""

    def __init__(self, means: Means, drivers: DriverService) -> None:
        self._means = means
        self._drivers = drivers
        self._server = grpc.aio.server(options=SERVER_OPTIONS)
        self._health = HealthServicer()

    async def start(self) -> None:
        """Serve. Raises AddressTaken."""
        server = self._server
        self._add_services()
        names = [
            service.full_name
            for module in SERVICE_MODULES
            for service in module.DESCRIPTOR.services_by_name.values()
        ]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        for name in ("", *names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        channelz.add_channelz_servicer(server)
        reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
        settings = self._means.settings
        address = f"{settings.grpc_host}:{settings.grpc_port}"
        try:
            server.add_insecure_port(address)
        except RuntimeError:
            raise AddressTaken(address) from None
        await server.start()

    async def say_stopping(self) -> None:
        """Tell whoever asks for the server's health that it does not serve any more."""
        await self._health.enter_graceful_shutdown()

    async def stop(self) -> None:
        """Close the port; running calls have a moment to end."""
        await self._server.stop(STOP_GRACE_S)

    async def abort(self) -> None:
        """Close the port and break everything off; nothing happens if it is closed already."""
        await self._server.stop(None)

    def _add_services(self) -> None:
        means, server = self._means, self._server
        settings, store, clock = means.settings, means.store, means.clock
        credential = service_credential.load(
            settings.service_credential.get_secret_value(),
            settings.service_credential_file,
            create=settings.embedded,
        )
        keys = KeyCache(store, clock)
        identity = Identity([credential], keys)
        messages_service_pb2_grpc.add_MessagesServiceServicer_to_server(
            MessagesService(
                identity,
                store,
                clock,
                dispatcher=means.dispatcher,
                wake_relay=means.wake_relay,
                ttl_s=settings.message_ttl_s,
            ),
            server,
        )
        devices_service_pb2_grpc.add_DevicesServiceServicer_to_server(
            DevicesService(
                identity, store, clock, hint_devices=means.dispatcher.hint, wake_relay=means.wake_relay
            ),
            server,
        )
        webhooks_service_pb2_grpc.add_WebhooksServiceServicer_to_server(
            WebhooksService(
                identity,
                store,
                clock,
                vault=means.vault,
                policy=means.policy,
                tester=WebhookTester(means.send, means.vault, clock),
                wake=means.wake_deliverer,
                timeout_default_s=settings.delivery_timeout_default_s,
            ),
            server,
        )
        accounts = AccountsService(identity, store, clock, keys=keys)
        accounts_service_pb2_grpc.add_AccountsServiceServicer_to_server(accounts, server)
        driver_service_pb2_grpc.add_DriverServiceServicer_to_server(self._drivers, server)
