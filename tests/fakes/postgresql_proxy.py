"""A TCP proxy before PostgreSQL that breaks a connection in the middle of a commit.

Owns the faults. It looks for the query COMMIT in what a client sends, and for what it says first; it knows nothing else
of the protocol.
"""

import asyncio
import contextlib
from enum import StrEnum
from types import TracebackType
from typing import Self

from sqlalchemy import make_url

COMMIT = b"COMMIT\0"
"""The end of a query that is no more than that."""

STARTUP = b"\0\3\0\0"
"""The protocol's version; after it, names and values of parameters, each with a zero at its end."""


class Fault(StrEnum):
    """What happens to the next commit."""

    COMMIT_LOST = "lost"
    """It never reaches the server."""
    COMMIT_UNANSWERED = "unanswered"
    """The server commits, and its answer is lost."""
    SERVER_GONE = "gone"
    """The same, and nobody reaches the server any more."""


class Proxy:
    """Forwards to a port of loopback while the block runs."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.next_commit: Fault | None = None
        self.is_open = True
        self.parameters: set[str] = set()
        """The names of what clients set as they connect."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def through(self, url: str) -> str:
        """The URL of the same database, through this proxy."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return make_url(url).set(port=port).render_as_string(hide_password=False)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self.is_open:
                await self._forward(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._port)
        answers = asyncio.create_task(_copy(server_reader, writer))
        try:
            while data := await reader.read(65536):
                if data[4:8] == STARTUP:
                    self.parameters.update(data[8:].decode().split("\0")[:-2:2])
                fault = self.next_commit if COMMIT in data else None
                if fault is Fault.COMMIT_LOST:
                    self.next_commit = None
                    return
                if fault is not None:
                    self.next_commit = None
                    answers.cancel()
                    await asyncio.wait([answers])
                    self.is_open = fault is not Fault.SERVER_GONE
                server_writer.write(data)
                await server_writer.drain()
                if fault is not None:
                    await server_reader.read(65536)  # the answer, for nobody
                    return
        except ConnectionError:
            return
        finally:
            answers.cancel()
            server_writer.close()
            await asyncio.gather(answers, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
