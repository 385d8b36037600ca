"""Whose an API key is, remembered for a few seconds.

Owns the cache between the RPCs and `core.accounts`: how long an answer is believed, how many are kept, that
equal questions at the same time become one query, and that a key's use is noted. Keeps digests, never keys.

A revoked key must stop working within 5 s on every process, so no answer is used longer than `TTL_S`.
"""

import asyncio
import contextlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

from core import accounts
from core.accounts import ApiKeyRecord
from core.clock import Clock
from core.credentials import Credential
from core.errors import Unauthenticated, Unavailable
from core.store.engine import Store

TTL_S = 4.0
"""Time from before the query to the last use of its answer."""

REFUSED_TTL_S = 1.0
"""The same for keys that were refused; a key may be imported at any moment."""

KEYS_MAX = 10_000
REFUSED_MAX = 10_000
"""Answers kept of each kind, apart, so that a flood of wrong keys drives out no right one."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class ResolvedKey:
    """A key that was live when it was looked up."""

    record: ApiKeyRecord
    scopes: frozenset[str]
    asked_s: float

    @property
    def tenant_id(self) -> str:
        """Whose it is."""
        return self.record.row.tenant_id

    @property
    def key_id(self) -> str:
        """Its public id."""
        return self.record.row.id


class KeyCache:
    """Resolves API keys. One per process, used from one event loop."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: OrderedDict[bytes, ResolvedKey] = OrderedDict()
        self._refused: OrderedDict[bytes, float] = OrderedDict()
        self._running: dict[bytes, asyncio.Task[ResolvedKey]] = {}

    async def resolve(self, key: str) -> ResolvedKey:
        """The live key that `key` is, as it was at most `TTL_S` ago. Raises Unauthenticated, Unavailable."""
        credential = accounts.read_api_key(key)
        known = self._known.get(credential.sha256)
        if known is not None and self._clock.monotonic_s() - known.asked_s < TTL_S:
            if not accounts.is_live(known.record.row, self._clock.now_ms()):
                raise Unauthenticated("The API key has expired.")
            return known
        return await self._ask(credential)

    async def resolve_now(self, key: str) -> ResolvedKey:
        """The live key that `key` is at this moment; for callers that keep the answer themselves."""
        return await self._ask(accounts.read_api_key(key))

    async def _ask(self, credential: Credential) -> ResolvedKey:
        digest = credential.sha256
        refused_s = self._refused.get(digest)
        if refused_s is not None and self._clock.monotonic_s() - refused_s < REFUSED_TTL_S:
            raise Unauthenticated("The API key is unknown.")
        task = self._running.get(digest)
        if task is None:
            task = asyncio.create_task(
                self._query(credential), name=f"resolve API key {credential.public_id}"
            )
            self._running[digest] = task
            task.add_done_callback(lambda done: self._finish(digest, done))
        # One caller that goes away must not take the answer from the others.
        return await asyncio.shield(task)

    async def _query(self, credential: Credential) -> ResolvedKey:
        asked_s, now_ms = self._clock.monotonic_s(), self._clock.now_ms()
        try:
            record = await self._store.read(accounts.resolve_api_key, credential, now_ms)
        except Unauthenticated:
            self._known.pop(credential.sha256, None)
            _keep(self._refused, credential.sha256, asked_s, entries_max=REFUSED_MAX)
            raise
        found = ResolvedKey(record, frozenset(record.row.scopes.split()), asked_s)
        _keep(self._known, credential.sha256, found, entries_max=KEYS_MAX)
        if accounts.use_is_due(record.row, now_ms):
            await self._note_use(record.row.id, now_ms)
        return found

    async def _note_use(self, key_id: str, now_ms: int) -> None:
        # The key is good even while nothing can be written.
        with contextlib.suppress(Unavailable):
            await self._store.run(accounts.note_api_key_use, key_id, now_ms)

    def _finish(self, digest: bytes, task: asyncio.Task[ResolvedKey]) -> None:
        del self._running[digest]
        if not task.cancelled():
            task.exception()  # seen: every caller may have gone away


def _keep(answers: OrderedDict[bytes, Answer], digest: bytes, answer: Answer, *, entries_max: int) -> None:
    """Keep an answer as the newest and drop the oldest beyond `entries_max`."""
    answers[digest] = answer
    answers.move_to_end(digest)
    while len(answers) > entries_max:
        answers.popitem(last=False)
