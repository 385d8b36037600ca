"""Which events are under way: taken by the log, and not seen with a position yet.

Owns how many may be and after what time one is sent again. Does no I/O; times are seconds of any one clock.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

EVENTS_MAX = 10_000
"""Events under way; all others wait in the database."""

RESEND_S = 15.0
"""After so long an event that has no position is sent again; twice as long after each further time."""

RESEND_S_MAX = 120.0


@dataclass(frozen=True, slots=True)
class _Wait:
    until_s: float
    seconds: float


class Window:
    """Events under way, by id."""

    def __init__(self) -> None:
        self._sent: dict[str, _Wait] = {}
        self._overdue: dict[str, float] = {}
        """How long those were waited for that were let go of, until they are sent again."""

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def room(self) -> int:
        """How many more may be sent."""
        return EVENTS_MAX - len(self._sent)

    @property
    def ids(self) -> frozenset[str]:
        """The events under way."""
        return frozenset(self._sent)

    def sent(self, event_ids: Iterable[str], now_s: float) -> None:
        """The log has taken these."""
        for event_id in event_ids:
            before_s = self._overdue.pop(event_id, 0.0)
            seconds = min(2 * before_s, RESEND_S_MAX) if before_s else RESEND_S
            self._sent[event_id] = _Wait(now_s + seconds, seconds)

    def let_go(self, now_s: float) -> int:
        """Forget those whose time is over, so that they are sent again; answers how many."""
        overdue = [event_id for event_id, wait in self._sent.items() if wait.until_s <= now_s]
        for event_id in overdue:
            self._overdue[event_id] = self._sent.pop(event_id).seconds
        return len(overdue)

    def settle(self, waiting: AbstractSet[str]) -> None:
        """Of those under way only these have no position yet."""
        self._sent = {event_id: wait for event_id, wait in self._sent.items() if event_id in waiting}

    def nothing_overdue(self) -> None:
        """The outbox holds nothing that is not under way, so those that were let go of have arrived."""
        self._overdue.clear()
