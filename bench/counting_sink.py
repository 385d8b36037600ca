"""A webhook receiver that counts: answers 200 at once, says the count for each line on its standard input."""

import asyncio
import sys

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Counter(asyncio.Protocol):
    """One connection. `count` is shared by all."""

    count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to answer on."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        """Count and answer every complete request."""
        self._data += data
        while True:
            head, separator, body = self._data.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            if not separator or len(body) < length:
                return
            self._data = body[length:]
            Counter.count += 1
            self._transport.write(_ANSWER)


async def main() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Counter, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(Counter.count, flush=True)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
