"""One attempt: one POST to one endpoint, within one deadline.

Owns the request on the wire and what is kept of the answer. It must not know the database, schedules,
breakers or signatures: it gets a finished request and returns what happened.

Receivers are not trusted. Nothing that one does raises, takes longer than the deadline, or makes more than a
few buffers of 16 KiB be held. There are no redirects, no cookies, no compression, no name cache, and no
proxies or credentials from the environment.
"""

import asyncio
import enum
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp

from core.clock import Clock
from core.delivery.backoff import Control, parse_retry_after
from core.delivery.connections import EndpointConnections
from core.delivery.egress import EgressDenied, EgressPolicy
from core.delivery.resolver import GuardedResolver, Lookup
from core.delivery.target import InvalidTarget

DEADLINE_S_MAX = 30.0
RESPONSE_BYTES_MAX = 16 * 1024
DETAIL_CHARACTERS_MAX = 200
_STATUS_MIN = 100

_FIXED_HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": "InfiniReach-Webhooks/1",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
}
# Control characters but tab and line feed, and those that reorder text: people read this in a dashboard.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class ErrorClass(enum.Enum):
    """Why no answer came."""

    TIMEOUT = "timeout"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    DENIED = "denied"
    PROTOCOL = "protocol"
    RESET = "reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRequest:
    """One finished request.

    Connections are shared among requests of one `endpoint_id`, `config_version` and `url` and never beyond,
    so a changed configuration must come with another version. `headers` are those of this attempt:
    signatures, event, delivery, attempt, trace context. Content type, user agent and accept headers are
    added; neither they nor framing headers may be among `headers`. `deadline_s` covers lookup, connect, TLS
    and the whole answer.
    """

    endpoint_id: str
    config_version: int
    url: str
    headers: Mapping[str, str]
    body: bytes
    deadline_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """What happened. Exactly one of `status` and `error_class` is set.

    A status counts from the moment the answer's headers are complete: the receiver has spoken, and what goes
    wrong in the body after that only shortens `response_snippet`.
    """

    status: int | None
    error_class: ErrorClass | None
    duration_ms: int
    retry_after_s: int | None
    """The receiver's Retry-After, 1..86 400 s."""
    control: Control | None
    """The receiver's `Webhook-Delivery`."""
    response_snippet: str
    """At most 16 KiB of the answer's body as text; what is not UTF-8 or not printable reads U+FFFD."""
    operator_detail: str
    """At most 200 characters for the operator's log, never for a tenant. Holds no URL."""


@dataclass(slots=True)
class _Answer:
    """What has arrived so far."""

    status: int | None = None
    retry_after: str | None = None
    control: str | None = None
    body: bytearray = field(default_factory=bytearray)


class _StaleConnection(aiohttp.ServerDisconnectedError):
    """A connection that was idle turned out to be closed when a request was sent on it."""


class WebhookSender:
    """Sends requests under an egress policy. Use as an async context manager, in one event loop."""

    def __init__(
        self,
        policy: EgressPolicy,
        *,
        tls: ssl.SSLContext,
        lookup: Lookup,
        clock: Clock,
    ) -> None:
        """`tls` verifies receivers' certificates (`verifying_tls_context`); `lookup` is
        `resolver.system_lookup`."""
        self._connections = EndpointConnections(policy, GuardedResolver(policy, lookup), tls)
        self._clock = clock

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def send(self, request: WebhookRequest) -> AttemptResult:
        """Send once and return what happened, at the latest after `request.deadline_s`.

        Never raises for what a receiver, its network or its name does. Raises ValueError for a deadline
        outside 0..30 s and for header values that cannot be sent.
        """
        if not 0 < request.deadline_s <= DEADLINE_S_MAX:
            raise ValueError(f"a deadline is at most {DEADLINE_S_MAX} s")
        started_s = self._clock.monotonic_s()
        answer = _Answer()
        error: Exception | None = None
        try:
            async with asyncio.timeout(request.deadline_s):
                await self._deliver(request, answer)
        except (InvalidTarget, aiohttp.ClientError, OSError) as caught:
            error = caught
        return AttemptResult(
            status=answer.status,
            error_class=None if error is None or answer.status is not None else _error_class(error),
            duration_ms=round((self._clock.monotonic_s() - started_s) * 1_000),
            retry_after_s=parse_retry_after(answer.retry_after, now_s=self._clock.now_ms() / 1_000),
            control=_control(answer.control),
            response_snippet=_printable(answer.body.decode("utf-8", "replace")),
            operator_detail="" if error is None else _detail(error),
        )

    async def close(self) -> None:
        """Close all connections; attempts that are under way fail."""
        await self._connections.close()

    async def _deliver(self, request: WebhookRequest, answer: _Answer) -> None:
        try:
            await self._exchange(request, answer)
        except _StaleConnection:
            # Not the receiver's failure: it had closed the idle connection just then. Whether it got the
            # request is unknown, but every request may come twice and has an id to tell.
            self._connections.discard(request.endpoint_id)
            await self._exchange(request, answer)

    async def _exchange(self, request: WebhookRequest, answer: _Answer) -> None:
        with self._connections.pool(request.endpoint_id, request.config_version, request.url) as pool:
            connects_before = pool.connects
            try:
                response = await pool.session.post(
                    pool.url,
                    data=request.body,
                    headers={**request.headers, **_FIXED_HEADERS},
                    allow_redirects=False,
                )
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                if pool.connects == connects_before and not isinstance(error, aiohttp.ClientConnectorError):
                    raise _StaleConnection from error
                raise
            await _read(response, answer)


def verifying_tls_context() -> ssl.SSLContext:
    """Return a TLS context for clients: the system's certificate authorities, TLS 1.2 or newer, HTTP/1.1."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


async def _read(response: aiohttp.ClientResponse, answer: _Answer) -> None:
    try:
        if response.status < _STATUS_MIN:
            raise aiohttp.ClientPayloadError("no valid status")
        answer.status = response.status
        answer.retry_after = response.headers.get("Retry-After")
        answer.control = response.headers.get("Webhook-Delivery")
        while len(answer.body) < RESPONSE_BYTES_MAX and (chunk := await response.content.readany()):
            answer.body += chunk
        del answer.body[RESPONSE_BYTES_MAX:]
    finally:
        # Without effect on an answer that was read to its end: its connection is back in the pool by then.
        response.close()


def _error_class(error: Exception) -> ErrorClass:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    match cause:
        case EgressDenied() | InvalidTarget():
            return ErrorClass.DENIED
        case TimeoutError() if cause is error:
            return ErrorClass.TIMEOUT
        case ssl.SSLError():
            return ErrorClass.TLS
        case _ if isinstance(error, aiohttp.ClientConnectorDNSError):
            return ErrorClass.DNS
        case _ if isinstance(error, aiohttp.ClientConnectorError):
            return ErrorClass.CONNECT
        case aiohttp.ServerDisconnectedError() | OSError():
            return ErrorClass.RESET
        case _:
            return ErrorClass.PROTOCOL


def _detail(error: Exception) -> str:
    """Describe an error without the URL, which may hold a tenant's credentials."""
    cause: Exception = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    match cause:
        case EgressDenied():
            text = cause.reason
        case InvalidTarget():
            text = cause.issue
        case aiohttp.ClientResponseError():
            text = cause.message
        case OSError():
            text = cause.strerror or ""
        case _:
            text = ""
    return _printable(f"{type(error).__name__}: {text}")[:DETAIL_CHARACTERS_MAX]


def _control(value: str | None) -> Control | None:
    if value is None:
        return None
    wanted = value.strip().lower()
    return next((control for control in Control if control.value == wanted), None)


def _printable(text: str) -> str:
    return text if text.isprintable() else _UNPRINTABLE.sub("\ufffd", text)
