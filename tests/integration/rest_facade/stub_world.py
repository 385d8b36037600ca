"""What the stub core knows and was asked, and what all its services do first.

Owns no service.
"""

import asyncio
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from infinireach.v1 import account_pb2, device_pb2, event_pb2, message_pb2, messages_service_pb2, webhook_pb2

CREDENTIAL = "service-credential-of-the-tests"
TENANT = "a" * 24
OTHER_TENANT = "b" * 24
NUMBER = "+15559876543"
NOW = Timestamp(seconds=1_729_852_200, nanos=123_000_000)
EVERY_SCOPE = ("messages:send", "messages:read", "devices", "webhooks")

Context = grpc.aio.ServicerContext[Any, Any]


def key_record(
    key_id: str, tenant_id: str = TENANT, scopes: Iterable[str] = EVERY_SCOPE, per_minute: int = 1_000_000
) -> account_pb2.ApiKey:
    """A key's record."""
    return account_pb2.ApiKey(
        id=key_id, tenant_id=tenant_id, scopes=scopes, per_minute=per_minute, create_time=NOW
    )


def device_of(device_id: str, number: str) -> device_pb2.Device:
    """A phone with one number on both channels."""
    addresses = [
        device_pb2.DeviceAddress(channel=message_pb2.CHANNEL_SMS, number=number, slot=1, ready=True),
        device_pb2.DeviceAddress(channel=message_pb2.CHANNEL_WHATSAPP, number=number, ready=True),
    ]
    return device_pb2.Device(
        id=device_id,
        name="Front desk",
        state=device_pb2.DEVICE_STATE_ONLINE,
        driver="simulated",
        driver_name="desk",
        addresses=addresses,
        enabled=True,
        last_seen_time=NOW,
        create_time=NOW,
    )


@dataclass
class World:
    """What the stub knows, and what it was asked. Tests change it as they like."""

    keys: dict[str, account_pb2.ApiKey] = field(
        default_factory=lambda: {
            "key-of-a": key_record("keyofa00"),
            "key-of-b": key_record("keyofb00", OTHER_TENANT),
            "admin-key": key_record("admin000", scopes=("admin",)),
            "send-only": key_record("sendonly", scopes=("messages:send",)),
            "slow-plan": key_record("slowplan", per_minute=5),
        }
    )
    numbers: dict[tuple[str, str], str] = field(
        default_factory=lambda: {
            (TENANT, NUMBER): "11111111-1111-4111-8111-111111111111",
            (OTHER_TENANT, "+15550000002"): "22222222-2222-4222-8222-222222222222",
        }
    )
    messages: dict[str, tuple[str, message_pb2.Message]] = field(default_factory=dict)
    external_ids: dict[tuple[str, str], str] = field(default_factory=dict)
    devices: dict[str, tuple[str, device_pb2.Device]] = field(default_factory=dict)
    driver_tokens: dict[str, tuple[str, device_pb2.DriverToken]] = field(default_factory=dict)
    webhooks: dict[str, tuple[str, webhook_pb2.Webhook]] = field(default_factory=dict)
    deliveries: dict[str, tuple[str, webhook_pb2.Delivery]] = field(default_factory=dict)
    events: list[tuple[str, event_pb2.Event]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    lists: list[messages_service_pb2.ListMessagesRequest] = field(default_factory=list)
    traceparents: list[str] = field(default_factory=list)
    failures: list[Exception | tuple[grpc.StatusCode, str, str]] = field(default_factory=list)
    """What the next calls fail with, one each: status, sentence and reason (empty: without ErrorInfo)."""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is not set, BatchCreateMessages waits."""
    batch_arrived: asyncio.Event = field(default_factory=asyncio.Event)
    serves: bool = True
    credential: str = CREDENTIAL
    """What the facade must show."""
    ids: Iterable[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.gate.set()
        for (tenant_id, number), device_id in self.numbers.items():
            self.devices[device_id] = (tenant_id, device_of(device_id, number))

    def new_id(self) -> str:
        """The next id."""
        return f"{next(iter(self.ids)):024x}"


async def refuse(
    context: Context,
    code: grpc.StatusCode,
    sentence: str,
    *,
    reason: str,
    violations: Iterable[tuple[str, str]] = (),
) -> NoReturn:
    """Abort as the core does: google.rpc.Status with ErrorInfo and BadRequest."""
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=reason, domain="infinireach")]
    faults = [
        error_details_pb2.BadRequest.FieldViolation(field=name, description=issue)
        for name, issue in violations
    ]
    if faults:
        details.append(error_details_pb2.BadRequest(field_violations=faults))
    status = status_pb2.Status(code=code_pb2.Code.Value(code.name), message=sentence)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    rich = rpc_status.to_status(status)
    await context.abort(rich.code, rich.details, rich.trailing_metadata)
    raise AssertionError("abort raises")


class Guarded:
    """What every service does first."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def enter(self, context: Context) -> str:
        """Check the credential, fail if the test wants it; answers the tenant that the call names."""
        given = {key: str(value) for key, value in context.invocation_metadata() or ()}
        self.world.metadata.append(given)
        if given.get("authorization") != f"Bearer {self.world.credential}":
            await refuse(
                context,
                grpc.StatusCode.UNAUTHENTICATED,
                "The service credential is not valid.",
                reason="SERVICE_CREDENTIAL_REFUSED",
            )
        if self.world.failures:
            failure = self.world.failures.pop(0)
            if isinstance(failure, Exception):
                raise failure
            code, sentence, reason = failure
            if reason:
                await refuse(context, code, sentence, reason=reason)
            await context.abort(code, sentence)
        return given.get("x-tenant-id", "")

    async def not_found(self, context: Context) -> NoReturn:
        """Abort as the core does for what is not there."""
        await refuse(context, grpc.StatusCode.NOT_FOUND, "There is no such resource.", reason="NOT_FOUND")
