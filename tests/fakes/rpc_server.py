"""A real grpc.aio server on a free port of loopback, for as long as a test needs it.

Owns the server's and the channel's life. Knows no service: it is given the functions that add them.
"""

import contextlib
from collections.abc import AsyncGenerator, Callable

import grpc

CALL_TIMEOUT_S = 20.0


@contextlib.asynccontextmanager
async def serving(*add: Callable[[grpc.aio.Server], object]) -> AsyncGenerator[grpc.aio.Channel]:
    """A channel to a server with what `add` adds to it."""
    server = grpc.aio.server()
    for add_service in add:
        add_service(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)
