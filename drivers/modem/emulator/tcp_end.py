"""A modem's port as a TCP port of this machine, for one client at a time: `socket://127.0.0.1:PORT` of pyserial."""

import asyncio
from collections.abc import Callable

HOST = "127.0.0.1"
READ_BYTES = 4096
UNWRITTEN_BYTES_MAX = 256 * 1024
"""What waits for a client that does not read; more is lost."""


class TcpEnd:
    """One port. It is there from `open` to `close`, however often, under the same number."""

    def __init__(self, port: int, *, received: Callable[[bytes], None]) -> None:
        """With `port` 0 the system chooses one at the first opening. `received` gets what clients send."""
        self._received = received
        self._server: asyncio.Server | None = None
        self._client: asyncio.StreamWriter | None = None
        self.port = port

    async def open(self) -> None:
        """Listen, on the loopback only."""
        self._server = await asyncio.start_server(self._serve, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Listen no more; a client notices."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._client is not None:
            self._client.transport.abort()
            self._client = None

    def send(self, data: bytes) -> None:
        """The modem says this to its client, if it has one."""
        client = self._client
        if client is not None and client.transport.get_write_buffer_size() < UNWRITTEN_BYTES_MAX:
            client.write(data)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._client is not None:
            # A serial port has one user.
            writer.close()
            return
        self._client = writer
        try:
            while data := await reader.read(READ_BYTES):
                self._received(data)
        except ConnectionError:
            pass
        finally:
            if self._client is writer:
                self._client = None
            writer.close()
