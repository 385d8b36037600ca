"""A control socket: how a person or a program on the same machine asks a running driver something.

Owns the Unix socket, which only its owner can use, its connections, and the form: one JSON object per line, one answer
per line, `{"ok": true, …}` or `{"ok": false, "code": "…", "error": "a sentence"}`. Knows no request.
"""

import asyncio
import errno
import json
import os
import select
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

LINE_BYTES_MAX = 256 * 1024
ANSWER_BYTES_MAX = 4 * 1024 * 1024
SOCKET_PATH_BYTES_MAX = 107
"""What the kernel allows (unix(7))."""
IDLE_S = 60.0
"""For which a connection on which nothing is asked is kept."""

CarryOut = Callable[[Any], Awaitable[Mapping[str, Any]]]
"""The fields of the answer to a request, which may be any JSON value. Raises RequestRefused."""


class RequestRefused(Exception):
    """The request cannot be carried out; the code is for programs, the text for people."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class SocketUnusable(Exception):
    """The control socket cannot be at this path; the text is for people."""


class NobodyListens(Exception):
    """No process listens at the socket."""


class AnswerMissing(Exception):
    """The process that listens did not answer; the text goes on from its name: "did not answer: …"."""


class ControlSocket:
    """Listens, has requests carried out and answers them."""

    def __init__(self, carry_out: CarryOut, *, idle_s: float = IDLE_S) -> None:
        self._carry_out = carry_out
        self._idle_s = idle_s
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self._connections: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    async def open(self, path: Path) -> None:
        """Listen at `path`. A socket that a dead process left there is replaced. Raises SocketUnusable."""
        listener = _listener_at(path)
        self._path = path
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=LINE_BYTES_MAX)

    async def open_or_log(self, path: Path, log: Any, *, remedy: str = "set INFINIREACH_VAR") -> None:
        """Listen at `path`, for a driver that works without it as well: why it cannot be is logged."""
        try:
            await self.open(path)
        except SocketUnusable as error:
            log.error("control.not_open", error=str(error), remedy=remedy)

    async def close(self) -> None:
        """Stop listening and remove the socket. Who waits for an answer gets none."""
        if self._server is None or self._path is None:
            return
        self._is_closed = True
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        if self._connections:
            await asyncio.wait(self._connections)
        await self._server.wait_closed()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if not self._is_closed:  # one that was accepted just before the end begins after it
                await self._converse(reader, writer)
        except (ConnectionError, TimeoutError):
            # The other side is gone, or asks nothing.
            return
        except asyncio.CancelledError:
            # `close` ends connections so; the server's own record of the task is not to hear of it.
            return
        finally:
            self._connections.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One answer after the other. What is done for somebody who hangs up is given up."""
        next_line = asyncio.create_task(_line(reader), name="control line")
        tasks: list[asyncio.Task[Any]] = [next_line]
        try:
            while line := await asyncio.wait_for(next_line, self._idle_s):
                next_line = asyncio.create_task(_line(reader), name="control line")
                answering = asyncio.create_task(self._answer(line), name="control answer")
                tasks = [next_line, answering]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if not answering.done() and not await next_line and _has_hung_up(writer):
                    return
                writer.write(json.dumps(await answering).encode() + b"\n")
                await writer.drain()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            return {"ok": True, **await self._carry_out(_request(line))}
        except RequestRefused as refused:
            return {"ok": False, "code": refused.code, "error": str(refused)}


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line; empty if there is none, or one that is longer than the limit."""
    try:
        return await reader.readline()
    except ValueError:
        return b""


def _has_hung_up(writer: asyncio.StreamWriter) -> bool:
    """Whether the other side takes no answer either; some only say that they have no further request."""
    poll = select.poll()
    poll.register(writer.get_extra_info("socket").fileno(), 0)
    return bool(poll.poll(0))


def _request(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise RequestRefused("invalid_request", "The line is not JSON.") from None


def _listener_at(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
        raise SocketUnusable(f"The path of the socket is longer than {SOCKET_PATH_BYTES_MAX} bytes: {path}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_socket():
            if _is_alive(path):
                raise SocketUnusable(f"A process listens at {path} already.")
            path.unlink(missing_ok=True)
        listener.bind(os.fspath(path))
    except OSError as error:
        listener.close()
        raise SocketUnusable(f"The control socket cannot be at {path}: {error.strerror}.") from None
    except SocketUnusable:
        listener.close()
        raise
    finally:
        os.umask(mask)
    return listener


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.setblocking(False)
        return connection.connect_ex(os.fspath(path)) in (
            0,
            errno.EAGAIN,
        )  # the latter: more wait than it takes


def ask(path: Path, request: Mapping[str, Any], *, timeout_s: float) -> dict[str, Any]:
    """The answer of the process that listens at `path`. Raises NobodyListens, AnswerMissing, PermissionError."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(os.fspath(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer: object = json.loads(lines.readline(ANSWER_BYTES_MAX))
    except (FileNotFoundError, ConnectionRefusedError):
        raise NobodyListens(f"No process listens at {path}.") from None
    except PermissionError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise AnswerMissing(f"did not answer: {error}") from None
    if not isinstance(answer, dict):
        raise AnswerMissing("did not answer with an object.")
    return answer
