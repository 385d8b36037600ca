"""The request class: Sanic's, but for requests that are too broken to have one.

Owns that exception: where a request's head is at fault, Sanic makes a request for its error handler from the same
URL, which fails again if the URL was the fault.
"""

from typing import Any

from sanic.request import Request

BROKEN_METHOD = "NONE"
"""The method that Sanic gives to a request whose head could not be read."""


class TolerantRequest(Request[Any, Any]):
    """A request; its URL is `*` if its head could not be read."""

    def __init__(self, url_bytes: bytes, headers: Any, *rest: Any, method: str, **more: Any) -> None:
        super().__init__(
            b"*" if method == BROKEN_METHOD else url_bytes, headers, *rest, method=method, **more
        )
