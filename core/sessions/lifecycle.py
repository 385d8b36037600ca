"""Openings, reconciles and ends of all sessions, and the tokens they come with, each kind in transactions of many.

Owns the drains. Many drivers come at the same moment, after a core or a network was away: they are served in the order
in which they came, a bounded number in each transaction and one such transaction at a time, so that what open sessions
have to commit gets its turn in between.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from core.accounts import live_driver_tokens
from core.clock import Clock
from core.dispatch import Holdings, Reconciled, reconcile
from core.driver_sessions import Hello, OpenedSession, close_sessions, open_sessions
from core.errors import InfiniReachError
from core.sessions.drain import Drain
from core.store.engine import Store
from core.store.rows import DriverTokenRow

OPENINGS_PER_TRANSACTION_MAX = 20
"""Streams, or devices of their hellos, that come a step further at once. What open streams want done comes in between:
the event loop has some 5 ms to do for so many."""

ENDS_PER_TRANSACTION_MAX = 500

WAITING_MAX = 20_000
"""Sessions that may wait for each of these; there are fewer streams that open."""


Answer = TypeVar("Answer")


class Lifecycle:
    """Has the database follow the sessions of this process."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        lease_ms: int,
        *,
        announced: Callable[[], None] = lambda: None,
    ) -> None:
        """`announced`: a reconcile has recorded events."""
        self._announced = announced
        self._store = store
        self._clock = clock
        self._lease_ms = lease_ms
        self._tokens: Drain[str, DriverTokenRow | None] = Drain(
            self._find_all, batch_max=OPENINGS_PER_TRANSACTION_MAX, waiting_max=WAITING_MAX
        )
        self._openings: Drain[Hello, OpenedSession | InfiniReachError] = Drain(
            self._open_all,
            batch_max=OPENINGS_PER_TRANSACTION_MAX,
            waiting_max=WAITING_MAX,
            weight=lambda hello: len(hello.devices),
        )
        self._reconciles: Drain[Holdings, Reconciled | InfiniReachError] = Drain(
            self._reconcile_all, batch_max=OPENINGS_PER_TRANSACTION_MAX, waiting_max=WAITING_MAX
        )
        self._ends: Drain[tuple[str, int], None] = Drain(
            self._close_all, batch_max=ENDS_PER_TRANSACTION_MAX, waiting_max=WAITING_MAX
        )

    async def run(self) -> None:
        """Serve for ever; the owner cancels it."""
        async with asyncio.TaskGroup() as group:
            for drain in (self._tokens, self._openings, self._reconciles, self._ends):
                group.create_task(drain.run(), name="session-lifecycle")

    async def find_token(self, token_id: str) -> DriverTokenRow | None:
        """The driver token of this id; None if it is unknown or revoked. Raises Unavailable.

        A read, since strangers ask too and must not fill the writer's queue; that a token is in use is noted with the
        opening.
        """
        return await self._tokens.submit(token_id)

    async def open(self, hello: Hello) -> OpenedSession:
        """Open a session. Raises what `open_sessions` answers for it, Unavailable, OutcomeUnknown."""
        return _given(await self._openings.submit(hello))

    async def reconcile(self, holdings: Holdings) -> Reconciled:
        """Compare what is open with what the driver holds. Raises SessionSuperseded, Unavailable, OutcomeUnknown."""
        return _given(await self._reconciles.submit(holdings))

    async def close(self, driver_id: str, epoch: int) -> None:
        """Note that a session ended. Raises Unavailable, OutcomeUnknown."""
        # Whoever waits may be cut off; the end is noted all the same.
        await asyncio.shield(self._ends.submit((driver_id, epoch)))

    async def _find_all(self, token_ids: list[str]) -> Sequence[DriverTokenRow | None]:
        return await self._store.read(live_driver_tokens, token_ids)

    async def _open_all(self, hellos: list[Hello]) -> Sequence[OpenedSession | InfiniReachError]:
        return await self._store.run(open_sessions, hellos, self._clock.now_ms(), self._lease_ms)

    async def _reconcile_all(self, holdings: list[Holdings]) -> Sequence[Reconciled | InfiniReachError]:
        answers = await self._store.run(reconcile, holdings, self._clock.now_ms())
        if any(isinstance(answer, Reconciled) and answer.failed for answer in answers):
            self._announced()
        return answers

    async def _close_all(self, sessions: list[tuple[str, int]]) -> Sequence[None]:
        await self._store.run(close_sessions, sessions, self._clock.now_ms())
        return [None] * len(sessions)


def _given(answer: Answer | InfiniReachError) -> Answer:
    if isinstance(answer, InfiniReachError):
        raise answer
    return answer
