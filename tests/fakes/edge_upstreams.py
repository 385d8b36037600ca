"""What stands behind the edge in tests that look at the edge alone: a facade and a core that tell what they got.

Owns no rule of the product. Both can be told to misbehave as real ones do: to be away, to hang up, to be slow.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
from aiohttp import web
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

HealthServicer = health.aio.HealthServicer  # pyright: ignore[reportAttributeAccessIssue] - behind a version check
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVING = health_pb2.HealthCheckResponse.SERVING


@dataclass(slots=True)
class Seen:
    """One request or call as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes = b""
    method: str = ""


@dataclass(slots=True)
class FakeFacade:
    """An HTTP server that answers 200 with its name, unless `behave` says otherwise for a request."""

    name: str = "facade"
    port: int = 0
    is_ready: bool = True
    seen: list[Seen] = field(default_factory=list[Seen])
    behave: Callable[[web.Request], web.StreamResponse | None] = lambda _: None
    held: asyncio.Event | None = None
    """If set, requests are answered only once this is."""
    is_reading: bool = True
    """Whether it reads bodies before it answers."""
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def address(self) -> str:
        """host:port"""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen; on the same port as before if it was stopped."""
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port and all connections."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/readyz":
            return web.Response(status=200 if self.is_ready else 503)
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read() if self.is_reading else b""
        self.seen.append(Seen(request.raw_path, headers, body, request.method))
        if self.held is not None:
            await self.held.wait()
        return self.behave(request) or web.json_response({"from": self.name})


def hang_up(request: web.Request) -> web.StreamResponse:
    """Close the connection after the request was taken: nobody can tell what became of it."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@dataclass(slots=True)
class FakeCore:
    """A gRPC server that answers any unary call with the request's own bytes, and echoes driver frames."""

    name: str = "core"
    credentials: grpc.ServerCredentials | None = None
    host: str = "127.0.0.1"
    port: int = 0
    seen: list[Seen] = field(default_factory=list[Seen])
    fail_with: grpc.StatusCode | None = None
    held: asyncio.Event | None = None
    """If set, calls are answered only once this is."""
    padding_bytes: int = 0
    """By how much every answer and every echoed frame is longer than what was sent."""
    health: Any = field(default_factory=HealthServicer)
    _server: grpc.aio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def address(self) -> str:
        """host:port"""
        return f"{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen and say that it serves."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((_Anything(self),))
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        if self.credentials is None:
            self.port = self._server.add_insecure_port(self.address)
        else:
            self.port = self._server.add_secure_port(self.address, self.credentials)
        await self._server.start()
        await self.health.set("", SERVING)

    async def stop(self) -> None:
        """Break everything off."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def say(self, status: Any) -> None:
        """Answer health checks with `status` from now on."""
        await self.health.set("", status)

    def note(self, path: str, metadata: Sequence[tuple[str, str | bytes]], body: bytes = b"") -> None:
        """Remember a call."""
        self.seen.append(Seen(path, {name: str(value) for name, value in metadata}, body))


class _Anything(grpc.GenericRpcHandler):
    """Every method that is not health's; Connect is a stream, everything else unary."""

    def __init__(self, core: FakeCore) -> None:
        self._core = core

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        core, path = self._core, str(handler_call_details.method)
        if path.startswith("/grpc.health"):
            return None

        async def unary(request: bytes, context: Any) -> bytes:
            core.note(path, tuple(context.invocation_metadata() or ()), request)
            if core.held is not None:
                await core.held.wait()
            if core.fail_with is not None:
                await context.abort(core.fail_with, "as told")
            return request + bytes(core.padding_bytes)

        async def stream(frames: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            core.note(path, tuple(context.invocation_metadata() or ()))
            if core.fail_with is not None:
                await context.abort(core.fail_with, "as told")
            async for frame in frames:
                yield frame + bytes(core.padding_bytes)

        if path.endswith("/Connect"):
            return grpc.stream_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)
