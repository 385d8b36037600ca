"""What a listener takes in before it knows whose it is: how large, how many, and for how long.

Owns these limits. gRPC gathers a message before any handler sees the call, and knows neither how many there may be
unfinished nor for how long; on the public listener `Intake` does. Drivers' streams have rules of their own: nothing of
theirs is read before their identity is known.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from infinireach.driver.v1 import driver_service_pb2

BATCH_BYTES_MAX = 8 * 1024 * 1024
"""Largest message where the facade calls: a full BatchCreateMessages has some 7 MB."""

MESSAGE_BYTES_MAX = 1024 * 1024
"""Largest message where strangers call, unless drivers' frames may be larger."""

FRAME_MARGIN_BYTES = 64 * 1024
"""By how much a frame may be too large and the driver is still told so by the session."""

UNFINISHED_MAX = 64
"""Messages of strangers that are being received at a time: 64 MiB in all. With one more the oldest is given up."""

UNFINISHED_S_MAX = 15.0
"""How long a message may take to arrive, and how long somebody may ask for reflection; as long as the edge allows."""

CONNECTIONS_MAX = 20_000
"""Connections of one listener; each driver that comes directly has one."""

CALLS_MAX = 20_000
"""Calls and driver streams of one listener at a time; one more is refused with RESOURCE_EXHAUSTED."""

STREAMS_MAX = 200
"""Calls and driver streams of one connection, where strangers call; as many as the edge puts on one."""

FACADE_STREAMS_MAX = 1_000
"""The same where the facade calls: it has one connection for all its requests."""

END_OF_STREAM: Any = grpc.aio.EOF  # pyright: ignore[reportAttributeAccessIssue] - not in the published types
DRIVER_STREAM = f"/{driver_service_pb2.DESCRIPTOR.services_by_name['DriverService'].full_name}/Connect"

Context = Any
"""grpc.aio.ServicerContext; its published types lack what is used here."""


def options(*, for_strangers: bool, frame_bytes_max: int) -> list[tuple[str, int]]:
    """gRPC's own limits for a listener."""
    strangers_bytes_max = max(MESSAGE_BYTES_MAX, frame_bytes_max + FRAME_MARGIN_BYTES)
    return [
        ("grpc.max_receive_message_length", strangers_bytes_max if for_strangers else BATCH_BYTES_MAX),
        ("grpc.max_concurrent_streams", STREAMS_MAX if for_strangers else FACADE_STREAMS_MAX),
        ("grpc.max_allowed_incoming_connections", CONNECTIONS_MAX),
    ]


class Intake(grpc.aio.ServerInterceptor):
    """Bounds how many messages of calls are being received, and for how long each may be."""

    def __init__(
        self, unfinished_max: int = UNFINISHED_MAX, unfinished_s_max: float = UNFINISHED_S_MAX
    ) -> None:
        self._unfinished: dict[asyncio.Timeout, None] = {}
        self._unfinished_max = unfinished_max
        self._unfinished_s_max = unfinished_s_max

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The method's handler, receiving its message in here; as it is for drivers' streams and unknown methods."""
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method == DRIVER_STREAM:
            return handler
        coding = (handler.request_deserializer, handler.response_serializer)
        if handler.unary_unary is not None:
            return grpc.stream_unary_rpc_method_handler(self._unary(handler.unary_unary), *coding)
        if handler.unary_stream is not None:
            return grpc.stream_stream_rpc_method_handler(self._unary(handler.unary_stream), *coding)
        return grpc.stream_stream_rpc_method_handler(self._stream(handler.stream_stream), *coding)

    def _unary(self, answer: Callable[[Any, Context], Awaitable[Any]]) -> Any:
        """For a method with one message in the request: the call itself is not bounded."""

        async def call(_requests: object, context: Context) -> Any:
            async with self._place(context):
                request = await context.read()
            if request is END_OF_STREAM:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The call has no message.")
            return await answer(request, context)

        return call

    def _stream(self, answer: Callable[[Any, Context], AsyncIterator[Any]]) -> Any:
        """For a method with many messages in the request, which is reflection: bounded as a whole."""

        async def call(requests: object, context: Context) -> AsyncGenerator[Any]:
            async with self._place(context):
                async for response in answer(requests, context):
                    yield response

        return call

    @asynccontextmanager
    async def _place(self, context: Context) -> AsyncGenerator[None]:
        """One of the places of what is unfinished; ends the call if it is given up."""
        if len(self._unfinished) >= self._unfinished_max:
            self._give_up_oldest()
        try:
            async with asyncio.timeout(self._unfinished_s_max) as limit:
                self._unfinished[limit] = None
                try:
                    yield
                finally:
                    self._unfinished.pop(limit, None)
        except TimeoutError:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "The request did not arrive in time.")

    def _give_up_oldest(self) -> None:
        oldest = next(iter(self._unfinished))
        del self._unfinished[oldest]
        if not oldest.expired():
            oldest.reschedule(asyncio.get_running_loop().time())
