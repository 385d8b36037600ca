"""An HTTP listener for networks that call back: WhatsApp's platform, an app on a phone.

Owns HTTP and the limits on what a stranger may cost: requests at once, size and time of heads and bodies; `hook_door`
has the sockets, TLS and the number of connections. Every fault is answered by its status alone. Knows no network's form
and believes nothing: whoever answers checks the signature, with `is_signed` over the raw body.
"""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from aiohttp import HttpVersion11, StreamReader, web
from aiohttp.web_protocol import RequestHandler

from drivers.runtime.failures import describe
from drivers.runtime.hook_door import Door

BODY_BYTES_MAX = 1024 * 1024
BODIES_BYTES_MAX = 16 * 1024 * 1024
"""Bytes of bodies that are not whole yet, of all requests. Beyond them the one that has been coming for longest is
given up, with 408: whoever is slow on purpose makes room for the others."""
REQUESTS_AT_ONCE = 64
"""Requests that are being answered; those whose bodies are still coming take nobody's place."""
BODY_S = 20.0
"""Seconds in which a body must be here; then 408."""
HEAD_S = 10.0
"""Seconds in which the first head of a connection must be here, and a later one from its first byte on."""
IDLE_S = 75.0
"""Seconds for which a connection is kept after an answer."""
UNREAD_S = 10.0
"""Seconds for which an answer waits for a caller that does not read it."""
CLOSE_S = 0.25
"""Seconds that requests have to end when the listener is closed, and once more after they were told to."""
SILENT = logging.Logger("silent", logging.CRITICAL)  # noqa: LOG001 - nobody else is to find it
"""Takes the place of aiohttp's access log, which would tell paths and addresses."""

log = structlog.get_logger("hooks")


@dataclass(slots=True, frozen=True)
class HookRequest:
    """One request, whole."""

    method: str
    path: str
    """Without percent signs and without the query."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Their names in any case."""
    body: bytes
    """As it came: what a signature was made over."""


@dataclass(slots=True, frozen=True)
class HookAnswer:
    """What the caller is told."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain"


Answer = Callable[[HookRequest], Awaitable[HookAnswer]]
"""Called for each request within the limits. Goes on if the caller hangs up. An exception is answered by 500."""


def is_signed(body: bytes, secret: bytes, signature_hex: str) -> bool:
    """Whether the signature is the HMAC-SHA256 (RFC 2104) of the body by this secret, in hexadecimal digits.

    Takes the same time for any signature of the right length.
    """
    expected = hmac.new(secret, body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature_hex.lower().encode(errors="replace"))


class HookListener:
    """Listens, reads requests within the limits and has them answered."""

    def __init__(
        self,
        answer: Answer,
        *,
        body_bytes_max: int = BODY_BYTES_MAX,
        requests_at_once: int = REQUESTS_AT_ONCE,
    ) -> None:
        """A larger body is 413, a request beyond `requests_at_once` is 503; both without a call of `answer`."""
        self._answer = answer
        self._body_bytes_max = body_bytes_max
        self._requests_at_once = requests_at_once
        self._running = 0
        self._bodies = _Bodies()
        self._server: web.Server | None = None
        self._door = Door(self._connection)

    async def open(
        self, host: str, port: int, *, cert_file: Path | None = None, key_file: Path | None = None
    ) -> None:
        """Listen; port 0 is any free one. With a certificate chain and its key (PEM) it speaks TLS.

        Files that are renewed later are used from the next connection on. Raises OSError if the port cannot be had,
        the host is not here or the files cannot be used.
        """
        self._server = web.Server(self._serve)
        await self._door.open(host, port, cert_file=cert_file, key_file=key_file)

    @property
    def port(self) -> int:
        """The port it listens on. Raises ValueError if it does not."""
        return self._door.port

    async def close(self) -> None:
        """Stop listening and give requests a moment to end; one that is cut off gets no answer."""
        await self._door.shut()
        if self._server is not None:
            self._server.pre_shutdown()
            await self._server.shutdown(CLOSE_S)
        await self._door.leave()

    def _connection(self, gone: "asyncio.Future[None]") -> asyncio.Protocol:
        assert self._server is not None
        return _Connection(self._server, gone)

    async def _serve(self, request: web.BaseRequest) -> web.Response:
        if isinstance(request.protocol, _Connection):
            request.protocol.head_came()
        if (request.content_length or 0) > self._body_bytes_max:
            return web.Response(status=413)
        try:
            if _wants_to_be_asked(request):
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await self._bodies.read(request.content, self._body_bytes_max)
        except TimeoutError:
            return web.Response(status=408)
        except web.RequestPayloadError:
            return web.Response(status=400)
        if body is None:
            return web.Response(status=413)
        if self._running >= self._requests_at_once:
            return web.Response(status=503)
        self._running += 1
        try:
            return await self._answered(request, body)
        finally:
            self._running -= 1

    async def _answered(self, request: web.BaseRequest, body: bytes) -> web.Response:
        hook = HookRequest(request.method, request.path, request.query, request.headers, body)
        try:
            answer = await self._answer(hook)
        except Exception as error:  # noqa: BLE001 - whatever it is, the listener goes on
            log.error("hook.failed", **describe(error))
            return web.Response(status=500)
        return web.Response(status=answer.status, body=answer.body, content_type=answer.content_type)


def _wants_to_be_asked(request: web.BaseRequest) -> bool:
    """Whether the body comes only if it is asked for (RFC 9110 §10.1.1)."""
    return request.version >= HttpVersion11 and request.headers.get("Expect", "").lower() == "100-continue"


class _Bodies:
    """The bodies that are on their way."""

    def __init__(self) -> None:
        self._coming: dict[asyncio.Timeout, int] = {}
        """How much there is of each, the one that began first in front."""

    async def read(self, content: StreamReader, bytes_max: int) -> bytes | None:
        """The body; None if it is larger. Raises TimeoutError if it does not come in time or has to make room."""
        body = bytearray()
        async with asyncio.timeout(BODY_S) as limit:
            self._coming[limit] = 0
            try:
                async for chunk in content.iter_any():
                    body += chunk
                    if len(body) > bytes_max:
                        return None
                    if limit in self._coming:
                        self._coming[limit] = len(body)
                        self._make_room()
            finally:
                self._coming.pop(limit, None)
        return bytes(body)

    def _make_room(self) -> None:
        while sum(self._coming.values()) > BODIES_BYTES_MAX:
            oldest = next(iter(self._coming))
            del self._coming[oldest]
            if not oldest.expired():
                oldest.reschedule(asyncio.get_running_loop().time())


class _Connection(RequestHandler):
    """A connection that tells a stranger, and the log, nothing of what went wrong but a status."""

    __slots__ = ("_gone", "_head_timer", "_open", "_unread_timer")

    def __init__(self, server: web.Server, gone: "asyncio.Future[None]") -> None:
        """`gone` gets a result when the connection has ended."""
        loop = asyncio.get_running_loop()
        super().__init__(
            server, loop=loop, keepalive_timeout=IDLE_S, access_log=SILENT, auto_decompress=False
        )
        self._gone = gone
        self._open: asyncio.Transport | None = None
        self._head_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        self._open = transport
        transport.set_write_buffer_limits(high=1, low=0)  # told of whatever is not read
        self._expect_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._open = None
        self.head_came()
        self._was_read()
        super().connection_lost(exc)
        if not self._gone.done():
            self._gone.set_result(None)

    def data_received(self, data: bytes) -> None:
        requests = self._request_count
        super().data_received(data)
        if self._request_count > requests:
            self.head_came()
        elif data and self._current_request is None:
            self._expect_head()

    def head_came(self) -> None:
        """A request is whole but for its body, which has a time of its own."""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread_timer = self._loop.call_later(UNREAD_S, self._cut_off)

    def resume_writing(self) -> None:
        self._was_read()
        super().resume_writing()

    def _was_read(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self._loop.call_later(HEAD_S, self._cut_off)

    def _cut_off(self) -> None:
        """End it at once, also if it is closing and waits for the caller to read."""
        if self._open is not None:
            self._open.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        response = web.Response(status=status)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        error = kw.get("exc_info")
        log.error("hook.connection_failed", **(describe(error) if isinstance(error, BaseException) else {}))
