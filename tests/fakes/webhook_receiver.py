"""A customer's webhook receiver, scriptable down to the bytes.

Owns a small HTTP/1.1 server on 127.0.0.1 that records what it gets and answers as told, also in ways that no
sane server does. It must not know the product: it reads requests by itself and verifies nothing.

async with WebhookReceiver() as receiver: receiver.respond_with(Reply(503), Reply(200))  # the last one is
repeated ...  # have something delivered to receiver.url first, second = await receiver.wait_for(2) assert
first.body == second.body
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

WAIT_S_MAX = 10.0
REQUEST_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request as it came in."""

    method: str
    target: str
    """Path and query exactly as sent."""
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int
    """Number of the connection it came on, from 1."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """The value of the first header of this name in any case, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Connection:
    """The receiver's end of one connection, for behaviours."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        """Number of the connection, from 1."""
        self.requests = 0
        """How many requests came on it, the current one included."""
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes and wait while the peer does not take them."""
        self._writer.write(data)
        await self._writer.drain()

    async def stay_silent(self) -> None:
        """Say nothing more until the peer closes; what it sends is thrown away."""
        while await self._reader.read(REQUEST_BYTES_MAX):
            pass

    def close(self) -> None:
        """Close in the orderly way, after what was sent."""
        self._writer.close()

    def reset(self) -> None:
        """Close with a TCP reset."""
        raw: socket.socket | None = self._writer.get_extra_info("socket")
        assert raw is not None, "the connection is gone already"
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    @property
    def is_open(self) -> bool:
        """Whether this end is still open."""
        return not self._writer.is_closing()


Behaviour = Callable[[ReceivedRequest, Connection], Awaitable[None]]
"""What the receiver does with one request. If the connection is open afterwards, the next request is read
from it."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An ordinary answer with a content length."""

    status: int = 200
    body: bytes = b"ok"
    headers: Sequence[tuple[str, str]] = ()

    async def __call__(self, request: ReceivedRequest, connection: Connection) -> None:
        """Send the answer."""
        lines = [f"HTTP/1.1 {self.status} Status", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        await connection.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + self.body)


@dataclass(frozen=True, slots=True)
class SendBytes:
    """Exactly these bytes, and then silence, a close or a reset."""

    data: bytes
    then: str = "close"
    """One of "close", "reset", "silence", "next" (read the next request)."""

    async def __call__(self, request: ReceivedRequest, connection: Connection) -> None:
        """Send the bytes."""
        await connection.send(self.data)
        match self.then:
            case "close":
                connection.close()
            case "reset":
                # So that the peer has read the bytes before the reset discards them.
                await asyncio.sleep(0.05)
                connection.reset()
            case "silence":
                await connection.stay_silent()
            case "next":
                pass
            case _:
                raise ValueError(f"nothing is known of {self.then!r}")


@dataclass(frozen=True, slots=True)
class Drip:
    """Some bytes at once, the others one by one with pauses, and then silence."""

    at_once: bytes
    data: bytes
    pause_s: float = 0.02

    async def __call__(self, request: ReceivedRequest, connection: Connection) -> None:
        """Send the bytes."""
        await connection.send(self.at_once)
        for position in range(len(self.data)):
            await connection.send(self.data[position : position + 1])
            await asyncio.sleep(self.pause_s)
        await connection.stay_silent()


@dataclass(frozen=True, slots=True)
class SendForEver:
    """A beginning and then one block again and again for as long as the peer takes it."""

    head: bytes
    block: bytes

    async def __call__(self, request: ReceivedRequest, connection: Connection) -> None:
        """Send until the peer closes."""
        await connection.send(self.head)
        while True:
            await connection.send(self.block)
            await asyncio.sleep(0)


async def say_nothing(request: ReceivedRequest, connection: Connection) -> None:
    """Read the request and never answer."""
    await connection.stay_silent()


class WebhookReceiver:
    """The receiver. Answers 200 to everything until told otherwise."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        silent: bool = False,
    ) -> None:
        """`tls` makes it https under the name `localhost`; `port` 0 is any free one; `silent` never
        answers."""
        self.requests: list[ReceivedRequest] = []
        self.connections_opened = 0
        self._tls = tls
        self._host = host
        self._port = port
        self._silent = silent
        self._script: list[Behaviour] = [Reply()]
        self._server: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._failures: list[BaseException] = []
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self._host, self._port, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task, writer in list(self._serving.items()):
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()
        if error is None and self._failures:
            raise self._failures[0]

    @property
    def port(self) -> int:
        """The TCP port it listens on."""
        assert self._server is not None, "the receiver was not started"
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """Where to deliver."""
        if self._tls is not None:
            return f"https://localhost:{self.port}/hook"
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}/hook"

    @property
    def connections_open(self) -> int:
        """How many connections are open at its end."""
        return len(self._serving)

    def respond_with(self, *behaviours: Behaviour) -> None:
        """Answer the next requests with these, one each and in this order; the last one is repeated."""
        assert behaviours, "at least one behaviour"
        self._script = list(behaviours)

    async def wait_for(self, count: int) -> list[ReceivedRequest]:
        """Return the first `count` requests as soon as there are so many; fails after 10 s."""
        await self._wait_until(lambda: len(self.requests) >= count, f"{count} requests")
        return self.requests[:count]

    async def wait_until_unconnected(self) -> None:
        """Return when no connection is open; fails after 10 s."""
        await self._wait_until(lambda: not self._serving, "no open connections")

    async def _wait_until(self, condition: Callable[[], bool], wanted: str) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S_MAX):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        assert condition(), (
            f"waited for {wanted}, but there are {len(self.requests)} requests "
            f"and {self.connections_open} open connections"
        )

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections_opened += 1
        connection = Connection(self.connections_opened, reader, writer)
        task = asyncio.create_task(self._serve(reader, connection), name=f"receiver {connection.number}")
        self._serving[task] = writer
        task.add_done_callback(self._forget)
        self._changed.set()

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._serving.pop(task).close()
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self._failures.append(failure)
        self._changed.set()

    async def _serve(self, reader: asyncio.StreamReader, connection: Connection) -> None:
        # A peer that hangs up is no failure of the receiver's.
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            if self._silent:
                await connection.stay_silent()
            while connection.is_open and (request := await _read_request(reader, connection.number)):
                connection.requests += 1
                self.requests.append(request)
                self._changed.set()
                behaviour = self._script.pop(0) if len(self._script) > 1 else self._script[0]
                await behaviour(request, connection)


async def _read_request(reader: asyncio.StreamReader, connection: int) -> ReceivedRequest | None:
    """Read one request with a content length; None if the peer closed between requests."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *rest = head[:-4].split(b"\r\n")
    method, target, version = first.decode("latin-1").split(" ")
    assert version == "HTTP/1.1", f"unexpected {version}"
    pairs = (line.decode("latin-1").partition(":") for line in rest)
    headers = tuple((name, value.strip()) for name, _, value in pairs)
    lengths = [int(value) for name, value in headers if name.lower() == "content-length"]
    assert len(lengths) == 1, f"expected one content length, got {lengths}"
    assert lengths[0] <= REQUEST_BYTES_MAX, f"expected a small body, got {lengths[0]} bytes"
    body = await reader.readexactly(lengths[0])
    return ReceivedRequest(method, target, headers, body, connection)
