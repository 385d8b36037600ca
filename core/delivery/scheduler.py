"""Which delivery is sent next, and which are to be claimed.

Owns fairness, lanes and limits over the endpoints of this process. The database is the truth: what is here was
claimed from it, and hints only say where to look. Does no I/O and knows no clock: `now_ms` is a steady clock's.

The slow lane has a quarter of the slots, for retries, replays, half-open probes and slow endpoints. An attempt that
turns out slow moves there while it runs, so that hanging receivers give the fast lane's slots back within seconds.
"""

import heapq
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from core.delivery.breaker import Admission
from core.delivery.claims import START_WITHIN_MS, Claimed, ClaimedDelivery, Want
from core.delivery.mailboxes import SLOW_MS, FairRing, Held, Mailbox

CLAIM_ENDPOINTS_MAX = 64
CLAIM_DELIVERIES_MAX = 256
"""Bounds of one claim, so that its transaction stays short; the next follows at once."""

HELD_PER_SLOT = 16
"""Deliveries claimed ahead for each slot; bounds memory. The slow lane may hold a quarter of them."""

ASK_AGAIN_MS = 50
"""When to ask again for an endpoint that could not be claimed from completely."""

TIMER_STEP_MS = 50
TIMER_HORIZON_MS = 60_000
TIMERS_MAX = 20_000
"""Later due times, and more of them, are left to the poll."""

MAILBOXES_MAX = 10_000
"""Endpoints remembered; idle ones beyond it are forgotten at the next poll."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may be in flight: at all, and to one endpoint."""

    slots: int
    per_endpoint: int

    @property
    def slow(self) -> int:
        """Slots of the slow lane."""
        return max(1, self.slots // 4)

    @property
    def fast(self) -> int:
        """Slots of the fast lane."""
        return max(1, self.slots - self.slow)

    @property
    def in_flight_max(self) -> int:
        """Bound of everything in flight, attempts included that turned out slow while they ran."""
        return 2 * self.slots

    @property
    def held_max(self) -> int:
        """Bound of what is claimed and not begun."""
        return HELD_PER_SLOT * self.slots


@dataclass(slots=True, eq=False)
class Flight:
    """An attempt under way. `probe`: the one attempt of a half-open breaker."""

    delivery: ClaimedDelivery
    started_ms: int
    slow: bool
    probe: bool
    straggling: bool = False


class Scheduler:
    """Decides; the deliverer acts: claims `wants`, sends what `start` gives, and reports back."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.fast_used = 0
        self.slow_used = 0
        self._mailboxes: dict[str, Mailbox] = {}
        self._hungry = FairRing()
        self._fast = FairRing()
        self._slow = FairRing()
        self._timers: list[tuple[int, str]] = []
        self._timers_set: set[tuple[int, str]] = set()
        self._young: OrderedDict[str, Flight] = OrderedDict()
        self._returned: list[str] = []
        self._held = 0
        self._held_slow = 0
        self._asked = 0
        self._asked_slow = 0

    @property
    def held(self) -> int:
        """Deliveries claimed and not begun."""
        return self._held

    @property
    def has_work(self) -> bool:
        """Whether something is to be claimed or given back."""
        return len(self._hungry) > 0 or len(self._returned) > 0

    @property
    def open_breakers(self) -> int:
        """Endpoints whose breaker is not closed."""
        return sum(not mailbox.breaker.is_closed for mailbox in self._mailboxes.values())

    def wake(self, webhook_id: str, now_ms: int, *, first: bool, again: bool) -> None:
        """The endpoint may have due deliveries: first attempts; retries and replays."""
        mailbox = self._mailboxes.get(webhook_id)
        if mailbox is None:
            mailbox = self._mailboxes[webhook_id] = Mailbox(webhook_id)
        mailbox.maybe_first |= first
        mailbox.maybe_again |= again
        self._refresh(mailbox, now_ms)

    def renew(self, webhook_id: str, now_ms: int) -> None:
        """Forget what was claimed of the endpoint: its configuration or its deliveries have changed.

        Whoever did that may have mended it, so an open breaker lets one attempt try.
        """
        if mailbox := self._mailboxes.get(webhook_id):
            mailbox.breaker.let_probe(now_ms)
            self._give_back(mailbox)
            self._refresh(mailbox, now_ms)

    def wake_at(self, webhook_id: str, at_ms: int, now_ms: int) -> None:
        """The endpoint may have due deliveries from then on."""
        timer = (-(-at_ms // TIMER_STEP_MS) * TIMER_STEP_MS, webhook_id)
        within = at_ms <= now_ms + TIMER_HORIZON_MS and len(self._timers) < TIMERS_MAX
        if within and timer not in self._timers_set:
            self._timers_set.add(timer)
            heapq.heappush(self._timers, timer)

    def next_timer_ms(self) -> int | None:
        """When `advance` has something to do, if nothing else happens before."""
        times = [self._timers[0][0]] if self._timers else []
        if self._young:
            times.append(next(iter(self._young.values())).started_ms + SLOW_MS)
        return min(times, default=None)

    def advance(self, now_ms: int) -> None:
        """Let time have its effects; call before `wants` and `start`."""
        while self._timers and self._timers[0][0] <= now_ms:
            timer = heapq.heappop(self._timers)
            self._timers_set.discard(timer)
            self.wake(timer[1], now_ms, first=True, again=True)
        while self._young:
            flight = next(iter(self._young.values()))
            if flight.started_ms + SLOW_MS > now_ms:
                break
            del self._young[flight.delivery.delivery_id]
            self._straggle(flight, now_ms)

    def wants(self, now_ms: int) -> list[Want]:
        """What to claim now; empty if nothing. Answer each list with `claimed`, or `not_claimed`."""
        wants: list[Want] = []
        put_back: list[Mailbox] = []
        most = CLAIM_DELIVERIES_MAX
        # Those that get nothing do not count: they must not hide the others.
        for _ in range(len(self._hungry)):
            room = min(most, self.limits.held_max - self._held - self._asked)
            if room <= 0 or len(wants) >= CLAIM_ENDPOINTS_MAX:
                break
            mailbox = self._mailboxes[self._hungry.take()]
            want = self._want(mailbox, room)
            if want is None:
                put_back.append(mailbox)
                continue
            wants.append(want)
            most -= want.first + want.again
            self._ask(mailbox, want)
        for mailbox in put_back:
            self._refresh(mailbox, now_ms)
        return wants

    def claimed(self, wants: Sequence[Want], claimed: Claimed, now_ms: int, *, asked_ms: int) -> None:
        """Take in what a claim that began at `asked_ms` gave."""
        by_endpoint: dict[str, list[ClaimedDelivery]] = {}
        for delivery in claimed.deliveries:
            by_endpoint.setdefault(delivery.endpoint.webhook_id, []).append(delivery)
        for want in wants:
            mailbox = self._answered(want)
            deliveries = by_endpoint.get(want.webhook_id, [])
            if deliveries:
                self._put(mailbox, deliveries, asked_ms + START_WITHIN_MS)
            first = sum(one.is_first for one in deliveries)
            again = len(deliveries) - first
            if mailbox.ordered:  # its run counts as a whole, whatever it is made of
                first = again = len(deliveries)
            mailbox.maybe_first |= 0 < want.first <= first
            mailbox.maybe_again |= 0 < want.again <= again
            if want.webhook_id in claimed.closed:
                self._give_back(mailbox)
            elif not self._admits(mailbox, now_ms):
                self._defer(mailbox, now_ms)
            if want.webhook_id in claimed.unfinished:
                self.wake_at(want.webhook_id, now_ms + ASK_AGAIN_MS, now_ms)
            self._refresh(mailbox, now_ms)

    def not_claimed(self, wants: Sequence[Want], now_ms: int) -> None:
        """A claim failed."""
        for want in wants:
            self._answered(want)
            self.wake(want.webhook_id, now_ms, first=want.first > 0, again=want.again > 0)

    def start(self, now_ms: int) -> Flight | None:
        """The next attempt to make now, or None."""
        while self.fast_used + self.slow_used < self.limits.in_flight_max:
            if len(self._fast) and self.fast_used < self.limits.fast:
                flight = self._start(self._mailboxes[self._fast.take()], now_ms, slow=False)
            elif len(self._slow) and self.slow_used < self.limits.slow:
                flight = self._start(self._mailboxes[self._slow.take()], now_ms, slow=True)
            else:
                return None
            if flight is not None:
                return flight
        return None

    def ended(self, flight: Flight, now_ms: int, *, success: bool) -> None:
        """An attempt is over; its slot is free, its delivery waits to be settled."""
        mailbox = self._mailboxes[flight.delivery.endpoint.webhook_id]
        self._young.pop(flight.delivery.delivery_id, None)
        self._use(slow=flight.slow, change=-1)
        mailbox.straggling -= flight.straggling
        mailbox.end(flight.delivery, now_ms - flight.started_ms)
        mailbox.breaker.record(now_ms, success=success, probe=flight.probe)
        if not mailbox.breaker.is_closed:
            self._defer(mailbox, now_ms)
        self._refresh(mailbox, now_ms)

    def settled(self, delivery: ClaimedDelivery, now_ms: int, *, due_ms: int | None, closed: bool) -> None:
        """A delivery is settled. `due_ms`: when it is tried again. `closed`: its endpoint is switched off."""
        mailbox = self._mailboxes[delivery.endpoint.webhook_id]
        mailbox.unsettled -= 1
        if closed:
            self._give_back(mailbox)
        elif due_ms is not None:
            self.wake_at(mailbox.webhook_id, due_ms, now_ms)
            if mailbox.ordered:
                # The database keeps the others back until then, or until its owner says otherwise.
                self._give_back(mailbox)
        self._refresh(mailbox, now_ms)

    def give_back_stale(self, now_ms: int) -> None:
        """Give back what waited too long to be begun, and forget idle endpoints if there are too many."""
        for mailbox in list(self._mailboxes.values()):
            stale = any(one.start_by_ms <= now_ms for lane in (mailbox.first, mailbox.again) for one in lane)
            if stale:
                self._give_back(mailbox)
                self._refresh(mailbox, now_ms)
            elif mailbox.is_idle and len(self._mailboxes) > MAILBOXES_MAX:
                del self._mailboxes[mailbox.webhook_id]

    def give_back_all(self) -> None:
        """Give back everything that was not begun."""
        for mailbox in self._mailboxes.values():
            self._give_back(mailbox)

    def returned(self) -> list[str]:
        """Deliveries given back since the last call; their leases are to be ended."""
        returned, self._returned = self._returned, []
        return returned

    def _want(self, mailbox: Mailbox, room: int) -> Want | None:
        first, again = mailbox.room(self.limits.per_endpoint)
        room_slow = self.limits.held_max // 4 - self._held_slow - self._asked_slow
        first = min(first, room, room_slow) if mailbox.is_slow else min(first, room)
        first = max(first, 0) if mailbox.maybe_first else 0
        again = min(again, room - first, room_slow - (first if mailbox.is_slow else 0))
        again = max(again, 0) if mailbox.maybe_again else 0
        if not first and not again:
            return None
        return Want(mailbox.webhook_id, first, again, slow=again + (first if mailbox.is_slow else 0))

    def _ask(self, mailbox: Mailbox, want: Want) -> None:
        self._asked += want.first + want.again
        self._asked_slow += want.slow
        mailbox.claiming = True
        mailbox.maybe_first &= not want.first
        mailbox.maybe_again &= not want.again

    def _answered(self, want: Want) -> Mailbox:
        self._asked -= want.first + want.again
        self._asked_slow -= want.slow
        mailbox = self._mailboxes[want.webhook_id]
        mailbox.claiming = False
        return mailbox

    def _put(self, mailbox: Mailbox, deliveries: Sequence[ClaimedDelivery], start_by_ms: int) -> None:
        endpoint = deliveries[0].endpoint
        if mailbox.endpoint is not None and mailbox.endpoint.version != endpoint.version:
            self._give_back(mailbox)
        mailbox.endpoint = endpoint
        slow = mailbox.is_slow
        held = [Held(one, start_by_ms, slow or not one.is_first) for one in deliveries]
        mailbox.put(held)
        self._held += len(held)
        self._held_slow += sum(one.slow for one in held)

    def _start(self, mailbox: Mailbox, now_ms: int, *, slow: bool) -> Flight | None:
        held = mailbox.next_up(slow_lane=slow)
        if held is None:
            return None
        probe = False
        if not mailbox.breaker.is_closed:
            probe = mailbox.breaker.admit(now_ms) is Admission.PROBE
        if held.start_by_ms <= now_ms or not (probe or mailbox.breaker.is_closed):
            if probe:
                mailbox.breaker.abandon_probe()
            self._give_back(mailbox)
            self._refresh(mailbox, now_ms)
            return None
        mailbox.begin(held)
        self._forget((held,))
        flight = Flight(held.delivery, now_ms, slow=slow, probe=probe)
        self._use(slow=slow, change=1)
        self._young[held.delivery.delivery_id] = flight
        self._refresh(mailbox, now_ms)
        return flight

    def _straggle(self, flight: Flight, now_ms: int) -> None:
        mailbox = self._mailboxes[flight.delivery.endpoint.webhook_id]
        flight.straggling = True
        mailbox.straggling += 1
        if not flight.slow:
            flight.slow = True
            self._use(slow=False, change=-1)
            self._use(slow=True, change=1)
        self._give_back(mailbox)
        self._refresh(mailbox, now_ms)

    def _defer(self, mailbox: Mailbox, now_ms: int) -> None:
        """An endpoint whose breaker is open keeps nothing here until it may be probed."""
        self._give_back(mailbox)
        self.wake_at(mailbox.webhook_id, mailbox.breaker.retry_at_ms(now_ms), now_ms)

    def _give_back(self, mailbox: Mailbox) -> None:
        held = mailbox.empty()
        if held:
            self._forget(held)
            self._returned += [one.delivery.delivery_id for one in held]
            mailbox.maybe_first = mailbox.maybe_again = True

    def _forget(self, held: Collection[Held]) -> None:
        self._held -= len(held)
        self._held_slow -= sum(one.slow for one in held)

    def _use(self, *, slow: bool, change: int) -> None:
        if slow:
            self.slow_used += change
        else:
            self.fast_used += change

    def _refresh(self, mailbox: Mailbox, now_ms: int) -> None:
        """Let the endpoint wait for what it can use: a slot of a lane, a claim."""
        admitted = self._admits(mailbox, now_ms)
        free = admitted and mailbox.in_flight < (1 if mailbox.ordered else self.limits.per_endpoint)
        for ring, slow_lane in ((self._fast, False), (self._slow, True)):
            self._wait(ring, mailbox, free and mailbox.next_up(slow_lane=slow_lane) is not None)
        hungry = admitted and not mailbox.claiming
        if hungry:
            first, again = mailbox.room(self.limits.per_endpoint)
            hungry = (mailbox.maybe_first and first > 0) or (mailbox.maybe_again and again > 0)
        self._wait(self._hungry, mailbox, hungry)

    @staticmethod
    def _admits(mailbox: Mailbox, now_ms: int) -> bool:
        return mailbox.breaker.is_closed or mailbox.breaker.retry_at_ms(now_ms) <= now_ms

    @staticmethod
    def _wait(ring: FairRing, mailbox: Mailbox, wanted: bool) -> None:
        if wanted:
            ring.add(mailbox.webhook_id, mailbox.tenant_id)
        else:
            ring.discard(mailbox.webhook_id)
