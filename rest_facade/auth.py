"""Who calls: the API key of a request and what it may do.

Owns finding the key in the headers, the short cache of what the core said about it, and the limit on failures per
client address. Must not know gRPC or bodies: what asks the core is given.
"""

import asyncio
import contextlib
import hashlib
import math
import re
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from infinireach.v1 import account_pb2
from rest_facade.errors import ApiError
from rest_facade.windows import Windows

ALL_SCOPES = ("messages:send", "messages:read", "devices", "webhooks", "admin")
KEY_SHAPE = re.compile(r"[!-~]{1,512}")
RESOLVING_MAX = 1_000
"""Keys that are looked up at once; further unknown keys are answered 503."""
REFUSED_S = 1.0
"""Seconds a refusal is kept at most: a new key should work soon."""
RESOLVE_ID = "key-lookup"

Kept = TypeVar("Kept")
Resolve = Callable[[str, str], Awaitable[account_pb2.ApiKey | None]]


@dataclass(frozen=True, slots=True)
class Caller:
    """What the core says about a key; `until` by the monotonic clock, after which it is asked again."""

    tenant_id: str
    key_id: str
    scopes: frozenset[str]
    per_minute: int
    limit_name: str
    until: float


@dataclass(frozen=True, slots=True)
class AuthLimits:
    """Seconds an answer of the core is kept, how many are kept, failures a minute for an address."""

    cache_s: float
    entries_max: int
    failures_per_minute: int


def key_in(headers: Mapping[str, str]) -> str | None:
    """The key that a request presents, in X-API-Key or else as a bearer token; None if there is none."""
    key = headers.get("x-api-key")
    if key is not None:
        return key.strip()
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


class Authenticator:
    """Resolves keys. An answer is kept for a few seconds, so a revoked key stops working within them."""

    def __init__(self, resolve: Resolve, limits: AuthLimits) -> None:
        self._resolve = resolve
        self._limits = limits
        self._accepted: OrderedDict[bytes, Caller] = OrderedDict()
        self._refused: OrderedDict[bytes, float] = OrderedDict()
        self._resolving: dict[bytes, asyncio.Task[Caller | None]] = {}
        self._trying: Counter[str] = Counter()  # look-ups of unknown keys that run, by address
        self._failures = Windows()

    def cached(self, key: str) -> Caller | None:
        """What is known of a key for now; the quick way for keys in use."""
        caller = self._accepted.get(_digest(key))
        return caller if caller is not None and caller.until > time.monotonic() else None

    async def authenticate(self, key: str | None, address: str) -> Caller:
        """Who presents `key` from `address`. Raises ApiError `unauthorized`, `rate_limited` or `unavailable`.

        An address with too many refused keys in this minute is not looked up any more, so keys cannot be tried
        out; keys that worked before still are, so that it does not lock out callers behind the same address.
        """
        if key is None:
            raise _unauthorized()
        if not KEY_SHAPE.fullmatch(key):
            raise self._refusal(address)
        digest = _digest(key)
        if self._refused.get(digest, 0.0) > time.monotonic():
            raise self._refusal(address)
        is_guess = digest not in self._accepted and digest not in self._resolving
        if is_guess and self._is_exhausted(address):
            raise self._refusal(address)
        with self._try(address) if is_guess else contextlib.nullcontext():
            caller = await asyncio.shield(self._lookup(digest, key))
        if caller is None:
            raise self._refusal(address)
        return caller

    def _lookup(self, digest: bytes, key: str) -> asyncio.Task[Caller | None]:
        """The look-up of a key, one at a time for each."""
        running = self._resolving.get(digest)
        if running is not None:
            return running
        if len(self._resolving) >= RESOLVING_MAX:
            raise ApiError("unavailable")
        task = asyncio.create_task(self._ask(digest, key), name="key look-up")
        self._resolving[digest] = task
        task.add_done_callback(lambda done: self._looked_up(digest, done))
        return task

    def _looked_up(self, digest: bytes, done: asyncio.Task[Caller | None]) -> None:
        del self._resolving[digest]
        if not done.cancelled():
            done.exception()  # it was raised in whoever waits; nobody may be left

    async def _ask(self, digest: bytes, key: str) -> Caller | None:
        asked_at = time.monotonic()
        record = await self._resolve(key, RESOLVE_ID)
        if record is None:
            self._accepted.pop(digest, None)
            _keep(
                self._refused,
                digest,
                asked_at + min(self._limits.cache_s, REFUSED_S),
                entries_max=self._limits.entries_max,
            )
            return None
        caller = Caller(
            tenant_id=record.tenant_id,
            key_id=record.id,
            scopes=_effective(record.scopes),
            per_minute=record.per_minute,
            limit_name=f"{record.tenant_id}/{record.id}",
            until=asked_at + min(self._limits.cache_s, _lifetime_s(record)),
        )
        _keep(self._accepted, digest, caller, entries_max=self._limits.entries_max)
        return caller

    def _is_exhausted(self, address: str) -> bool:
        spent = self._failures.count(address) + self._trying[address]
        return spent >= self._limits.failures_per_minute

    @contextlib.contextmanager
    def _try(self, address: str) -> Generator[None]:
        """A look-up counts as a failure of its address while it runs: many at once are no way around the limit."""
        self._trying[address] += 1
        try:
            yield
        finally:
            self._trying[address] -= 1
            if not self._trying[address]:
                del self._trying[address]

    def _refusal(self, address: str) -> ApiError:
        """Count a refused key against its address."""
        verdict = self._failures.take(address, limit=self._limits.failures_per_minute)
        if verdict.allowed:
            return _unauthorized()
        return ApiError(
            "rate_limited",
            "Too many failed authentications from this address.",
            headers=(("Retry-After", str(verdict.reset_s)),),
        )


def _unauthorized() -> ApiError:
    return ApiError("unauthorized", headers=(("WWW-Authenticate", 'Bearer realm="Infini Reach"'),))


def _digest(key: str) -> bytes:
    """What a key is kept under: memory holds no key longer than its request."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _effective(scopes: Iterable[str]) -> frozenset[str]:
    """The scopes with what `admin` implies."""
    given = frozenset(scopes)
    return given | frozenset(ALL_SCOPES) if "admin" in given else given


def _lifetime_s(record: account_pb2.ApiKey) -> float:
    """Seconds until a key expires."""
    return record.expire_time.ToSeconds() - time.time() if record.HasField("expire_time") else math.inf


def _keep(entries: OrderedDict[bytes, Kept], digest: bytes, value: Kept, *, entries_max: int) -> None:
    entries[digest] = value
    entries.move_to_end(digest)
    if len(entries) > entries_max:
        entries.popitem(last=False)
