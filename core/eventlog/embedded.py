"""The event log of a gateway without a broker: the database itself.

Owns that an event gets its position and its deliveries in one transaction, so that there is nothing to carry and
nothing to lose between the two.
"""

from collections.abc import Callable, Iterable, Sequence

from sqlalchemy.orm import Session

from core.clock import Clock
from core.events import PublishedEvent, mark_published
from core.store.engine import Store

FanOut = Callable[[Session, Sequence[PublishedEvent], int], set[str]]
"""Records deliveries of events, at a time in milliseconds; answers the endpoints that have something due."""


class EmbeddedLog:
    """Publishes and fans out at once. `on_due` is told of the endpoints; a hint."""

    def __init__(
        self, store: Store, clock: Clock, *, fan_out: FanOut, on_due: Callable[[Iterable[str]], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._fan_out = fan_out
        self._on_due = on_due

    async def publish(self, events: Sequence[PublishedEvent]) -> None:
        """Position and fan out `events` in one transaction."""
        self._on_due(await self._store.run(self._publish, events, self._clock.now_ms()))

    def _publish(self, session: Session, events: Sequence[PublishedEvent], now_ms: int) -> set[str]:
        mark_published(session, [event.id for event in events])
        return self._fan_out(session, events, now_ms)
