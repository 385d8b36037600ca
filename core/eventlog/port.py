"""The event log as the rest of the core sees it.

Owns the contract. The outbox (rows without a position) is the truth; a log only carries what the relay publishes to
the consumers, at least once and in the order of publication for one device. Losing a log costs time, never an event.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from core.events import PublishedEvent

Handler = Callable[[Sequence[PublishedEvent]], Awaitable[None]]
"""Must be idempotent: it sees an event again after a crash or a redelivery."""


class EventLog(Protocol):
    """Carries events from the relay to consumers, in this or other processes."""

    async def publish(self, events: Sequence[PublishedEvent]) -> None:
        """Hand events over. Returns once the log has them durably; raises Unavailable if it cannot, and then the
        relay publishes all of them again."""
        ...

    def published(self) -> None:
        """The events handed over last have their positions in the database; a hint that shortens a wait."""
        ...

    async def consume(self, handler: Handler) -> None:
        """Give every published event to `handler`, batch after batch, for ever; the owner cancels it.

        A batch whose handler raised is given again.
        """
        ...
