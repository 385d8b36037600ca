"""The bytes of a request's body, once the caller is known.

Owns the limit on size, the time a body may take, and which content types pass. Must not know what is in it.
"""

import asyncio
from typing import Any

from sanic.compat import Header
from sanic.exceptions import SanicException
from sanic.request import Request

from rest_facade.errors import ApiError

JSON_TYPE = "application/json"


async def read_json_body(request: Request, *, bytes_max: int, timeout_s: float) -> bytes:
    """The whole body; empty if there is none, whatever its type.

    Raises ApiError 413, 415, 408 or 400; for a body that is too large as soon as that is known.
    """
    http: Any = request.stream
    if http is None or not http.request_body or (http.request_body is True and not http.request_bytes_left):
        return b""
    _check_type(request.headers)
    if http.request_bytes_left > bytes_max:
        raise _too_large(bytes_max)
    try:
        if http.request_body is True and len(http.recv_buffer) >= http.request_bytes_left:
            return await _read_buffered(http)
        async with asyncio.timeout(timeout_s):
            return await _read_slowly(http, bytes_max)
    except TimeoutError:
        _give_up(http)
        raise ApiError("request_timeout") from None
    except SanicException:
        _give_up(http)
        raise ApiError("bad_request", "The body is not well-formed HTTP.") from None


async def discard_body(request: Request, *, bytes_max: int, timeout_s: float) -> None:
    """Read what nobody wants to know and keep nothing of it, so that the connection can go on.

    Past the bounds it is closed instead.
    """
    http: Any = request.stream
    if http is None:
        return
    left = bytes_max
    try:
        async with asyncio.timeout(timeout_s):
            while http.request_body and http.request_bytes_left <= left:
                left -= len(await http.read() or b"")
    except (SanicException, TimeoutError):
        _give_up(http)
    if http.request_body:
        _give_up(http)


def _give_up(http: Any) -> None:
    """Read no more of this connection: where the next request begins is not known."""
    http.keep_alive = False
    http.request_body = None


async def _read_buffered(http: Any) -> bytes:
    """A body of known length that has arrived already: no waiting, no timer."""
    data = await http.read() or b""
    http.request_body = None
    return data


async def _read_slowly(http: Any, bytes_max: int) -> bytes:
    received = bytearray()
    while http.request_body:
        received += await http.read() or b""
        if len(received) > bytes_max:
            raise _too_large(bytes_max)
    return bytes(received)


def _too_large(bytes_max: int) -> ApiError:
    return ApiError("payload_too_large", f"The body is larger than {bytes_max} bytes.")


def _check_type(headers: Header) -> None:
    content_type = headers.get("content-type")
    if content_type is not None and content_type != JSON_TYPE:
        media_type, _, parameters = content_type.partition(";")
        if media_type.strip().lower() != JSON_TYPE or not _is_utf8(parameters):
            raise ApiError("unsupported_media_type")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ApiError("unsupported_media_type", "The body must not be compressed.")


def _is_utf8(parameters: str) -> bool:
    """Whether a content type's parameters name no other character set."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower() in {"utf-8", "utf8", "us-ascii"}
    return True
