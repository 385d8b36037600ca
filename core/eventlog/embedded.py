"""The end of every event log, and the whole of it in a gateway without a broker: the database itself.

Owns that an event gets its position and its deliveries in one transaction, so that there is nothing to lose between
the two. Of an event that is handed in only the id counts; all else is read from its row.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

from sqlalchemy.orm import Session

from core.clock import Clock
from core.events import PublishedEvent, known, lock_unpublished, mark_published
from core.store.engine import Store

FanOut = Callable[[Session, Sequence[PublishedEvent], int], dict[str, bool]]
"""Records deliveries of events, at a time in milliseconds; answers the endpoints, and whether each is switched on."""


async def _nothing(_webhook_ids: Collection[str]) -> None:
    pass


class EmbeddedLog:
    """Publishes and fans out at once.

    `on_due` is told of endpoints that are on and have something due, a hint; `on_paused` of those that were off, after
    the commit.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        fan_out: FanOut,
        on_due: Callable[[Iterable[str]], None],
        on_paused: Callable[[Collection[str]], Awaitable[None]] = _nothing,
    ) -> None:
        self._store = store
        self._clock = clock
        self._fan_out = fan_out
        self._on_due = on_due
        self._on_paused = on_paused

    async def publish(self, events: Sequence[PublishedEvent]) -> None:
        """See EventLog.publish. Skips what has a position and what is gone."""
        await self.receive(events)

    async def receive(self, events: Sequence[PublishedEvent]) -> frozenset[str]:
        """See LogEnd.receive. Position and deliveries are one transaction."""
        ids = [event.id for event in events]
        endpoints, unknown = await self._store.run(self._publish, ids, self._clock.now_ms())
        self._on_due([each for each, is_on in endpoints.items() if is_on])
        if paused := [each for each, is_on in endpoints.items() if not is_on]:
            await self._on_paused(paused)
        return unknown

    def _publish(
        self, session: Session, event_ids: Sequence[str], now_ms: int
    ) -> tuple[dict[str, bool], frozenset[str]]:
        events = lock_unpublished(session, event_ids)
        others = frozenset(event_ids).difference(event.id for event in events)
        unknown = others.difference(known(session, list(others))) if others else others
        if not events:
            return {}, unknown
        endpoints = self._fan_out(session, events, now_ms)
        mark_published(session, [event.id for event in events])
        return endpoints, unknown
