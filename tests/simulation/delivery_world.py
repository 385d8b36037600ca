"""A world of deliveries in virtual time: the real claims, settlement and scheduler, and everything that goes wrong.

Owns time, workers, receivers and faults, all drawn from one seed, and checks at every step what may never happen.
No threads, no sockets, no waiting: a transaction is a call, and its answer may come late or never.
"""

import heapq
import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from core.delivery.claims import LEASE_EXTRA_MS, ClaimedDelivery, Want, claim, release
from core.delivery.fanout import fan_out
from core.delivery.scheduler import Flight, Limits, Scheduler
from core.delivery.settlement import Attempt, settle
from core.store.deliveries import PENDING, waiting_endpoints
from core.store.rows import AttemptRow, DeliveryRow, EventRow, WebhookRow
from tests.fakes.database import TENANT_A, TENANT_B
from tests.fakes.delivery_rows import (
    DELIVERED,
    SENT,
    add_events,
    add_webhook,
    change_webhook,
    deliveries,
    webhook,
)
from tests.fakes.set_clock import START_MS

_SOME_PENDING = select(col(DeliveryRow.id)).where(PENDING).limit(1)

FAULTS_UNTIL_MS = 90_000
POLL_MS, POLL_CALM_MS = 5_000, 3_600_000
END_MS = 15 * 86_400_000
"""Later than the last attempt of any delivery; a world that is not done by then hangs."""


@dataclass
class Receiver:
    """One endpoint's receiver: how likely it answers what, until it recovers, if it ever does."""

    failing: float
    hanging: float
    recovers_ms: int
    latency_ms: int
    ordered: bool


@dataclass
class UnderWay:
    """An attempt that a receiver has begun to work on."""

    delivery: ClaimedDelivery
    lease_until_ms: int
    worker: str


@dataclass
class World:
    """Everything of one seed."""

    session: Session
    seed: int
    now_ms: int = 0
    receivers: dict[str, Receiver] = field(default_factory=dict)
    under_way: dict[str, list[UnderWay]] = field(default_factory=lambda: defaultdict(list))
    accepted: set[str] = field(default_factory=set)
    bodies: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    settled: list[str] = field(default_factory=list)
    """The delivery of every attempt whose settlement was committed."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._workers = itertools.count()
        for table in (AttemptRow, DeliveryRow, EventRow, WebhookRow):
            self.session.execute(delete(table))
        for _ in range(self.random.randint(1, 4)):
            self._add_receiver()

    @property
    def wall_ms(self) -> int:
        """The time of day."""
        return START_MS + self.now_ms

    def at(self, when_ms: int, action: Callable[[], None]) -> None:
        """Have something happen then."""
        heapq.heappush(self._agenda, (when_ms, next(self._numbers), action))

    def after(self, at_most_ms: int, action: Callable[[], None]) -> None:
        """Have something happen within this time."""
        self.at(self.now_ms + self.random.randint(0, at_most_ms), action)

    def run(self) -> None:
        """Let it all happen until every delivery has come to its end."""
        for _ in range(self.random.randint(3, 12)):
            self.at(self.random.randint(0, FAULTS_UNTIL_MS // 2), self._publish)
        workers = self.random.choice((1, 1, 2))
        for _ in range(workers):
            self.start_worker()
        while self.now_ms <= FAULTS_UNTIL_MS or self._pending() or self._enable_again():
            assert self._agenda, "nothing will ever happen again"
            self.now_ms, _, action = heapq.heappop(self._agenda)
            assert self.now_ms < END_MS, "a delivery was never finished"
            action()

    def start_worker(self) -> None:
        """A deliverer begins, and may die or stall while faults are about."""
        worker = Worker(self, f"worker-{next(self._workers)}")
        worker.poll()
        if self.now_ms < FAULTS_UNTIL_MS:
            fate = self.random.choice((worker.die, worker.die, worker.stall, lambda: None))
            self.after(FAULTS_UNTIL_MS // 2, fate)

    def receive(
        self, worker: "Worker", delivery: ClaimedDelivery, lease_until_ms: int
    ) -> tuple[int | None, int]:
        """An attempt reaches the receiver; answers the status, None for none, and the time that it takes."""
        webhook_id = delivery.endpoint.webhook_id
        deadline_ms = self.wall_ms + delivery.endpoint.timeout_s * 1_000
        assert deadline_ms < lease_until_ms, "an attempt may outlast its lease"
        self._check_alone(delivery)
        if self.receivers[webhook_id].ordered:
            self._check_order(delivery)
        self.bodies[delivery.event_id].add(delivery.body)
        receiver = self.receivers[webhook_id]
        status, takes_ms = 200, self.random.randint(1, receiver.latency_ms)
        if self.now_ms < receiver.recovers_ms:
            dice = self.random.random()
            if dice < receiver.hanging:
                status, takes_ms = None, delivery.endpoint.timeout_s * 1_000
            elif dice < receiver.hanging + receiver.failing:
                status = self.random.choice((500, 503, 404, 429))
        this = UnderWay(delivery, lease_until_ms, worker.name)
        self.under_way[webhook_id].append(this)
        self.at(self.now_ms + takes_ms, lambda: self.under_way[webhook_id].remove(this))
        if status == 200:
            self.accepted.add(delivery.delivery_id)
        return status, takes_ms

    def _check_alone(self, delivery: ClaimedDelivery) -> None:
        for other in self.under_way[delivery.endpoint.webhook_id]:
            if self.wall_ms >= other.lease_until_ms:
                continue
            assert other.delivery.delivery_id != delivery.delivery_id, "twice in flight within a lease"
            assert other.delivery.message_id != delivery.message_id, "two of one message in flight"

    def _check_order(self, delivery: ClaimedDelivery) -> None:
        rows = deliveries(self.session, webhook_id=delivery.endpoint.webhook_id, state="pending")
        assert rows[0].id == delivery.delivery_id, "an ordered endpoint got one before its turn"

    def _add_receiver(self) -> None:
        ordered = self.random.random() < 0.3
        values = {
            "tenant_id": self.random.choice((TENANT_A, TENANT_B)),
            "ordered": ordered,
            "timeout_s": self.random.choice((1, 10, 30)),
        }
        self.receivers[add_webhook(self.session, **values)] = Receiver(
            failing=self.random.choice((0.0, 0.2, 1.0)),
            hanging=self.random.choice((0.0, 0.0, 0.3)),
            # The head of an ordered endpoint that never recovers would block each of the others for days.
            recovers_ms=self.random.choice((0, 60_000, 600_000, 600_000 if ordered else END_MS)),
            latency_ms=self.random.choice((5, 50, 3_000)),
            ordered=ordered,
        )

    def _publish(self) -> None:
        tenant = self.random.choice((TENANT_A, TENANT_B))
        types = (SENT, DELIVERED)[: self.random.randint(1, 2)]
        published = add_events(self.session, self.wall_ms, types, tenant_id=tenant)
        fan_out(self.session, published, self.wall_ms)
        if self.random.random() < 0.1:
            fan_out(self.session, published, self.wall_ms)

    def _pending(self) -> bool:
        return self.session.connection().execute(_SOME_PENDING).first() is not None

    def _enable_again(self) -> bool:
        """Somebody looks after the endpoints that were switched off; answers whether there was one."""
        off = {row.webhook_id for row in deliveries(self.session, state="paused")}
        for webhook_id in off:
            assert webhook(self.session, webhook_id).disabled_reason == "failing"
            change_webhook(
                self.session, webhook_id, enabled=True, failures=0, failing_since_ms=None, warned_ms=None
            )
            self.session.execute(
                update(DeliveryRow)
                .where(col(DeliveryRow.webhook_id) == webhook_id, col(DeliveryRow.state) == "paused")
                .values(state="pending")
            )
        return bool(off)


class Worker:
    """A deliverer as the database and the receivers see it."""

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self._world = world
        self._scheduler = Scheduler(Limits(slots=world.random.choice((1, 4, 16)), per_endpoint=4))
        self._held: set[str] = set()
        self._leases: dict[str, int] = {}
        self._ended: list[tuple[ClaimedDelivery, Attempt]] = []
        self._claiming = False
        self._settling = False
        self._awake_at_ms = 0
        self._alive = True

    def die(self) -> None:
        """Be killed; another one begins after a while. What is at receivers goes on there."""
        self._alive = False
        self._world.after(20_000, self._world.start_worker)

    def stall(self) -> None:
        """Do nothing for a while, often for longer than leases last."""
        self._awake_at_ms = self._world.now_ms + self._world.random.randint(1_000, 60_000)

    def poll(self) -> None:
        """Look at the database, and again later."""
        world = self._world
        for webhook_id, first_ms, again_ms in waiting_endpoints(world.session):
            first, again = (at_ms is not None and at_ms <= world.wall_ms for at_ms in (first_ms, again_ms))
            self._scheduler.wake(webhook_id, world.now_ms, first=first, again=again)
        self._scheduler.give_back_stale(world.now_ms)
        pause_ms = POLL_MS if world.now_ms < FAULTS_UNTIL_MS else POLL_CALM_MS
        self._later(pause_ms, self.poll)
        self._step()

    def _later(self, after_ms: int, action: Callable[[], None]) -> None:
        """Act then, unless dead; a stalled worker acts when it wakes up."""

        def act() -> None:
            if not self._alive:
                return
            if self._world.now_ms < self._awake_at_ms:
                self._world.at(self._awake_at_ms, act)
            else:
                action()

        self._world.at(self._world.now_ms + after_ms, act)

    def _soon(self, action: Callable[[], None]) -> None:
        self._later(self._world.random.choice((0, 1, 5, 200)), action)

    def _step(self) -> None:
        world, scheduler = self._world, self._scheduler
        scheduler.advance(world.now_ms)
        while (flight := scheduler.start(world.now_ms)) is not None:
            self._send(flight)
        if returned := scheduler.returned():
            release(world.session, returned, self.name)
            self._held.difference_update(returned)
        if not self._claiming and (wants := scheduler.wants(world.now_ms)):
            self._claim(wants)
        next_ms = scheduler.next_timer_ms()
        if next_ms is not None and next_ms > world.now_ms:
            self._later(next_ms - world.now_ms, self._step)

    def _claim(self, wants: Sequence[Want]) -> None:
        """The transaction is now; its answer comes later, or never if the worker dies in between."""
        world, asked_ms = self._world, self._world.now_ms
        self._claiming = True
        claimed = claim(world.session, wants, world.wall_ms, worker=self.name, held=set(self._held))
        for delivery in claimed.deliveries:
            assert delivery.delivery_id not in self._held
            self._held.add(delivery.delivery_id)
            self._leases[delivery.delivery_id] = (
                world.wall_ms + delivery.endpoint.timeout_s * 1_000 + LEASE_EXTRA_MS
            )

        def answer() -> None:
            self._claiming = False
            self._scheduler.claimed(wants, claimed, world.now_ms, asked_ms=asked_ms)
            self._step()

        self._soon(answer)

    def _send(self, flight: Flight) -> None:
        world, delivery = self._world, flight.delivery
        at_ms = world.wall_ms
        status, takes_ms = world.receive(self, delivery, self._leases[delivery.delivery_id])
        attempt = Attempt(
            delivery_id=delivery.delivery_id,
            webhook_id=delivery.endpoint.webhook_id,
            ordered=delivery.endpoint.ordered,
            at_ms=at_ms,
            duration_ms=takes_ms,
            status=status,
            error="" if status else "timeout",
            response="",
            control=None,
            retry_after_s=None,
        )

        def end() -> None:
            self._scheduler.ended(flight, world.now_ms, success=status == 200)
            self._ended.append((delivery, attempt))
            if not self._settling:
                self._settling = True
                self._soon(self._settle)
            self._step()

        self._later(takes_ms, end)

    def _settle(self) -> None:
        world, batch = self._world, self._ended
        self._ended = []
        settled = settle(
            world.session,
            [attempt for _, attempt in batch],
            world.wall_ms,
            worker=self.name,
            rng=world.random,
        )
        world.settled += [delivery.delivery_id for delivery, _ in batch]

        def answer() -> None:
            self._settling = bool(self._ended)
            for delivery, _ in batch:
                self._held.discard(delivery.delivery_id)
                due_ms = settled.due_ms.get(delivery.delivery_id)
                self._scheduler.settled(
                    delivery,
                    world.now_ms,
                    due_ms=None if due_ms is None else due_ms - START_MS,
                    closed=delivery.endpoint.webhook_id in settled.closed,
                )
            if self._settling:
                self._soon(self._settle)
            self._step()

        self._soon(answer)
