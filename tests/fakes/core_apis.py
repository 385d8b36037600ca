"""The core's account, device and webhook services behind a real gRPC server, on a database of one test.

Owns their wiring, and the callers: the facade acting for a tenant, API keys. What services tell others (hints,
wake-ups, tests of endpoints) is recorded. Knows no assertion.
"""

import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from core import accounts
from core.accounts import NewApiKey
from core.api.accounts_service import AccountsService
from core.api.devices_service import DevicesService
from core.api.guard import Identity
from core.api.key_cache import KeyCache
from core.api.webhook_tester import WebhookTester
from core.api.webhooks_service import WebhooksService
from core.delivery.egress import EgressPolicy
from core.delivery.sender import AttemptResult, WebhookRequest
from core.store.engine import Store
from core.vault import Vault
from infinireach.v1.accounts_service_pb2_grpc import (
    AccountsServiceStub,
    add_AccountsServiceServicer_to_server,
)
from infinireach.v1.devices_service_pb2_grpc import DevicesServiceStub, add_DevicesServiceServicer_to_server
from infinireach.v1.webhooks_service_pb2_grpc import (
    WebhooksServiceStub,
    add_WebhooksServiceServicer_to_server,
)
from tests.fakes.database import file_store
from tests.fakes.rpc_server import CALL_TIMEOUT_S, serving
from tests.fakes.set_clock import SetClock

SERVICE_CREDENTIAL = "service-credential-of-the-facade"
TIMEOUT_DEFAULT_S = 12
VAULT = Vault({"00000001": bytes(32)})

Metadata = tuple[tuple[str, str], ...]


class RecordedSends:
    """Takes the place of the network: keeps requests and answers each the same."""

    def __init__(self) -> None:
        self.requests: list[WebhookRequest] = []
        self.answer = AttemptResult(
            status=204,
            error_class=None,
            duration_ms=7,
            retry_after_s=None,
            control=None,
            response_snippet="",
            operator_detail="",
        )

    async def send(self, request: WebhookRequest) -> AttemptResult:
        """As core.delivery.sender.WebhookSender.send."""
        self.requests.append(request)
        return self.answer


@dataclass
class CoreApis:
    """What a test works with."""

    channel: grpc.aio.Channel
    store: Store
    clock: SetClock
    sends: RecordedSends
    hinted: list[str] = field(default_factory=list[str])
    woken: list[str] = field(default_factory=list[str])
    relay_wakes: list[None] = field(default_factory=list[None])

    def __post_init__(self) -> None:
        self.stubs: dict[str, Any] = {
            "accounts": AccountsServiceStub(self.channel),
            "devices": DevicesServiceStub(self.channel),
            "webhooks": WebhooksServiceStub(self.channel),
        }

    def service(self, tenant_id: str | None) -> Metadata:
        """The facade, acting for a tenant or for none."""
        credential = ("authorization", f"Bearer {SERVICE_CREDENTIAL}")
        return (credential,) if tenant_id is None else (credential, ("x-tenant-id", tenant_id))

    async def key(self, tenant_id: str, *scopes: str) -> Metadata:
        """A new API key of a tenant."""
        _, key = await self.store.run(
            accounts.create_api_key, NewApiKey(tenant_id, scopes), self.clock.now_ms()
        )
        return (("x-api-key", key),)

    async def call(self, method: str, request: Any, caller: Metadata) -> Any:
        """Call `service.Method`, for example `webhooks.GetWebhook`."""
        service, name = method.split(".")
        return await getattr(self.stubs[service], name)(request, metadata=caller, timeout=CALL_TIMEOUT_S)


@contextlib.asynccontextmanager
async def core_apis(
    folder: Path, send: Callable[[WebhookRequest], Any] | None = None
) -> AsyncGenerator[CoreApis]:
    """The services on a fresh database in `folder`. `send` makes the tests of endpoints, if given."""
    with file_store(folder) as store:
        clock, sends = SetClock(), RecordedSends()
        hinted, woken, relay_wakes = list[str](), list[str](), list[None]()
        keys = KeyCache(store, clock)
        identity = Identity([SERVICE_CREDENTIAL], keys)

        def wake(webhook_ids: Iterable[str]) -> None:
            woken.extend(webhook_ids)

        accounts_service = AccountsService(identity, store, clock, keys=keys)
        devices_service = DevicesService(
            identity,
            store,
            clock,
            hint_devices=hinted.extend,
            wake_relay=lambda: relay_wakes.append(None),
        )
        webhooks_service = WebhooksService(
            identity,
            store,
            clock,
            vault=VAULT,
            policy=EgressPolicy.development(),
            tester=WebhookTester(send or sends.send, VAULT, clock),
            wake=wake,
            timeout_default_s=TIMEOUT_DEFAULT_S,
        )
        async with serving(
            lambda server: add_AccountsServiceServicer_to_server(accounts_service, server),
            lambda server: add_DevicesServiceServicer_to_server(devices_service, server),
            lambda server: add_WebhooksServiceServicer_to_server(webhooks_service, server),
        ) as channel:
            yield CoreApis(channel, store, clock, sends, hinted, woken, relay_wakes)
