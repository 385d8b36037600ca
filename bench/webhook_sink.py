"""A webhook receiver for benchmarks: as little work for each request as Python allows.

Owns a process of its own. `/hook/...` is answered 200 at once, `/hang/...` never. Writes, when its standard input
closes, one line for each request: its arrival on the monotonic clock in nanoseconds, path and webhook-id.
"""

import asyncio
import sys
import time

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Sink(asyncio.Protocol):
    """One connection. Requests are small and come one at a time on each."""

    def __init__(self, log: list[tuple[int, bytes]]) -> None:
        self._log = log
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Note when a request began; answer once it is complete."""
        if not self._data:
            self._began_ns = time.monotonic_ns()
        self._data += data
        head, separator, body = self._data.partition(b"\r\n\r\n")
        if not separator:
            return
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if len(body) < int(length):
            return
        self._log.append((self._began_ns, head))
        self._data = b""
        if not head.startswith(b"POST /hang/"):
            self._transport.write(_ANSWER)


async def main() -> None:
    """Serve until standard input closes, then write what came."""
    log: list[tuple[int, bytes]] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Sink(log), "127.0.0.1", 0, backlog=1_024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    for began_ns, head in log:
        path = head.split(b" ", 2)[1]
        event_id = head.partition(b"webhook-id: ")[2].partition(b"\r\n")[0]
        print(began_ns, path.decode(), event_id.decode())
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
