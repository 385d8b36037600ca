"""A core in memory that speaks the real gRPC services: what the facade is tested against.

Owns just enough behaviour for the facade's own promises; the core's rules are tested with the core.
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

from infinireach.v1 import (
    account_pb2,
    accounts_service_pb2,
    accounts_service_pb2_grpc,
    message_pb2,
    messages_service_pb2,
    messages_service_pb2_grpc,
)

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
    batches: list[int] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    traceparents: list[str] = field(default_factory=list)
    failures: list[Exception | tuple[grpc.StatusCode, str, str]] = field(default_factory=list)
    """What the next calls fail with, one each: status, sentence and reason (empty: without ErrorInfo)."""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is not set, BatchCreateMessages waits."""
    ids: Iterable[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.gate.set()

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
        if given.get("authorization") != f"Bearer {CREDENTIAL}":
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


class Accounts(Guarded, accounts_service_pb2_grpc.AccountsServiceServicer):
    """Keys."""

    async def ResolveApiKey(
        self, request: accounts_service_pb2.ResolveApiKeyRequest, context: Context
    ) -> accounts_service_pb2.ResolveApiKeyResponse:
        await self.enter(context)
        self.world.resolved.append(request.key)
        record = self.world.keys.get(request.key)
        if record is None:
            await refuse(
                context, grpc.StatusCode.UNAUTHENTICATED, "The API key is unknown.", reason="UNAUTHENTICATED"
            )
        return accounts_service_pb2.ResolveApiKeyResponse(api_key=record)


class Messages(Guarded, messages_service_pb2_grpc.MessagesServiceServicer):
    """Messages."""

    async def BatchCreateMessages(
        self, request: messages_service_pb2.BatchCreateMessagesRequest, context: Context
    ) -> messages_service_pb2.BatchCreateMessagesResponse:
        await self.enter(context)
        self.world.batches.append(len(request.items))
        await self.world.gate.wait()
        return messages_service_pb2.BatchCreateMessagesResponse(results=map(self._accept, request.items))

    def _accept(
        self, item: messages_service_pb2.BatchCreateMessagesRequest.Item
    ) -> messages_service_pb2.BatchCreateMessagesResponse.Result:
        result = messages_service_pb2.BatchCreateMessagesResponse.Result
        world, new, tenant_id = self.world, item.message, item.tenant_id
        sender = getattr(new, "from")
        world.traceparents.append(new.traceparent)
        device_id = world.numbers.get((tenant_id, sender))
        if new.text == "refused by the core":
            return result(
                error=messages_service_pb2.ItemError(
                    reason="INVALID_MESSAGE",
                    message="text: is not wanted",
                    field_violations=[
                        messages_service_pb2.FieldViolation(field="text", description="is not wanted")
                    ],
                )
            )
        if device_id is None or (new.device_id and new.device_id != device_id):
            return result(
                error=messages_service_pb2.ItemError(
                    reason="DEVICE_NOT_FOUND", message=f"No device {sender}."
                )
            )
        if new.external_id:
            earlier = world.external_ids.get((tenant_id, new.external_id))
            if earlier is not None:
                if world.messages[earlier][1].text != new.text:
                    return result(
                        error=messages_service_pb2.ItemError(
                            reason="EXTERNAL_ID_CONFLICT",
                            message="This externalId was used before with different content; nothing was sent.",
                        )
                    )
                return result(message_id=earlier, created=False)
        message_id = world.new_id()
        world.messages[message_id] = (tenant_id, stored(message_id, new, device_id))
        if new.external_id:
            world.external_ids[tenant_id, new.external_id] = message_id
        return result(message_id=message_id, created=True)


def stored(message_id: str, new: messages_service_pb2.NewMessage, device_id: str) -> message_pb2.Message:
    """The message that the stub keeps for a new one."""
    return message_pb2.Message(
        id=message_id,
        external_id=new.external_id,
        channel=new.channel,
        direction=message_pb2.DIRECTION_OUTBOUND,
        source=getattr(new, "from"),
        destination=new.to,
        text=new.text,
        device_id=device_id,
        state=message_pb2.MESSAGE_STATE_QUEUED,
        segments=1,
        encoding=message_pb2.ENCODING_GSM7,
        create_time=NOW,
    )


@dataclass
class StubCore:
    """The stub on a port; `start` and `stop` as often as a test wants, always on the same port."""

    world: World = field(default_factory=World)
    port: int = 0
    _server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
        accounts_service_pb2_grpc.add_AccountsServiceServicer_to_server(Accounts(self.world), server)
        messages_service_pb2_grpc.add_MessagesServiceServicer_to_server(Messages(self.world), server)
        self.port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Break every call off and close the port."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None
