"""The event log as the rest of the core sees it.

Owns the contract. The outbox (rows without a position) is the truth; a log only carries what the relay publishes to
the fan-out, at least once and in the order of publication for one device. Losing a log costs time, never an event.
"""

from collections.abc import Sequence
from typing import Protocol

from core.events import PublishedEvent


class EventLog(Protocol):
    """Carries events from the relay to the fan-out, in this or other processes."""

    async def publish(self, events: Sequence[PublishedEvent]) -> None:
        """Take events of the outbox, oldest first; returns once the log has them durably.

        The fan-out gives them their positions, now or later; until then the relay remembers them. Raises Unavailable
        if the log cannot take them, and then the relay publishes all of them again; the fan-out is idempotent.
        """
        ...


class LogEnd(Protocol):
    """Where the events arrive that a log carried."""

    async def receive(self, events: Sequence[PublishedEvent]) -> frozenset[str]:
        """Give events their positions and fan them out; answers the ids that no event of this database has.

        Idempotent. Raises Unavailable, and OutcomeUnknown.
        """
        ...
