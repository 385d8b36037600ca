"""One request on its way through the facade: what handlers are given.

Owns the request's id and how it is found. Must not know how it is answered.
"""

import re
import secrets
from typing import TYPE_CHECKING, Any

from sanic.request import Request

from rest_facade.auth import Caller

if TYPE_CHECKING:
    from rest_facade.core_client import CoreClient
    from rest_facade.limits import RateLimiter, Verdict

REQUEST_ID_BYTES = 12
_REQUEST_ID = re.compile(r"[!-~]{1,128}").fullmatch

NOBODY = Caller(tenant_id="", key_id="", scopes=frozenset(), per_minute=0, limit_name="", until=0.0)


def request_id_of(given: str | None) -> str:
    """The client's id if it is 1 to 128 visible ASCII characters, else a new one of 24 hexadecimal digits."""
    if given is not None and _REQUEST_ID(given):
        return given
    return secrets.token_hex(REQUEST_ID_BYTES)


class Call:
    """A request, who makes it, its body once it is parsed, and what it may use to answer."""

    __slots__ = ("body", "caller", "core", "limiter", "path", "request", "request_id", "verdict")

    def __init__(
        self, request: Request, path: dict[str, str], core: "CoreClient", limiter: "RateLimiter"
    ) -> None:
        self.request = request
        self.path = path
        self.core = core
        self.limiter = limiter
        self.request_id: str = request_id_of(request.headers.get("x-request-id"))
        self.caller: Caller = NOBODY
        self.verdict: Verdict | None = None
        self.body: dict[str, Any] = {}

    @property
    def tenant_id(self) -> str:
        """Whose key it is."""
        return self.caller.tenant_id

    @property
    def key_id(self) -> str:
        """The key's public id."""
        return self.caller.key_id
