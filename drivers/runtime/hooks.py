"""An HTTP listener for networks that call back: WhatsApp's platform, an app on a phone.

Owns the socket, TLS, and the limits on what a stranger may cost: connections, requests at once, size and time of a
body. Every fault is answered by its status alone. Knows no network's form and believes nothing: whoever answers checks
the signature, with `is_signed` over the raw body.
"""

import asyncio
import hashlib
import hmac
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from aiohttp import StreamReader, web
from aiohttp.web_protocol import RequestHandler

from drivers.runtime.failures import describe

BODY_BYTES_MAX = 1024 * 1024
REQUESTS_AT_ONCE = 64
CONNECTIONS_MAX = 256
"""Connections beyond these are closed as they come."""
BODY_S = 20.0
"""Seconds in which a body must be here; then 408."""
IDLE_S = 75.0
"""Seconds for which a connection without a whole head of a request is kept."""
HANDSHAKE_S = 10.0
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
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None
        self._tls: _Certificate | None = None

    async def open(
        self, host: str, port: int, *, cert_file: Path | None = None, key_file: Path | None = None
    ) -> None:
        """Listen; port 0 is any free one. With a certificate chain and its key (PEM) it speaks TLS.

        Files that are renewed later are used from the next connection on. Raises OSError if the port cannot be had,
        the host is not here or the files cannot be used.
        """
        self._tls = None if cert_file is None else _Certificate(cert_file, key_file)
        self._server = web.Server(self._serve)
        self._listener = await asyncio.get_running_loop().create_server(
            self._connection,
            host,
            port,
            ssl=None if self._tls is None else self._tls.context,
            ssl_handshake_timeout=None if self._tls is None else HANDSHAKE_S,
        )

    @property
    def port(self) -> int:
        """The port it listens on. Raises ValueError if it does not."""
        if self._listener is None or not self._listener.sockets:
            raise ValueError("the listener is not open")
        return self._listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and give requests a moment to end; one that is cut off gets no answer."""
        if self._listener is None or self._server is None:
            return
        self._listener.close()
        self._server.pre_shutdown()
        await self._server.shutdown(CLOSE_S)
        self._listener = None

    def _connection(self) -> asyncio.Protocol:
        assert self._server is not None
        if self._tls is not None:
            self._tls.renew()
        if len(self._server.connections) >= CONNECTIONS_MAX:
            return _Refusal()
        return _Connection(
            self._server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=IDLE_S,
            access_log=SILENT,
            auto_decompress=False,
        )

    async def _serve(self, request: web.BaseRequest) -> web.Response:
        if self._running >= self._requests_at_once:
            return web.Response(status=503)
        self._running += 1
        try:
            return await self._answered(request)
        finally:
            self._running -= 1

    async def _answered(self, request: web.BaseRequest) -> web.Response:
        if (request.content_length or 0) > self._body_bytes_max:
            return web.Response(status=413)
        try:
            async with asyncio.timeout(BODY_S):
                body = await _read(request.content, self._body_bytes_max)
        except TimeoutError:
            return web.Response(status=408)
        except web.RequestPayloadError:
            return web.Response(status=400)
        if body is None:
            return web.Response(status=413)
        hook = HookRequest(request.method, request.path, request.query, request.headers, body)
        try:
            answer = await self._answer(hook)
        except Exception as error:  # noqa: BLE001 - whatever it is, the listener goes on
            log.error("hook.failed", **describe(error))
            return web.Response(status=500)
        return web.Response(status=answer.status, body=answer.body, content_type=answer.content_type)


async def _read(content: StreamReader, bytes_max: int) -> bytes | None:
    """The body; None if it is larger."""
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > bytes_max:
            return None
    return bytes(body)


class _Connection(RequestHandler):
    """A connection that tells a stranger, and the log, nothing of what went wrong but a status."""

    __slots__ = ()

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


class _Refusal(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class _Certificate:
    """A certificate chain and its key, read again when the files change."""

    def __init__(self, cert_file: Path, key_file: Path | None) -> None:
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._cert_file = cert_file
        self._key_file = key_file
        self._stamp = self._stamped()
        self.context.load_cert_chain(cert_file, key_file)

    def renew(self) -> None:
        """Take what is in the files now; what cannot be used leaves the certificate as it is."""
        try:
            stamp = self._stamped()
            if stamp == self._stamp:
                return
            self._stamp = stamp
            # Tried apart first: a new chain with the old key would leave the context with neither.
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
                self._cert_file, self._key_file
            )
            self.context.load_cert_chain(self._cert_file, self._key_file)
        except OSError as error:
            log.warning("hook.certificate_not_renewed", error=type(error).__name__)

    def _stamped(self) -> list[tuple[int, int]]:
        files = [self._cert_file] if self._key_file is None else [self._cert_file, self._key_file]
        return [(status.st_mtime_ns, status.st_ino) for status in (file.stat() for file in files)]
