"""The gRPC servers: the public one and, if it is set up, the internal one; their services, their health.

Owns what is served where, to whom, and the servers' options. What a call does is its service's business.

The public server is for API keys and driver tokens. The internal one is for the gateway's own parts: the facade with
the service credential, and proxies that tell of the certificate of a driver. Which is which decides what is believed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from core import service_credential
from core.api import intake
from core.api.accounts_service import AccountsService
from core.api.devices_service import DevicesService
from core.api.driver_identity import DriverIdentity
from core.api.driver_service import Door, DriverService
from core.api.identity import Identity
from core.api.key_cache import KeyCache
from core.api.messages_service import MessagesService
from core.api.server_tls import ServerTls
from core.api.webhook_tester import WebhookTester
from core.api.webhooks_service import WebhooksService
from core.clock import Clock
from core.config import Settings
from core.delivery.egress import EgressPolicy
from core.sessions.session import SessionDependencies
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

STOP_GRACE_S = 1.0
"""How long running calls may take once the port is closed."""

SERVER_OPTIONS = [
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
SERVICE_NAMES = tuple(
    service.full_name for module in SERVICE_MODULES for service in module.DESCRIPTOR.services_by_name.values()
)
HealthServicer = health.aio.HealthServicer  # pyright: ignore[reportAttributeAccessIssue] - behind a version check


class AddressTaken(Exception):
    """Something else listens on the address of a gRPC server; `setting` names its port's setting."""

    def __init__(self, address: str, setting: str) -> None:
        super().__init__(address)
        self.setting = setting


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
    sessions: SessionDependencies


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One address, and whom its server believes."""

    host: str
    port: int
    setting: str
    """The setting of its port."""
    tls: ServerTls | None
    takes_service_credential: bool
    is_internal: bool
    """Whether it is for the gateway's own parts: drivers come in by certificate, also by one of which the peer tells,
    and channelz says who is connected."""

    @property
    def address(self) -> str:
        """host:port, as gRPC reads it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def listeners(settings: Settings) -> list[Listener]:
    """The public listener and, if there is to be one, the internal."""
    found = [
        Listener(
            host=settings.grpc_host,
            port=settings.grpc_port,
            setting="grpc_port",
            tls=_tls(settings, None),
            takes_service_credential=settings.is_credential_public,
            is_internal=False,
        )
    ]
    if settings.internal_port:
        found.append(
            Listener(
                host=settings.internal_host,
                port=settings.internal_port,
                setting="internal_port",
                tls=_tls(settings, settings.tls_client_ca_file),
                takes_service_credential=True,
                is_internal=True,
            )
        )
    return found


def _tls(settings: Settings, client_ca_file: Path | None) -> ServerTls | None:
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return None
    return ServerTls(settings.tls_cert_file, settings.tls_key_file, client_ca_file)


class GrpcServers:
    """All services on every listener. `start`, then `say_stopping`, then `stop`; `abort` at any time."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._door = Door()
        self._keys = KeyCache(means.store, means.clock)
        self._health = HealthServicer()
        self._servers: list[grpc.aio.Server] = []

    async def start(self) -> None:
        """Serve. Raises AddressTaken, CertificateFilesUnusable and CredentialError; some may serve then, so `abort`."""
        settings = self._means.settings
        credentials = service_credential.load(
            settings.service_credential.get_secret_value(),
            settings.service_credential_file,
            create=settings.embedded,
        )
        for name in ("", *SERVICE_NAMES):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        for listener in listeners(settings):
            server = _server(listener, settings)
            self._servers.append(server)
            self._add_services(server, listener, credentials)
            health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
            if listener.is_internal:
                channelz.add_channelz_servicer(server)
            reflection.enable_server_reflection(
                [*SERVICE_NAMES, health.SERVICE_NAME, reflection.SERVICE_NAME], server
            )
            _listen(server, listener)
            await server.start()

    async def say_stopping(self) -> None:
        """Tell whoever asks for the health that nothing is served any more, and let no more drivers in."""
        self._door.is_closed = True
        await self._health.enter_graceful_shutdown()

    async def stop(self) -> None:
        """Close the ports; running calls have a moment to end."""
        await asyncio.gather(*(server.stop(STOP_GRACE_S) for server in self._servers))

    async def abort(self) -> None:
        """Close the ports and break everything off; nothing happens if they are closed already."""
        await asyncio.gather(*(server.stop(None) for server in self._servers))

    def _add_services(self, server: grpc.aio.Server, listener: Listener, credentials: list[str]) -> None:
        means = self._means
        settings, store, clock, dispatcher = (
            means.settings,
            means.store,
            means.clock,
            means.sessions.dispatcher,
        )
        identity = Identity(credentials if listener.takes_service_credential else [], self._keys)
        messages_service_pb2_grpc.add_MessagesServiceServicer_to_server(
            MessagesService(
                identity,
                store,
                clock,
                dispatcher=dispatcher,
                wake_relay=means.wake_relay,
                ttl_s=settings.message_ttl_s,
            ),
            server,
        )
        devices_service_pb2_grpc.add_DevicesServiceServicer_to_server(
            DevicesService(identity, store, clock, hint_devices=dispatcher.hint, wake_relay=means.wake_relay),
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
        accounts = AccountsService(identity, store, clock, keys=self._keys)
        accounts_service_pb2_grpc.add_AccountsServiceServicer_to_server(accounts, server)
        driver_identity = DriverIdentity(means.sessions.lifecycle, takes_certificates=listener.is_internal)
        drivers = DriverService(means.sessions, self._door, driver_identity)
        driver_service_pb2_grpc.add_DriverServiceServicer_to_server(drivers, server)


def _server(listener: Listener, settings: Settings) -> grpc.aio.Server:
    """A server that takes in as much as is right for who may call there."""
    for_strangers = not listener.takes_service_credential
    limits = intake.options(for_strangers=for_strangers, frame_bytes_max=settings.frame_bytes_max)
    return grpc.aio.server(
        interceptors=[intake.Intake()] if for_strangers else [],
        options=[*SERVER_OPTIONS, *limits],
        maximum_concurrent_rpcs=intake.CALLS_MAX,
    )


def _listen(server: grpc.aio.Server, listener: Listener) -> None:
    """Bind the server's port. Raises AddressTaken and CertificateFilesUnusable."""
    credentials = None if listener.tls is None else listener.tls.credentials()
    try:
        if credentials is None:
            server.add_insecure_port(listener.address)
        else:
            server.add_secure_port(listener.address, credentials)
    except RuntimeError:
        raise AddressTaken(listener.address, listener.setting) from None
