"""A modem's port as a TCP port of this machine, for one client at a time: `socket://127.0.0.1:PORT` of pyserial."""

import asyncio
from collections.abc import Callable

HOST = "127.0.0.1"
UNWRITTEN_BYTES_MAX = 256 * 1024
"""What waits for a client that does not read; more is lost."""


class TcpEnd:
    """One port. It is there from `open` to `close`, however often, under the same number."""

    def __init__(self, port: int, *, received: Callable[[bytes], None]) -> None:
        """With `port` 0 the system chooses one at the first opening. `received` gets what clients send."""
        self._received = received
        self._server: asyncio.Server | None = None
        self._client: asyncio.Transport | None = None
        self.port = port

    async def open(self) -> None:
        """Listen, on the loopback only. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Listen no more; a client notices."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._client is not None:
            self._client.abort()
            self._client = None

    def send(self, data: bytes) -> None:
        """The modem says this to its client, if it has one."""
        client = self._client
        if client is not None and client.get_write_buffer_size() < UNWRITTEN_BYTES_MAX:
            client.write(data)

    def connected(self, transport: asyncio.Transport) -> None:
        """Somebody has come; a serial port has one user."""
        if self._client is None:
            self._client = transport
        else:
            transport.abort()

    def said(self, transport: asyncio.BaseTransport | None, data: bytes) -> None:
        """A client has sent this."""
        if transport is self._client:
            self._received(data)

    def left(self, transport: asyncio.BaseTransport | None) -> None:
        """A client is gone."""
        if transport is self._client:
            self._client = None


class _Connection(asyncio.Protocol):
    """One client; knows only to whom it belongs."""

    def __init__(self, end: TcpEnd) -> None:
        self._end = end
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._end.connected(transport)

    def data_received(self, data: bytes) -> None:
        self._end.said(self._transport, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end.left(self._transport)
