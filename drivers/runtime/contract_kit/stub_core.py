"""The core in memory behind real gRPC: what the driver under test connects to.

Owns the streams and how they end; what is said on them is the model's business (`core_model`).
"""

import asyncio
from collections.abc import Callable

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc import aio

from drivers.runtime.contract_kit.core_model import CoreModel, Fault, ModelSession
from infinireach.driver.v1.driver_service_pb2 import ConnectRequest, ConnectResponse
from infinireach.driver.v1.driver_service_pb2_grpc import (
    DriverServiceServicer,
    add_DriverServiceServicer_to_server,
)

TOKEN = "ird_test"  # noqa: S105 - known to every test
FLUSH_S = 1.0
"""How long the last frames of a stream may take."""
FAULT_CODES = {
    Fault.SUPERSEDED: grpc.StatusCode.ABORTED,
    Fault.GAP: grpc.StatusCode.DATA_LOSS,
    Fault.UNEXPECTED_FRAME: grpc.StatusCode.INVALID_ARGUMENT,
}

Context = aio.ServicerContext[ConnectRequest, ConnectResponse]


class _Stream:
    """One call of Connect."""

    def __init__(self, session: ModelSession) -> None:
        self.session = session
        self.is_silent = False
        self.has_frames = asyncio.Event()
        self.end: asyncio.Future[tuple[grpc.StatusCode, str]] = asyncio.get_running_loop().create_future()

    def fail(self, code: grpc.StatusCode, reason: str) -> None:
        if not self.end.done():
            self.end.set_result((code, reason))


class StubCore(CoreModel, DriverServiceServicer):
    """A core for one driver, on a port of this machine."""

    def __init__(
        self, *, token: str = TOKEN, heartbeat_interval_s: float = 5.0, heartbeat_timeout_s: float = 25.0
    ) -> None:
        super().__init__(heartbeat_interval_s=heartbeat_interval_s, heartbeat_timeout_s=heartbeat_timeout_s)
        self.address = ""
        self._token = token
        self._server: aio.Server | None = None
        self._stream: _Stream | None = None
        self._changed = asyncio.Condition()

    async def start(self, credentials: grpc.ServerCredentials | None = None) -> str:
        """Listen, with TLS if there are credentials, at the same address as before if there was one; the address."""
        server = aio.server(options=[("grpc.so_reuseport", 0)])
        add_DriverServiceServicer_to_server(self, server)
        wanted = self.address or "localhost:0"
        port = (
            server.add_insecure_port(wanted)
            if credentials is None
            else server.add_secure_port(wanted, credentials)
        )
        self.address = f"localhost:{port}"
        await server.start()
        self._server = server
        return self.address

    async def stop(self) -> None:
        """Be gone at once; every stream breaks."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop(0)

    async def until(self, condition: Callable[[], bool], *, timeout_s: float = 20.0) -> None:
        """Wait until the condition holds; it is looked at whenever something came from the driver."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(condition)

    @property
    def is_connected(self) -> bool:
        """A driver has said hello and its stream is open."""
        return self.session is not None

    def break_stream(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE, reason: str = "TEST") -> None:
        """End the open stream with this status."""
        if self._stream is not None:
            self._stream.fail(code, reason)

    def fall_silent(self) -> None:
        """Write nothing more to the open stream, as on a link that is half open."""
        if self._stream is not None:
            self._stream.is_silent = True

    async def Connect(  # noqa: N802 - the service's name for it
        self, request_iterator: object, context: Context
    ) -> None:
        """Serve one stream until it breaks, or until a newer one supersedes it."""
        metadata = dict(context.invocation_metadata() or ())
        if metadata.get("authorization") != f"Bearer {self._token}":
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such driver token")
        first = await context.read()
        if not isinstance(first, ConnectRequest) or first.WhichOneof("frame") != "hello":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "hello comes first")
            return
        superseded = self._stream
        self._stream = stream = _Stream(self.open(first.hello))
        if superseded is not None:
            self._end_if_faulty(superseded)
        stream.has_frames.set()
        await self._notify()
        await self._serve(stream, context)
        code, reason = stream.end.result()
        if code is not grpc.StatusCode.OK:
            await context.abort(code, reason, trailing_metadata=_details(code, reason))

    async def _serve(self, stream: _Stream, context: Context) -> None:
        reader = asyncio.create_task(self._read(context, stream), name="stub reader")
        writer = asyncio.create_task(self._write(context, stream), name="stub writer")
        try:
            await asyncio.wait([reader, writer, stream.end], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.close(stream.session)
            # A write that is cut off would still be under way when the status is to be written.
            stream.fail(grpc.StatusCode.OK, "")
            stream.has_frames.set()
            await asyncio.wait([writer], timeout=FLUSH_S)
            for task in (reader, writer):
                task.cancel()
            await asyncio.wait([reader, writer])
            await self._notify()

    async def _read(self, context: Context, stream: _Stream) -> None:
        while isinstance(frame := await context.read(), ConnectRequest):
            self.receive(stream.session, frame)
            self._end_if_faulty(stream)
            stream.has_frames.set()
            await self._notify()

    async def _write(self, context: Context, stream: _Stream) -> None:
        while not stream.end.done():
            stream.has_frames.clear()
            while stream.session.out:
                frame = stream.session.out.popleft()
                if not stream.is_silent:
                    await context.write(frame)
            await stream.has_frames.wait()

    def _end_if_faulty(self, stream: _Stream) -> None:
        fault = stream.session.fault
        if fault is not None:
            stream.fail(FAULT_CODES[fault], fault.value)

    def _say(self, frame: ConnectResponse) -> None:
        super()._say(frame)
        if self._stream is not None:
            self._stream.has_frames.set()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _details(code: grpc.StatusCode, reason: str) -> tuple[tuple[str, bytes], ...]:
    """The machine-readable reason, where gRPC puts it."""
    detail = AnyMessage()
    detail.Pack(ErrorInfo(reason=reason, domain="infinireach"))
    status = Status(code=code.value[0], message=reason, details=[detail])
    return (("grpc-status-details-bin", status.SerializeToString()),)
