"""The wrapper around every RPC, behind a real server: identity, scopes, errors, deadline, log event."""

# ruff: noqa: N802 - RPCs are named as in a proto

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
import pytest
from google.protobuf import empty_pb2
from google.rpc import error_details_pb2
from structlog.testing import capture_logs

from core.api.guard import Caller, Identity, rpc
from core.errors import FieldViolation, InvalidArgument, NotFound, Unauthenticated, Unavailable
from tests.fakes.rpc_outcome import refusal
from tests.fakes.rpc_server import CALL_TIMEOUT_S, serving

SERVICE_CREDENTIAL = "service-credential-of-the-facade"
BEARER = ("authorization", f"Bearer {SERVICE_CREDENTIAL}")
TENANT_A = "a" * 24
TENANT_B = "b" * 24
NAMES_A = ("x-tenant-id", TENANT_A)
CANARY = "+4915112345678"

Empty = empty_pb2.Empty


@dataclass(frozen=True)
class FoundKey:
    tenant_id: str
    key_id: str
    scopes: frozenset[str]


class KnownKeys:
    """API keys of a test; the key's text is also its public id."""

    def __init__(self) -> None:
        self.keys = {
            "sender": FoundKey(TENANT_B, "sender", frozenset({"messages:send"})),
            "admin": FoundKey(TENANT_B, "admin", frozenset({"admin"})),
        }

    async def resolve(self, key: str) -> FoundKey:
        if key not in self.keys:
            raise Unauthenticated
        return self.keys[key]


class Guarded:
    """A service that keeps who called, and fails in every way a service can."""

    def __init__(self) -> None:
        self.identity = Identity([SERVICE_CREDENTIAL, "credential-being-rotated-in"], KnownKeys())
        self.callers: list[Caller] = []
        self.entered = asyncio.Event()
        self.left = asyncio.Event()

    @rpc(scope="messages:send")
    async def Send(self, request: Empty, caller: Caller) -> Empty:
        caller.count(items=3)
        self.callers.append(caller)
        return request

    @rpc(scope="webhooks")
    async def Webhooks(self, request: Empty, caller: Caller) -> Empty:
        self.callers.append(caller)
        return request

    @rpc(scope=None, service_only=True, tenantless=True)
    async def Resolve(self, request: Empty, caller: Caller) -> Empty:
        self.callers.append(caller)
        return request

    @rpc(scope=None)
    async def Faulty(self, request: Empty, caller: Caller) -> Empty:
        raise InvalidArgument([FieldViolation("to", "must be E.164"), FieldViolation("text", "is empty")])

    @rpc(scope=None)
    async def VeryFaulty(self, request: Empty, caller: Caller) -> Empty:
        raise InvalidArgument([FieldViolation(f"events[{i}]" * 50, "\U0001f9a4" * 5000) for i in range(5000)])

    @rpc(scope=None)
    async def Missing(self, request: Empty, caller: Caller) -> Empty:
        raise NotFound("There is no such thing.", kind="thing")

    @rpc(scope=None)
    async def Busy(self, request: Empty, caller: Caller) -> Empty:
        raise Unavailable

    @rpc(scope=None)
    async def Crash(self, request: Empty, caller: Caller) -> Empty:
        try:
            raise KeyError(CANARY)
        except KeyError as error:
            raise ValueError(f"cannot send to {CANARY}") from error

    @rpc(scope=None)
    async def Hang(self, request: Empty, caller: Caller) -> Empty:
        self.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()
        return request


METHODS = ("Send", "Webhooks", "Resolve", "Faulty", "VeryFaulty", "Missing", "Busy", "Crash", "Hang")


class Client:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def call(
        self, method: str, *metadata: tuple[str, str], timeout: float = CALL_TIMEOUT_S
    ) -> grpc.aio.UnaryUnaryCall[Empty, Empty]:
        multicallable = self._channel.unary_unary(
            f"/test.Guarded/{method}",
            request_serializer=Empty.SerializeToString,
            response_deserializer=Empty.FromString,
        )
        return multicallable(Empty(), metadata=metadata, timeout=timeout)


@pytest.fixture
def service() -> Guarded:
    return Guarded()


@pytest.fixture
async def client(service: Guarded) -> AsyncIterator[Client]:
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            getattr(service, name),
            request_deserializer=Empty.FromString,
            response_serializer=Empty.SerializeToString,
        )
        for name in METHODS
    }
    generic = grpc.method_handlers_generic_handler("test.Guarded", handlers)
    async with serving(lambda server: server.add_generic_rpc_handlers((generic,))) as channel:
        yield Client(channel)


async def test_a_service_acts_for_the_tenant_and_key_that_it_names(client: Client, service: Guarded) -> None:
    await client.call("Send", BEARER, NAMES_A, ("x-api-key-id", "k1234567"), ("x-request-id", "request-1"))
    assert service.callers == [Caller(TENANT_A, "k1234567", frozenset({"admin"}), True, "request-1")]


@pytest.mark.parametrize("value", [f"bearer {SERVICE_CREDENTIAL}", "Bearer credential-being-rotated-in"])
async def test_every_live_service_credential_is_taken_and_the_scheme_in_any_case(
    client: Client, service: Guarded, value: str
) -> None:
    await client.call("Send", ("authorization", value), NAMES_A)
    assert service.callers[0].is_service


async def test_an_api_key_acts_for_its_own_tenant_whatever_tenant_it_names(
    client: Client, service: Guarded
) -> None:
    await client.call("Send", ("x-api-key", "sender"), NAMES_A, ("x-api-key-id", "other"))
    [caller] = service.callers
    assert (caller.tenant_id, caller.key_id, caller.is_service) == (TENANT_B, "sender", False)
    assert caller.scopes == {"messages:send"}


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        [NAMES_A],
        [("authorization", "Bearer wrong"), NAMES_A],
        [("authorization", f"Basic {SERVICE_CREDENTIAL}"), NAMES_A],
        [("authorization", f"Custom {SERVICE_CREDENTIAL}"), NAMES_A],
        [("authorization", SERVICE_CREDENTIAL), NAMES_A],
        [("authorization", "Bearer "), NAMES_A],
        [("authorization", ""), NAMES_A],
        [("authorization", "Bearer wrong"), ("x-api-key", "admin")],
        [("x-api-key", "unknown")],
        [("x-api-key", "")],
        [("x-api-key-bin", b"admin")],
    ],
)
async def test_a_call_without_a_valid_credential_is_unauthenticated(
    client: Client, service: Guarded, metadata: list[tuple[str, str]]
) -> None:
    refused = await refusal(client.call("Send", *metadata))
    as_service = any(key == "authorization" for key, _ in metadata)
    reason = "SERVICE_CREDENTIAL_REFUSED" if as_service else "UNAUTHENTICATED"
    assert (refused.code, refused.reason) == ("UNAUTHENTICATED", reason)
    assert not service.callers


@pytest.mark.parametrize("tenant", [[], [("x-tenant-id", "")], [("x-tenant-id", "' OR 1=1")]])
async def test_a_service_that_names_no_tenant_is_told_so(
    client: Client, tenant: list[tuple[str, str]]
) -> None:
    refused = await refusal(client.call("Send", BEARER, *tenant))
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", ["x-tenant-id"])


async def test_a_tenantless_call_needs_no_tenant_but_takes_one(client: Client, service: Guarded) -> None:
    await client.call("Resolve", BEARER)
    await client.call("Resolve", BEARER, NAMES_A)
    assert [caller.tenant_id for caller in service.callers] == ["", TENANT_A]
    refused = await refusal(client.call("Resolve", BEARER, ("x-tenant-id", "' OR 1=1")))
    assert refused.fields == ["x-tenant-id"]


async def test_a_key_id_of_another_form_is_as_good_as_none(client: Client, service: Guarded) -> None:
    await client.call("Send", BEARER, NAMES_A, ("x-api-key-id", "+4915112345678 canary"))
    assert service.callers[0].key_id == ""


def test_an_empty_service_credential_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="empty"):
        Identity([SERVICE_CREDENTIAL, ""], KnownKeys())


async def test_an_api_key_is_refused_where_only_services_may_call(client: Client) -> None:
    refused = await refusal(client.call("Resolve", ("x-api-key", "admin")))
    assert (refused.code, refused.reason) == ("PERMISSION_DENIED", "PERMISSION_DENIED")


async def test_a_key_without_the_scope_is_refused_with_the_scopes_name(
    client: Client, service: Guarded
) -> None:
    refused = await refusal(client.call("Webhooks", ("x-api-key", "sender")))
    assert (refused.code, refused.metadata) == ("PERMISSION_DENIED", {"scope": "webhooks"})
    assert not service.callers


async def test_the_scope_admin_implies_every_other_scope(client: Client, service: Guarded) -> None:
    await client.call("Webhooks", ("x-api-key", "admin"))
    assert service.callers[0].key_id == "admin"


@pytest.mark.parametrize("given", ["", "two words", "x" * 129])
async def test_a_request_id_that_is_not_short_and_printable_is_replaced(
    client: Client, service: Guarded, given: str
) -> None:
    await client.call("Send", BEARER, NAMES_A, ("x-request-id", given))
    assert service.callers[0].request_id not in {"", given}


async def test_bad_input_carries_every_faulty_field(client: Client) -> None:
    refused = await refusal(client.call("Faulty", BEARER, NAMES_A, ("x-request-id", "request-2")))
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    assert refused.fields == ["text", "to"]
    assert refused.text == "to: must be E.164; text: is empty"
    assert refused.detail(error_details_pb2.RequestInfo).request_id == "request-2"


async def test_any_number_of_faulty_fields_fits_the_trailing_metadata(client: Client) -> None:
    call = client.call("VeryFaulty", BEARER, NAMES_A)
    refused = await refusal(call)
    assert refused.code == "INVALID_ARGUMENT"
    assert len(refused.fields) > 5
    details = dict(await call.trailing_metadata())["grpc-status-details-bin"]
    text = refused.text.encode()
    assert len(details) * 4 // 3 + len(text) * 3 < 8000


async def test_an_error_carries_its_reason_and_metadata(client: Client) -> None:
    refused = await refusal(client.call("Missing", BEARER, NAMES_A))
    assert (refused.code, refused.reason, refused.metadata) == ("NOT_FOUND", "NOT_FOUND", {"kind": "thing"})
    assert refused.text == "There is no such thing."


async def test_unavailable_says_when_to_try_again(client: Client) -> None:
    refused = await refusal(client.call("Busy", BEARER, NAMES_A))
    assert refused.code == "UNAVAILABLE"
    assert refused.detail(error_details_pb2.RetryInfo).retry_delay.seconds == 1


async def test_an_unforeseen_error_tells_the_caller_nothing_and_the_log_where_it_happened(
    client: Client,
) -> None:
    with capture_logs() as events:
        refused = await refusal(client.call("Crash", BEARER, NAMES_A, ("x-request-id", "request-3")))
    assert (refused.code, refused.reason) == ("INTERNAL", "INTERNAL")
    assert refused.detail(error_details_pb2.RequestInfo).request_id == "request-3"
    assert CANARY not in refused.text
    [event] = events
    assert (event["log_level"], event["error"], event["request_id"]) == ("error", "ValueError", "request-3")
    assert "in Crash" in event["traceback"]
    assert "KeyError" in event["traceback"]
    assert CANARY not in str(event)


async def test_a_call_writes_one_event_with_ids_state_and_counts(client: Client) -> None:
    with capture_logs() as events:
        await client.call("Send", ("x-api-key", "sender"), ("x-request-id", "request-4"))
    [event] = events
    assert event.pop("duration_ms") >= 0
    assert event == {
        "event": "rpc",
        "log_level": "info",
        "method": "Guarded.Send",
        "tenant_id": TENANT_B,
        "key_id": "sender",
        "request_id": "request-4",
        "status": "OK",
        "items": 3,
    }


async def test_a_refused_call_writes_one_event_without_its_credential(client: Client) -> None:
    with capture_logs() as events:
        await refusal(client.call("Send", ("x-api-key", "irk_secret")))
    [event] = events
    assert (event["status"], event["reason"]) == ("UNAUTHENTICATED", "UNAUTHENTICATED")
    assert "irk_secret" not in str(event)


async def test_a_call_whose_deadline_passed_starts_no_work(service: Guarded) -> None:
    class Late:
        """A context at the moment after its deadline."""

        aborted: tuple[object, ...] = ()

        def invocation_metadata(self) -> list[tuple[str, str]]:
            return [BEARER, NAMES_A]

        def time_remaining(self) -> float:
            return 0.0

        async def abort(self, code: grpc.StatusCode, details: str, trailing_metadata: object) -> None:
            self.aborted = (code, details, trailing_metadata)
            raise grpc.aio.AbortError

    context = Late()
    with pytest.raises(grpc.aio.AbortError):
        await service.Send(Empty(), context)  # pyright: ignore[reportArgumentType]
    assert context.aborted[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert not service.callers


async def test_a_call_that_its_caller_gives_up_is_logged_as_cancelled(
    client: Client, service: Guarded
) -> None:
    with capture_logs() as events:
        call = client.call("Hang", BEARER, NAMES_A)
        await service.entered.wait()
        call.cancel()
        await service.left.wait()
    assert [event["status"] for event in events] == ["CANCELLED"]
