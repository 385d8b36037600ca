"""The control socket of the running driver: what a person at this machine may ask of its modems.

Owns the Unix socket `modem.sock` in INFINIREACH_VAR, which only its owner can use, and the form of requests. One JSON
object per line, one answer per line:

    {"status": {}}
        {"ok": true, "modems": [{"name", "state", "reason", "remedy", "window", "signal_percent", "operator",
        "is_roaming", "port", "maker", "model", "imei", "iccid", "parts_today", "parts_per_day", "resets",
        "balance_ussd", "number_differs", "counts"}], "counts": {"segments", "reports"}}
        number_differs: the SIM tells another number than modems.toml does; counts: what came in since the driver
        started, and what became of it, by name: a modem's own, and of segments and reports those of all modems
    {"ussd": {"device": "alpha", "code": "*100#"}}
        {"ok": true, "text": "…", "is_open": false}; is_open: the network waits for an answer, sent the same way
    {"unlock": {"device": "alpha"}}
        {"ok": true}; the PIN in modems.toml is right, whatever became of it, and is to be tried once more

Whoever hangs up before the answer takes back what was not begun: a code that waits for its turn is not sent.

    {"ok": false, "code": "…", "error": "a sentence"}
        code: invalid_request, unknown_device, not_ready, ussd_refused, ussd_unanswered
"""

import asyncio
import json
import os
import socket
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drivers.modem.at.results import ChannelClosed, CommandUnanswered
from drivers.modem.config import unknown_modem
from drivers.modem.life.modem import Modem, ModemAway
from drivers.modem.ussd import UssdRefused, UssdUnanswered

LINE_BYTES_MAX = 4096
SOCKET_PATH_BYTES_MAX = 107
"""What the kernel allows (unix(7))."""
CONNECTIONS_MAX = 16


class RequestRefused(Exception):
    """The request cannot be carried out; the code is for programs, the text for people."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class PathTooLong(Exception):
    """The kernel does not take the path for a socket."""


class ControlSocket:
    """Listens on the socket and passes requests to the modems."""

    def __init__(self, modems: Mapping[str, Modem], counts: Mapping[str, Counter[str]]) -> None:
        """`counts` are those that all modems have in common; they go on counting."""
        self._modems = modems
        self._counts = counts
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self._connections: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    async def open(self, path: Path) -> None:
        """Listen at `path`. A socket that a dead process left there is replaced. Raises PathTooLong, OSError."""
        listener = _bind(path)
        self._path = path
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=LINE_BYTES_MAX)

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
        try:
            # One that was accepted just before the end begins after it.
            if self._is_closed or len(self._connections) >= CONNECTIONS_MAX:
                return
            self._connections.add(task)
            await self._converse(reader, writer)
        except (ConnectionError, ValueError):
            # The other side is gone, or its line is longer than the limit.
            return
        except asyncio.CancelledError:
            # `close` ends connections so; the server's own record of the task is not to hear of it.
            return
        finally:
            self._connections.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One answer after the other. For somebody who has hung up nothing is done any more."""
        next_line = asyncio.create_task(reader.readline(), name="control line")
        tasks: list[asyncio.Task[Any]] = [next_line]
        try:
            while line := await next_line:
                next_line = asyncio.create_task(reader.readline(), name="control line")
                answering = asyncio.create_task(self._answer(line), name="control answer")
                tasks = [next_line, answering]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if not answering.done() and not await next_line:
                    return
                writer.write(json.dumps(await answering).encode() + b"\n")
                await writer.drain()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            return {"ok": True, **await self._carry_out(line)}
        except RequestRefused as refused:
            return {"ok": False, "code": refused.code, "error": str(refused)}

    async def _carry_out(self, line: bytes) -> dict[str, Any]:
        try:
            request: Any = json.loads(line)
        except ValueError:
            raise RequestRefused("invalid_request", "The line is not JSON.") from None
        match request:
            case {"status": dict()}:
                return {
                    "modems": [modem.status() for modem in self._modems.values()],
                    "counts": {name: dict(counts) for name, counts in self._counts.items()},
                }
            case {"ussd": {"device": str(name), "code": str(code)}}:
                return await self._ask_ussd(self._modem(name), code)
            case {"unlock": {"device": str(name)}}:
                return await self._unlock(self._modem(name))
            case _:
                raise RequestRefused(
                    "invalid_request",
                    'The request must be {"status": {}}, {"ussd": {"device", "code"}} or {"unlock": {"device"}}.',
                )

    def _modem(self, name: str) -> Modem:
        modem = self._modems.get(name)
        if modem is None:
            raise RequestRefused("unknown_device", unknown_modem(name, self._modems))
        return modem

    async def _ask_ussd(self, modem: Modem, code: str) -> dict[str, Any]:
        try:
            answer = await modem.ask_ussd(code)
        except ValueError as error:
            raise RequestRefused("invalid_request", f"code {error}") from None
        except UssdRefused as refused:
            raise RequestRefused("ussd_refused", str(refused)) from None
        except UssdUnanswered as unanswered:
            raise RequestRefused("ussd_unanswered", str(unanswered)) from None
        except CommandUnanswered:
            raise RequestRefused("ussd_unanswered", "The modem did not answer in time.") from None
        except ModemAway as away:
            raise RequestRefused("not_ready", str(away)) from None
        except ChannelClosed:
            raise RequestRefused("not_ready", "The modem went away.") from None
        return {"text": answer.text, "is_open": answer.is_open}

    async def _unlock(self, modem: Modem) -> dict[str, Any]:
        try:
            await modem.unlock()
        except ModemAway as away:
            raise RequestRefused("not_ready", str(away)) from None
        return {}


def _bind(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES_MAX:
        raise PathTooLong(f"the path of the socket is longer than {SOCKET_PATH_BYTES_MAX} bytes: {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_socket():
        # Its owner is gone: the journal's lock admits one process at a time.
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(os.fspath(path))
    finally:
        os.umask(mask)
    return listener
