"""The control socket of the emulator: a Unix socket that only its owner can use, one JSON object a line.

Owns the socket; what can be told through it is in `orders`.
"""

import asyncio
import json
import os
import socket
from pathlib import Path

from drivers.modem.emulator.orders import Orders

LINE_BYTES_MAX = 256 * 1024
SOCKET_PATH_BYTES_MAX = 107
"""What the kernel allows (unix(7))."""


class SocketUnusable(Exception):
    """The control socket cannot be at this path; the text is for people."""


class ControlSocket:
    """Listens for orders."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self._connections: set[asyncio.StreamWriter] = set()

    async def open(self, path: Path) -> None:
        """Listen at `path`. Raises SocketUnusable, also when another process listens there."""
        listener = _bind(path)
        self._path = path
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=LINE_BYTES_MAX)

    async def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is None or self._path is None:
            return
        self._server.close()
        for connection in self._connections:
            connection.close()
        await self._server.wait_closed()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while line := await reader.readline():
                writer.write(json.dumps(self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            # The other side is gone, or its line is longer than the limit.
            return
        finally:
            self._connections.discard(writer)
            writer.close()

    def _answer(self, line: bytes) -> dict[str, object]:
        try:
            order: object = json.loads(line)
        except (ValueError, RecursionError):
            return {"ok": False, "error": "The line is not JSON."}
        return self._orders.carry_out(order)


def _bind(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
        raise SocketUnusable(f"The path of the socket is longer than {SOCKET_PATH_BYTES_MAX} bytes: {path}")
    if path.is_socket():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(os.fspath(path))
            except OSError:
                # Its owner is gone.
                path.unlink(missing_ok=True)
            else:
                raise SocketUnusable(f"An emulator runs at {path} already.")
    path.parent.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(os.fspath(path))
    except OSError as error:
        listener.close()
        raise SocketUnusable(f"The control socket cannot be at {path}: {error.strerror}.") from None
    finally:
        os.umask(mask)
    return listener
