"""What time does by itself: holds end, deadlines pass, leases are renewed, silent drivers' devices go offline.

Owns the rhythm. Each duty is one use case in a transaction of its own; one that fails is tried at its next turn.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from core.clock import Clock
from core.deadlines import SWEEP_MAX, expire_due, give_up_on_abandoned, release_held
from core.device_admin import removed_with_queue
from core.devices import mark_away
from core.driver_sessions import renew_leases, revoked_tokens
from core.errors import InfiniReachError, Unauthenticated
from core.eventlog.relay import Relay
from core.messages import fail_waiting
from core.sessions.dispatcher import Dispatcher
from core.sessions.registry import Registry
from core.store.engine import Store

log = structlog.get_logger()

DEADLINES_EVERY_S = 1.0
PRESENCE_EVERY_S = 1.0
TOKENS_EVERY_S = 2.0
"""A revoked token's streams end within 5 s."""

ABANDONED_EVERY_S = 60.0

LATE_AFTER = 2 / 3
"""A renewal is late if it comes so much of a lease after the one before; at its rhythm it is at most half of one."""

LEASES_PER_TRANSACTION_MAX = 500
"""Whoever claims for one of these drivers waits for the transaction that renews their leases."""


class Sweeper:
    """Runs the duties until it is cancelled."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        registry: Registry,
        dispatcher: Dispatcher,
        relay: Relay,
        lease_s: float,
        offline_after_s: float,
    ) -> None:
        self._store = store
        self._clock = clock
        self._registry = registry
        self._dispatcher = dispatcher
        self._relay = relay
        self._lease_s = lease_s
        self._offline_after_s = offline_after_s
        self._renewed_ms = clock.now_ms()
        self._others_renew_until_ms = self._renewed_ms + self._others_renew_ms

    @property
    def _others_renew_ms(self) -> int:
        """In so long every core that is alive has renewed its leases."""
        return round(self._lease_s * 500)

    async def run(self) -> None:
        """Do every duty at its rhythm, for ever."""
        duties = (
            (self.deadlines, DEADLINES_EVERY_S),
            (self.presence, PRESENCE_EVERY_S),
            (self.leases, self._lease_s / 3),
            (self.tokens, TOKENS_EVERY_S),
            (self.abandoned, ABANDONED_EVERY_S),
        )
        async with asyncio.TaskGroup() as group:
            for duty, every_s in duties:
                group.create_task(_repeat(duty, every_s), name=f"sweep-{duty.__name__}")

    async def deadlines(self) -> None:
        """Queue what is no longer held, expire what is too late."""
        now_ms = self._clock.now_ms()
        self._dispatcher.hint(await self._store.run(release_held, now_ms))
        expired = SWEEP_MAX
        while expired == SWEEP_MAX:  # those that are left lie in the way of every claim
            expired = await self._store.run(expire_due, now_ms)
            if expired:
                self._relay.wake()

    async def presence(self) -> None:
        """Mark devices offline whose driver is gone.

        After a time in which nobody could renew a lease, those of live sessions only look run out: this core renews its
        own, and judges none before the others have had the time to do the same. So does a core that has just started.
        """
        if self._is_late(self._clock.now_ms()):
            await self.leases(spread_s=0.0)
        now_ms = self._clock.now_ms()
        mark = partial(mark_away, judges_leases=now_ms >= self._others_renew_until_ms)
        if await self._store.run(mark, now_ms, round(self._offline_after_s * 1000)):
            self._relay.wake()

    async def leases(self, *, spread_s: float | None = None) -> None:
        """Renew the leases of live sessions; close those that a newer one has superseded.

        `spread_s`: over how long, so that many of them are not felt; half the time to the next turn if nothing is said.
        """
        now_ms, lease_ms = self._clock.now_ms(), round(self._lease_s * 1000)
        sessions = self._registry.sessions()
        parts = [
            sessions[start : start + LEASES_PER_TRANSACTION_MAX]
            for start in range(0, len(sessions), LEASES_PER_TRANSACTION_MAX)
        ]
        pause_s = (self._lease_s / 6 if spread_s is None else spread_s) / max(len(parts), 1)
        for number, part in enumerate(parts):
            if number:
                await asyncio.sleep(pause_s)
            live = [
                (session.driver_id, session.epoch)
                for session in part
                if self._registry.of_driver(session.driver_id) is session
            ]
            renewed = await self._store.run(renew_leases, live, self._clock.now_ms(), lease_ms)
            self._registry.supersede(renewed)
        if self._is_late(now_ms):
            self._others_renew_until_ms = self._clock.now_ms() + self._others_renew_ms
        self._renewed_ms = now_ms

    def _is_late(self, now_ms: int) -> bool:
        """Whether the clock jumped, or nothing could be written, for so long that leases of others may have run out."""
        return now_ms - self._renewed_ms > self._lease_s * LATE_AFTER * 1000

    async def tokens(self) -> None:
        """Close the streams of revoked tokens."""
        sessions = self._registry.sessions()
        if sessions:
            revoked = await self._store.read(revoked_tokens, list({session.token_id for session in sessions}))
            for session in sessions:
                if session.token_id in revoked:
                    session.close(Unauthenticated("The driver token was revoked."))

    async def abandoned(self) -> None:
        """Settle what a driver took and never came back with, and what waits for a device that was removed."""
        if await self._store.run(give_up_on_abandoned, self._clock.now_ms()):
            self._relay.wake()
        for device_id in await self._store.read(removed_with_queue):
            while await self._store.run(fail_waiting, device_id, self._clock.now_ms()):
                self._relay.wake()


async def _repeat(duty: Callable[[], Awaitable[None]], every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            await duty()
        except InfiniReachError as error:
            log.warning("sweep.failed", reason=error.reason, detail=error.message)
