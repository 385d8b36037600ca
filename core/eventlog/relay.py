"""Publishes what the outbox holds.

Owns the order and the positions of events. One relay at a time. An event is claimed by its state (no position yet),
never by a cursor over ids: a transaction that commits late would be skipped for good.
"""

import asyncio

import structlog

from core.errors import InfiniReachError
from core.eventlog.port import EventLog
from core.events import unpublished
from core.store.engine import Store

log = structlog.get_logger()

BATCH_MAX = 500
"""Events published in one step."""

POLL_S = 0.5
"""How soon events that another process appended are noticed."""

RETRY_S = 1.0
"""Wait after the log or the database refused."""


class Relay:
    """Moves events from the outbox to the log."""

    def __init__(self, store: Store, event_log: EventLog) -> None:
        self._store = store
        self._log = event_log
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There may be new events."""
        self._wake.set()

    async def run(self) -> None:
        """Publish for ever; the owner cancels it."""
        while True:
            try:
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                while await self._publish_batch():
                    pass
            except InfiniReachError as error:
                log.warning("relay.failed", detail=error.message)
                await asyncio.sleep(RETRY_S)

    async def _publish_batch(self) -> bool:
        events = await self._store.read(unpublished, BATCH_MAX)
        if not events:
            return False
        await self._log.publish(events)
        return True
