"""MessagesService behind a real gRPC server, with a device to send from, on a database of one test.

Owns the wiring. The dispatcher is real and idle: no driver is connected, so messages stay where a test puts them.
"""

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from core.api.guard import Identity
from core.api.key_cache import KeyCache
from core.api.messages_service import MessagesService
from core.devices import OfferedAddress, OfferedDevice
from core.driver_sessions import Hello
from core.sessions.dispatcher import Dispatcher
from core.sessions.registry import Registry
from core.store.engine import Store
from infinireach.v1.messages_service_pb2_grpc import (
    MessagesServiceStub,
    add_MessagesServiceServicer_to_server,
)
from tests.core_fixtures import open_session
from tests.fakes.core_apis import SERVICE_CREDENTIAL, Metadata
from tests.fakes.database import TENANT_A, file_store
from tests.fakes.rpc_server import serving
from tests.fakes.set_clock import START_MS, SetClock

SENDER = "+15559876543"
TTL_S = 3600


@dataclass
class MessagesApi:
    """What a test works with."""

    stub: MessagesServiceStub
    store: Store
    clock: SetClock
    device_id: str
    wakes: list[None] = field(default_factory=list[None])

    def facade(self, tenant_id: str = TENANT_A) -> Metadata:
        """Metadata of the facade acting for a tenant."""
        return (("authorization", f"Bearer {SERVICE_CREDENTIAL}"), ("x-tenant-id", tenant_id))


@contextlib.asynccontextmanager
async def messages_api(folder: Path) -> AsyncGenerator[MessagesApi]:
    """Tenant A with one device for both channels on SENDER; tenant B with nothing."""
    with file_store(folder) as store:
        clock = SetClock()
        device_id = await store.run(_enrol)
        wakes: list[None] = []
        service = MessagesService(
            Identity([SERVICE_CREDENTIAL], KeyCache(store, clock)),
            store,
            clock,
            dispatcher=Dispatcher(store, Registry(), clock, 60.0),
            wake_relay=lambda: wakes.append(None),
            ttl_s=TTL_S,
        )
        async with serving(lambda server: add_MessagesServiceServicer_to_server(service, server)) as channel:
            yield MessagesApi(MessagesServiceStub(channel), store, clock, device_id, wakes)


def _enrol(session: Session) -> str:
    addresses = tuple(OfferedAddress(channel, SENDER, 1, ready=True) for channel in ("sms", "whatsapp"))
    hello = Hello(
        tenant_id=TENANT_A,
        token_id="token",
        driver_name="office",
        driver_kind="simulated",
        driver_version="1",
        instance_id="instance",
        journal_id="journal",
        first_unacknowledged=1,
        last_sequence=0,
        devices=(OfferedDevice("phone", "Phone", "online", 5, addresses),),
        open_commands=(),
    )
    (device_id,) = open_session(session, hello, START_MS, 30_000).keys
    return device_id
