"""What is taken in of callers that nobody knows yet, behind a real server."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from core.api import intake
from core.api.intake import DRIVER_STREAM, Intake

BOUND_S = 20.0
ECHO, WATCH, REFLECT = "/test.Service/Echo", "/test.Service/Watch", "/test.Service/Reflect"
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


class Methods(grpc.GenericRpcHandler):
    """One method of each kind, on plain bytes."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """As GenericRpcHandler."""

        async def echo(request: bytes, _context: object) -> bytes:
            return request

        async def watch(request: bytes, context: Any) -> None:
            await context.write(request)
            await asyncio.Event().wait()

        async def stream(requests: AsyncIterator[bytes], _context: object) -> AsyncGenerator[bytes]:
            async for request in requests:
                yield request

        return {
            ECHO: grpc.unary_unary_rpc_method_handler(echo),
            WATCH: grpc.unary_stream_rpc_method_handler(watch),
            REFLECT: grpc.stream_stream_rpc_method_handler(stream),
            DRIVER_STREAM: grpc.stream_stream_rpc_method_handler(stream),
        }.get(str(handler_call_details.method))


@asynccontextmanager
async def listening(interceptor: Intake, **options: int) -> AsyncGenerator[str]:
    """host:port of a server with this interceptor."""
    server = grpc.aio.server(
        interceptors=[interceptor], options=[(f"grpc.{name}", value) for name, value in options.items()]
    )
    server.add_generic_rpc_handlers((Methods(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def channel_of(target: str) -> grpc.aio.Channel:
    """A channel with a connection of its own, which it tries again soon."""
    options = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 200),
    ]
    return grpc.aio.insecure_channel(target, options=options)


@asynccontextmanager
async def channel_to(interceptor: Intake) -> AsyncGenerator[grpc.aio.Channel]:
    """A channel to a server with this interceptor."""
    async with listening(interceptor) as target, channel_of(target) as channel:
        yield channel


async def begun(channel: grpc.aio.Channel, path: str) -> Any:
    """A call whose message never comes."""
    call: Any = channel.stream_stream(path)(timeout=BOUND_S)
    await call.wait_for_connection()
    return call


async def echoed(channel: grpc.aio.Channel, path: str = ECHO) -> bytes:
    """What a call that is whole gets."""
    return await channel.unary_unary(path)(b"whole", timeout=BOUND_S)


async def test_a_call_goes_through_and_one_without_a_message_is_told() -> None:
    async with channel_to(Intake()) as channel:
        assert await echoed(channel) == b"whole"
        empty = await begun(channel, ECHO)
        await empty.done_writing()
        assert await empty.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_of_too_many_unfinished_messages_the_oldest_is_given_up_and_whole_ones_go_through() -> None:
    async with channel_to(Intake(unfinished_max=3)) as channel:
        held: list[Any] = []
        for path in (ECHO, WATCH, REFLECT, ECHO, ECHO):
            held.append(await begun(channel, path))
            await echoed(channel)
        assert [await call.code() for call in held[:3]] == [EXHAUSTED] * 3
        assert await echoed(channel) == b"whole"
        assert not held[-1].done()


async def test_a_message_that_does_not_arrive_in_time_is_given_up() -> None:
    async with channel_to(Intake(unfinished_s_max=0.05)) as channel:
        for path in (ECHO, WATCH, REFLECT):
            assert await (await begun(channel, path)).code() is EXHAUSTED


async def test_what_arrived_has_all_the_time_it_needs_and_so_have_drivers() -> None:
    async with channel_to(Intake(unfinished_max=1, unfinished_s_max=0.05)) as channel:
        watch: Any = channel.unary_stream(WATCH)(b"watch", timeout=BOUND_S)
        assert await watch.read() == b"watch"
        driver = await begun(channel, DRIVER_STREAM)
        assert await (await begun(channel, ECHO)).code() is EXHAUSTED
        await driver.write(b"hello")
        assert await driver.read() == b"hello"
        assert not watch.done()


async def test_a_call_that_is_cancelled_gives_its_place_back() -> None:
    async with channel_to(Intake(unfinished_max=2)) as channel:
        first = await begun(channel, ECHO)
        await echoed(channel)
        for _ in range(5):
            (await begun(channel, ECHO)).cancel()
            await echoed(channel)
        assert not first.done()


async def test_a_connection_too_many_is_refused_until_another_one_ends() -> None:
    async with listening(Intake(), max_allowed_incoming_connections=1) as target:
        async with channel_of(target) as first, channel_of(target) as second:
            assert await echoed(first) == b"whole"
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await echoed(second)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        async with channel_of(target) as third:
            assert await third.unary_unary(ECHO)(b"whole", timeout=BOUND_S, wait_for_ready=True) == b"whole"


def test_a_listener_for_strangers_takes_every_frame_that_drivers_may_send_and_no_batch() -> None:
    size = "grpc.max_receive_message_length"
    usual = dict(intake.options(for_strangers=True, frame_bytes_max=262_144))[size]
    large = dict(intake.options(for_strangers=True, frame_bytes_max=4_194_304))[size]
    assert usual == intake.MESSAGE_BYTES_MAX < intake.BATCH_BYTES_MAX
    assert large > 4_194_304
