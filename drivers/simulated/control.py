"""The control socket: how a message is made to come in to a simulated device.

A Unix socket that only its owner can use. One JSON object per line, one answer per line (docs/sandbox.md).
"""

import asyncio
import json
import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from drivers.runtime import Context, JournalUnwritable
from drivers.simulated.devices import CHANNELS
from infinireach.driver.v1.fact_pb2 import InboundMessage
from infinireach.driver.v1.session_pb2 import DeviceDescription

LINE_BYTES_MAX = 256 * 1024
TEXT_CHARACTERS_MAX = 20_000
SOURCE_PATTERN = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 ._-]{1,11}")
"""E.164, a short code or an alphanumeric name."""
NUMBER_PATTERN = re.compile(r"\+[1-9][0-9]{6,14}")
SOCKET_PATH_BYTES_MAX = 107
"""What the kernel allows (unix(7))."""


class RequestRefused(Exception):
    """The request cannot be carried out; the code is for programs, the text for people."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class PathTooLong(Exception):
    """The kernel does not take the path for a socket."""


class ControlSocket:
    """Listens on the socket and hands inbound messages to the runtime."""

    def __init__(self, context: Context, devices: Sequence[DeviceDescription]) -> None:
        self._context = context
        self._devices = {
            (address.channel, address.number): device for device in devices for address in device.addresses
        }
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self._connections: set[asyncio.StreamWriter] = set()

    async def open(self, path: Path) -> None:
        """Listen at `path`. A socket that a dead process left there is replaced."""
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
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            # The other side is gone, or its line is longer than the limit.
            return
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            receipt = await self._context.received(self._inbound(line))
        except RequestRefused as refused:
            return {"ok": False, "code": refused.code, "error": str(refused)}
        except JournalUnwritable as error:
            return {"ok": False, "code": "journal_unwritable", "error": str(error)}
        return {"ok": True, "sequence": receipt.sequence}

    def _inbound(self, line: bytes) -> InboundMessage:
        try:
            request: Any = json.loads(line)
        except ValueError:
            raise RequestRefused("invalid_request", "The line is not JSON.") from None
        fields: Any = request.get("inbound") if isinstance(request, dict) else None
        if not isinstance(fields, dict):
            raise RequestRefused("invalid_request", 'The request must be {"inbound": {…}}.')
        channel = fields.get("channel", "sms")
        if not isinstance(channel, str) or channel not in CHANNELS:
            raise RequestRefused("invalid_channel", f"channel must be one of {', '.join(CHANNELS)}.")
        source, destination, text = fields.get("from"), fields.get("to"), fields.get("body")
        if not isinstance(source, str) or not SOURCE_PATTERN.fullmatch(source):
            raise RequestRefused("invalid_from", "from must be E.164, a short code or a name of letters.")
        if not isinstance(destination, str) or not NUMBER_PATTERN.fullmatch(destination):
            raise RequestRefused("invalid_to", "to must be E.164: a plus sign and 7 to 15 digits.")
        if not isinstance(text, str) or len(text) > TEXT_CHARACTERS_MAX:
            raise RequestRefused(
                "invalid_body", f"body must be a text of at most {TEXT_CHARACTERS_MAX} characters."
            )
        device = self._devices.get((CHANNELS[channel], destination))
        if device is None:
            raise RequestRefused(
                "unknown_device", f"No simulated {channel} device has the number {destination}."
            )
        try:
            return InboundMessage(
                device_key=device.key,
                channel=CHANNELS[channel],
                source=source,
                destination=destination,
                text=text,
                segments=1,
            )
        except (UnicodeEncodeError, ValueError):
            raise RequestRefused("invalid_body", "body must be valid Unicode.") from None


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
