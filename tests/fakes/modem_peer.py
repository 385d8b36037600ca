"""The far end of a modem's port that says exactly what a test tells it to: on a pseudo-terminal, on TCP, or in memory.

Knows no AT: it cuts what it hears at CR, Ctrl-Z and ESC, and answers each piece by a table.
"""

import asyncio
import contextlib
import os
import pty
import tty
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager

from drivers.modem.link.port_errors import PortLost

CTRL_Z, ESCAPE, CARRIAGE_RETURN = b"\x1a\x1b\r"
HEARD_WITHIN_S = 20.0

Answer = bytes | Callable[[], bytes]


class ModemPeer:
    """Hears pieces such as `AT+CSQ`, `<ESC>` and `0011…<SUB>`; answers those of `answers`, and no others."""

    def __init__(self, answers: Mapping[str, Answer] | None = None) -> None:
        self.answers: dict[str, Answer] = dict(answers or {})
        """Changed by tests as they go."""
        self.heard: list[str] = []
        self.write: Callable[[bytes], None] = lambda data: None
        """What to say it with; set by whatever carries it."""
        self.hang_up: Callable[[], None] = lambda: None
        self._news = asyncio.Condition()
        self._piece = bytearray()
        self._tasks: set[asyncio.Task[None]] = set()

    def say(self, data: bytes) -> None:
        """Say it, unasked or late."""
        self.write(data)

    def hear(self, data: bytes) -> None:
        """What came from the near end."""
        for octet in data:
            if octet == ESCAPE:
                self._take("<ESC>")
            elif octet == CARRIAGE_RETURN:
                self._take(self._taken())
            elif octet == CTRL_Z:
                self._take(self._taken() + "<SUB>")
            else:
                self._piece.append(octet)

    async def until_heard(self, piece: str, *, times: int = 1) -> None:
        """Wait until it was heard so often."""
        async with asyncio.timeout(HEARD_WITHIN_S), self._news:
            await self._news.wait_for(lambda: self.heard.count(piece) >= times)

    def _taken(self) -> str:
        piece = self._piece.decode("latin-1")
        self._piece.clear()
        return piece

    def _take(self, piece: str) -> None:
        self.heard.append(piece)
        task = asyncio.get_running_loop().create_task(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        answer = self.answers.get(piece, b"")
        if answer:
            self.write(answer if isinstance(answer, bytes) else answer())

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()


class Terminal:
    """A pseudo-terminal whose far end is a peer."""

    def __init__(self, peer: ModemPeer) -> None:
        self._peer = peer
        # The near end is kept open, so that the far end does not see a hang-up before somebody has opened it.
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.name = os.ttyname(self._slave)
        self._unsaid = bytearray()
        self._is_open = True
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._master, self._hear)
        peer.write = self._write
        peer.hang_up = self.hang_up

    def hang_up(self) -> None:
        """Close the far end; whoever has the near end open notices."""
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._master)
            self._loop.remove_writer(self._master)
            os.close(self._slave)
            os.close(self._master)

    def _hear(self) -> None:
        self._peer.hear(os.read(self._master, 4096))

    def _write(self, data: bytes) -> None:
        if self._is_open:
            self._unsaid += data
            self._say()

    def _say(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._unsaid:
                del self._unsaid[: os.write(self._master, self._unsaid)]
        if self._unsaid:
            self._loop.add_writer(self._master, self._say)
        else:
            self._loop.remove_writer(self._master)


@asynccontextmanager
async def on_terminal(peer: ModemPeer) -> AsyncGenerator[str]:
    """The name of a terminal device whose far end is the peer."""
    terminal = Terminal(peer)
    try:
        yield terminal.name
    finally:
        terminal.hang_up()


@asynccontextmanager
async def on_socket(peer: ModemPeer) -> AsyncGenerator[str]:
    """The URL of a socket behind which the peer listens."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        peer.write = writer.write
        peer.hang_up = writer.close
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(4096):
                peer.hear(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"socket://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await server.wait_closed()


class MemoryPort:
    """A port without a device: what is written is heard by a peer at once."""

    def __init__(self, peer: ModemPeer) -> None:
        self._peer = peer
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.is_closed = False
        self.write_errors: list[Exception] = []
        """What the next writes raise, one each."""
        peer.write = self._chunks.put_nowait
        peer.hang_up = lambda: self._chunks.put_nowait(None)

    async def read(self) -> bytes:
        """The next bytes. Raises PortLost once the peer has hung up."""
        chunk = await self._chunks.get()
        if chunk is None:
            self._chunks.put_nowait(None)
            raise PortLost("The port was lost.")
        return chunk

    async def write(self, data: bytes) -> None:
        """Let the peer hear it."""
        if self.write_errors:
            raise self.write_errors.pop(0)
        self._peer.hear(data)

    async def close(self) -> None:
        """Hang up."""
        self.is_closed = True
        self._chunks.put_nowait(None)
