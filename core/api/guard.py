"""The wrapper around every unary RPC: identity, scope, deadline, errors, one log event.

Owns the order of these steps. Knows no service and no resource. A service is written as

    class MessagesService(messages_service_pb2_grpc.MessagesServiceServicer):
        def __init__(self, identity: Identity, ...) -> None:
            self.identity = identity

        @rpc(scope="messages:send")
        async def CreateMessage(self, request: CreateMessageRequest, caller: Caller) -> CreateMessageResponse:
            ...

Methods raise `core.errors`; they see neither metadata nor statuses.

The log event holds ids, states, counts and durations only: never a number, a text, a key or an exception's
words, which may quote any of them.
"""

import asyncio
import functools
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, Protocol, TypeVar

import grpc
import structlog
from google.rpc import status_pb2
from grpc_status import rpc_status

from core.api.identity import ApiKeyIdentity, ApiKeys, Caller, Identity, Metadata, request_id, text_of
from core.api.status import INTERNAL_REASON, code_of, internal_status, status_of
from core.errors import InfiniReachError, PermissionDenied

__all__ = ["ApiKeyIdentity", "ApiKeys", "Caller", "Identity", "rpc"]

log = structlog.get_logger("core.api")


class Service(Protocol):
    """What the wrapper needs of a service."""

    @property
    def identity(self) -> Identity:
        """Authenticates its callers."""
        ...


ServiceT = TypeVar("ServiceT", bound=Service)
Request = TypeVar("Request")
Response = TypeVar("Response")
Context = grpc.aio.ServicerContext[Any, Any]
Method = Callable[[ServiceT, Request, Caller], Awaitable[Response]]


class DeadlinePassed(InfiniReachError):
    """The call's deadline passed before any work began."""

    status = "DEADLINE_EXCEEDED"
    reason = "DEADLINE_EXCEEDED"


def rpc(*, scope: str | None, service_only: bool = False, tenantless: bool = False):
    """Make a service's method an RPC handler.

    `scope`: what an API key must hold; None: any caller may call. `service_only`: API keys are refused.
    `tenantless`: a service need not name a tenant, and `caller.tenant_id` may be empty.
    """

    def decorate(method: Method[ServiceT, Request, Response]):
        name = method.__qualname__

        async def call(service: ServiceT, request: Request, context: Context, seen: _Seen) -> Response:
            caller = await service.identity.caller(seen.metadata, tenantless=tenantless)
            seen.caller = caller
            _check_allowed(caller, scope, service_only=service_only)
            _check_deadline(context.time_remaining())
            return await method(service, request, caller)

        async def handle(self: ServiceT, request: Request, context: Context) -> Response:
            started = time.perf_counter()
            seen = _Seen(context.invocation_metadata() or ())
            try:
                response = await call(self, request, context, seen)
            except InfiniReachError as error:
                seen.report(name, code_of(error).name, error.reason, started)
                status = status_of(error, seen.request_id)
            except asyncio.CancelledError:  # the caller hung up, or its deadline passed
                seen.report(name, "CANCELLED", "CANCELLED", started)
                raise
            except Exception as error:  # noqa: BLE001 - the top of the call's task
                seen.report(name, "INTERNAL", INTERNAL_REASON, started, error=error)
                status = internal_status(seen.request_id)
            else:
                seen.report(name, "OK", "", started)
                return response
            return await _abort(context, status)

        functools.update_wrapper(handle, method)
        return handle

    return decorate


class _Seen:
    """What is known of a call so far."""

    def __init__(self, metadata: Metadata) -> None:
        self.metadata = metadata
        self.caller: Caller | None = None

    @functools.cached_property
    def request_id(self) -> str:
        return self.caller.request_id if self.caller else request_id(text_of(self.metadata))

    def report(
        self, method: str, status: str, reason: str, started: float, *, error: Exception | None = None
    ) -> None:
        """Write the call's one log event."""
        caller = self.caller
        event: dict[str, object] = {
            "method": method,
            "tenant_id": caller.tenant_id if caller else "",
            "key_id": caller.key_id if caller else "",
            "request_id": self.request_id,
            "status": status,
            "duration_ms": round((time.perf_counter() - started) * 1000, 2),
        }
        if reason:
            event["reason"] = reason
        if caller and caller.counts:
            event.update(caller.counts)
        if error is None:
            log.info("rpc", **event)
        else:
            log.error("rpc", **event, error=type(error).__qualname__, traceback=_where(error))


def _check_allowed(caller: Caller, scope: str | None, *, service_only: bool) -> None:
    if service_only and not caller.is_service:
        raise PermissionDenied("Only a service may call this.")
    if scope is not None and not caller.may(scope):
        raise PermissionDenied(f"The key lacks the scope {scope}.", scope=scope)


def _check_deadline(remaining_s: float | None) -> None:
    """Start no work whose answer nobody waits for; None: the call has no deadline."""
    if remaining_s is not None and remaining_s <= 0:
        raise DeadlinePassed


def _where(error: BaseException) -> str:
    """The traceback without the exceptions' words: they may quote numbers and texts."""
    chain: list[str] = []
    current: BaseException | None = error
    while current is not None:
        chain.append("".join(traceback.format_tb(current.__traceback__)) + type(current).__qualname__)
        current = current.__cause__ or current.__context__
    return "\nwhile handling\n".join(reversed(chain))


async def _abort(context: Context, status: status_pb2.Status) -> NoReturn:
    rich = rpc_status.to_status(status)
    await context.abort(rich.code, rich.details, rich.trailing_metadata)
    raise AssertionError("abort raises")
