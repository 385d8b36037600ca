"""What one endpoint has waiting in this process, and whose turn it is.

Owns the mailbox of an endpoint with its order and limits, and the ring that is fair to tenants first and to their
endpoints second. Does no I/O, knows no storage and no clock: times come in, in milliseconds of a steady clock.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from core.delivery.breaker import Breaker
from core.delivery.claims import ClaimedDelivery, Endpoint

SLOW_MS = 2_000
"""An endpoint whose attempts take longer on average is served by the slow lane."""

AHEAD_MS = 250
"""How much of its work an endpoint has claimed ahead: what it answers in this time."""

AHEAD_MAX = 28
LATENCY_UNKNOWN_MS = 100
"""Taken for an endpoint that has not answered yet."""

_NEWEST_SHARE = 0.2
"""Weight of the newest attempt in the average latency."""

ORDERED_AHEAD = 16


class FairRing:
    """Endpoints that wait for one thing, each once: tenants take turns, and so do the endpoints of each."""

    def __init__(self) -> None:
        self._tenants: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()
        self._tenant_of: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._tenant_of)

    def add(self, webhook_id: str, tenant_id: str) -> None:
        """Let an endpoint wait; without effect if it does."""
        if webhook_id not in self._tenant_of:
            self._tenant_of[webhook_id] = tenant_id
            self._tenants.setdefault(tenant_id, OrderedDict())[webhook_id] = None

    def discard(self, webhook_id: str) -> None:
        """Let an endpoint wait no longer."""
        tenant_id = self._tenant_of.pop(webhook_id, None)
        if tenant_id is not None:
            endpoints = self._tenants[tenant_id]
            del endpoints[webhook_id]
            if not endpoints:
                del self._tenants[tenant_id]

    def take(self) -> str:
        """Remove and return the endpoint whose turn it is."""
        tenant_id, endpoints = self._tenants.popitem(last=False)
        webhook_id, _ = endpoints.popitem(last=False)
        del self._tenant_of[webhook_id]
        if endpoints:
            self._tenants[tenant_id] = endpoints
        return webhook_id


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A claimed delivery in a mailbox. It may be begun until `start_by_ms`."""

    delivery: ClaimedDelivery
    start_by_ms: int
    slow: bool
    """Whether it counts as held for the slow lane."""


@dataclass(slots=True)
class Mailbox:
    """One endpoint's deliveries in this process: those that wait and those in flight.

    No two deliveries of a message are in flight together, and first attempts keep their order within a message.
    An ordered endpoint has one delivery under way at a time, from its start until it is settled.
    """

    webhook_id: str
    endpoint: Endpoint | None = None
    """None until something was claimed."""
    breaker: Breaker = field(default_factory=Breaker)
    first: deque[Held] = field(default_factory=deque)
    again: deque[Held] = field(default_factory=deque)
    in_flight: int = 0
    unsettled: int = 0
    """Deliveries that were begun and are not settled."""
    latency_ms: float | None = None
    straggling: int = 0
    """Attempts in flight for longer than SLOW_MS."""
    maybe_first: bool = False
    maybe_again: bool = False
    """Whether the database may have due deliveries that are not claimed."""
    claiming: bool = False
    _busy: Counter[str] = field(default_factory=Counter)

    @property
    def tenant_id(self) -> str:
        """Its tenant; unknown ones are taken for one tenant until something was claimed."""
        return self.endpoint.tenant_id if self.endpoint else ""

    @property
    def ordered(self) -> bool:
        """Whether it wants strict order."""
        return self.endpoint is not None and self.endpoint.ordered

    @property
    def waiting(self) -> int:
        """Deliveries that are claimed and not begun."""
        return len(self.first) + len(self.again)

    @property
    def is_slow(self) -> bool:
        """Whether the slow lane serves it."""
        average_is_slow = self.latency_ms is not None and self.latency_ms > SLOW_MS
        return average_is_slow or self.straggling > 0 or not self.breaker.is_closed

    @property
    def is_idle(self) -> bool:
        """Whether forgetting it loses nothing but its latency."""
        nothing_here = not (self.waiting or self.unsettled or self.claiming)
        return nothing_here and not (self.maybe_first or self.maybe_again) and self.breaker.is_closed

    def put(self, held: Iterable[Held]) -> None:
        """Add claimed deliveries, oldest first."""
        for one in held:
            lane = self.first if one.delivery.is_first or self.ordered else self.again
            lane.append(one)

    def room(self, limit: int) -> tuple[int, int]:
        """How many more to claim: first attempts; retries and replays. `limit`: how many may be in flight.

        Nothing while half of what it may have is still here: claims of many cost hardly more than claims of one.
        One of an endpoint that is not known yet: only a claim tells its tenant, and no tenant may take more than
        its share by being unknown.
        """
        if self.endpoint is None:
            return 1, 1
        if self.ordered:
            count = 0 if self.waiting or self.unsettled else ORDERED_AHEAD
            return count, count
        if not self.breaker.is_closed:
            count = 0 if self.waiting or self.in_flight else 1
            return count, count
        target = limit + self._ahead(limit)
        return _refill(target, self.in_flight + len(self.first)), _refill(
            target, self.in_flight + len(self.again)
        )

    def _ahead(self, limit: int) -> int:
        if self.is_slow:
            return 0
        latency_ms = LATENCY_UNKNOWN_MS if self.latency_ms is None else self.latency_ms
        return min(AHEAD_MAX, int(limit * AHEAD_MS / max(latency_ms, 1.0)))

    def next_up(self, *, slow_lane: bool) -> Held | None:
        """The delivery of this lane that would be begun next, or None; limits of the endpoint are the caller's."""
        if self.ordered:
            head = self.first[0] if self.first and not self.unsettled else None
            return head if head and slow_lane == (self.is_slow or not head.delivery.is_first) else None
        if self.is_slow:
            candidates = [one for lane in (self.first, self.again) if (one := self._free(lane)) is not None]
            oldest = min(candidates, key=lambda one: one.delivery.due_ms, default=None)
            return oldest if slow_lane else None
        return self._free(self.again if slow_lane else self.first)

    def begin(self, held: Held) -> None:
        """Take a delivery out, to be sent."""
        lane = self.first if held in self.first else self.again
        lane.remove(held)
        self.in_flight += 1
        self.unsettled += 1
        if held.delivery.message_id:
            self._busy[held.delivery.message_id] += 1

    def end(self, delivery: ClaimedDelivery, latency_ms: float) -> None:
        """An attempt is over."""
        self.in_flight -= 1
        if delivery.message_id:
            self._busy[delivery.message_id] -= 1
            if not self._busy[delivery.message_id]:
                del self._busy[delivery.message_id]
        if self.latency_ms is None:
            self.latency_ms = latency_ms
        else:
            self.latency_ms += _NEWEST_SHARE * (latency_ms - self.latency_ms)

    def empty(self) -> list[Held]:
        """Take out everything that was not begun."""
        held = [*self.first, *self.again]
        self.first.clear()
        self.again.clear()
        return held

    def _free(self, lane: deque[Held]) -> Held | None:
        """The oldest whose message has nothing in flight."""
        return next((one for one in lane if one.delivery.message_id not in self._busy), None)


def _refill(target: int, present: int) -> int:
    return target - present if 2 * present <= target else 0
