"""One request on its way through the facade: what handlers are given.

Owns the request's id and how it is found. Must not know how it is answered.
"""

import asyncio
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sanic.request import Request

from rest_facade.auth import Caller

if TYPE_CHECKING:
    from rest_facade.core_client import CoreClient
    from rest_facade.limits import RateLimiter
    from rest_facade.site import Site
    from rest_facade.windows import Verdict

REQUEST_ID_CHARACTERS_MAX = 128
REQUEST_ID_BITS = 96
_random_bits = random.Random().getrandbits  # noqa: S311 - nobody is hurt if an id is guessed
_REQUEST_ID = re.compile(f"[!-~]{{1,{REQUEST_ID_CHARACTERS_MAX}}}").fullmatch

NOBODY = Caller(tenant_id="", key_id="", scopes=frozenset(), per_minute=0, limit_name="", until=0.0)


def request_id_of(given: str | None) -> str:
    """The client's id if it is 1 to 128 visible ASCII characters, else a new one of 24 hexadecimal digits."""
    if given is not None and _REQUEST_ID(given):
        return given
    return "%024x" % _random_bits(REQUEST_ID_BITS)  # noqa: UP031 - twice as fast


@dataclass(frozen=True, slots=True)
class Means:
    """What handlers may use; the same for every request."""

    core: "CoreClient"
    limiter: "RateLimiter"
    site: "Site"
    stopping: asyncio.Event
    """Set once the facade was told to stop."""


class Call:
    """A request, who makes it, its body once it is parsed, and what it may use to answer."""

    __slots__ = (
        "body",
        "caller",
        "core",
        "limiter",
        "path",
        "request",
        "request_id",
        "site",
        "stopping",
        "verdict",
    )

    def __init__(self, request: Request, path: dict[str, str], means: "Means") -> None:
        self.request = request
        self.path = path
        self.core = means.core
        self.limiter = means.limiter
        self.site = means.site
        self.stopping = means.stopping
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
