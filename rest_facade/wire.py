"""Answers on their way out: from bytes and header lines to the connection.

Owns the response class. Must not know what is answered.

Sanic builds a response from a multi-dict of headers, one translated and encoded pair at a time, which costs a
third of a small request. Ours are bytes already: one write.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sanic.compat import Header
from sanic.http.constants import Stage
from sanic.response import HTTPResponse

from rest_facade.request_body import discard_body

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
LINGER_BYTES_MAX = 16 * 1024 * 1024
LINGER_S = 5.0
"""A body that is not wanted is still read within these bounds: closing at once would destroy the answer on its way."""

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


@dataclass(slots=True)
class Answer:
    """What a handler answers; the edge adds the headers that every answer carries."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


class WireResponse(HTTPResponse):
    """A response whose header lines are bytes: each ends in CRLF, length and connection are added here."""

    __slots__ = ("lines",)

    def __init__(self, status: int, lines: bytes, body: bytes) -> None:
        # No call of the parent's: it would make a multi-dict that nobody reads.
        self.asgi = False
        self.body = body
        self.content_type = None
        self.stream = None
        self.status = status
        self.headers = _NO_HEADERS
        self._cookies = None
        self.lines = lines

    async def send(self, data: Any = None, end_stream: bool | None = None) -> None:
        """Write everything at once, then read what is left of an unwanted body."""
        http: Any = self.stream  # sanic.http.Http; its state is set here as its own response writer sets it
        if http.response_func is None:
            return
        if http.expecting_continue:  # the client still holds the body back and need not send it any more
            http.expecting_continue = False
            http.keep_alive = False
            http.request_body = None
        body = self.body or b""
        length = b"" if self.status == HTTPStatus.NO_CONTENT else b"content-length: %d\r\n" % len(body)
        out = b"%b%b%bconnection: %b\r\n\r\n%b" % (
            _STATUS_LINES[self.status],
            self.lines,
            length,
            b"keep-alive" if http.keep_alive else b"close",
            b"" if http.head_only else body,
        )
        http.response_func = None
        await http._send(out)
        http.stage = Stage.IDLE
        if http.request_body:
            await discard_body(http.request, bytes_max=LINGER_BYTES_MAX, timeout_s=LINGER_S)


_NO_HEADERS = Header()


def header_lines(headers: tuple[tuple[str, str], ...]) -> bytes:
    """Headers as lines. Values are ours, or a request id that was checked: nothing in them ends a line."""
    return b"".join(
        b"%b: %b\r\n" % (name.encode("ascii"), value.encode("latin-1")) for name, value in headers
    )
