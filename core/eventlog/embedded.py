"""The event log inside the database: positions are the log, an offset row is the consumer.

Owns the offset. For one process, or several on one machine; needs no broker.
"""

import asyncio
from collections.abc import Sequence

import structlog
from sqlalchemy.orm import Session

from core.errors import InfiniReachError
from core.eventlog.port import Handler
from core.events import PublishedEvent, published_after
from core.store.engine import Store
from core.store.rows import LogOffsetRow

log = structlog.get_logger()

CONSUMER = "fanout"
BATCH_MAX = 500
"""Events given to the handler at a time."""

POLL_S = 0.5
"""How soon events that another process published are noticed."""

RETRY_S = 1.0
"""Wait after a handler raised, before the batch is given again."""


class EmbeddedLog:
    """Reads events by position after its committed offset."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wake = asyncio.Event()

    async def publish(self, events: Sequence[PublishedEvent]) -> None:
        """Nothing to carry: an event is in this log once it has its position."""

    def published(self) -> None:
        """New positions are committed."""
        self._wake.set()

    async def consume(self, handler: Handler) -> None:
        """Give events to `handler` in the order of their positions; the offset moves after it returned."""
        offset = await self._store.read(_offset)
        while True:
            batch = await self._store.read(published_after, offset, BATCH_MAX)
            if not batch:
                await self._wait()
                continue
            try:
                await handler(batch)
                offset = batch[-1].position
                await self._store.run(_commit, offset)
            except InfiniReachError as error:
                log.warning("eventlog.handler_failed", events=len(batch), detail=error.message)
                await asyncio.sleep(RETRY_S)
                offset = await self._store.read(_offset)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(POLL_S):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()


def _offset(session: Session) -> int:
    row = session.get(LogOffsetRow, CONSUMER)
    return row.position if row else 0


def _commit(session: Session, position: int) -> None:
    session.merge(LogOffsetRow(consumer=CONSUMER, position=position))
