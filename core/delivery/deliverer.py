"""Delivers: claims, sends and settles, each as a batch, until it is stopped.

Owns the tasks. It must not know what an attempt means (settlement), whose turn it is (scheduler) or HTTP (sender).
A transaction never waits for a receiver, and a receiver never holds up another's transaction.
"""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

import structlog

from core.clock import Clock
from core.delivery.backlogs import settle_stranded
from core.delivery.claims import ClaimedDelivery, Want, claim, release
from core.delivery.metrics import DeliveryMetrics
from core.delivery.scheduler import Flight, Limits, Scheduler
from core.delivery.sender import AttemptResult, WebhookRequest
from core.delivery.settlement import Attempt, Settled, settle
from core.delivery.signer import OpenSecrets, Signer
from core.errors import InfiniReachError
from core.ids import new_uuid
from core.store.deliveries import waiting_endpoints
from core.store.engine import Store

log = structlog.get_logger()

TICK_S = 1.0
"""The longest that the claim loop sleeps; due times are never later than this."""

SETTLE_MAX = 256
"""Attempts settled in one transaction."""

RETRY_S = 0.5
"""Wait after the database refused."""

BACKLOGS_S = 60.0
"""How often to look for backlogs that somebody left halfway; the first time at the start."""

STOP_SETTLE_S = 5.0
"""At a stop, how long to try to settle what has ended; after that it is due again when its lease ends."""

RESPONSE_CHARACTERS_DELIVERED_MAX = 1_024
"""Kept of the answer of a receiver that was content; of others all that the sender read."""

ERROR_INTERNAL = "internal"
"""The error of an attempt that failed on our side, before it left."""


class Sender(Protocol):
    """Makes one attempt; `sender.WebhookSender` over the network."""

    async def send(self, request: WebhookRequest) -> AttemptResult:
        """Send and answer what happened; never raises for what a receiver does."""
        ...


def _nothing() -> None:
    pass


class Deliverer:
    """Delivers what is due in one database. Several may run on it, in this or other processes."""

    def __init__(
        self,
        store: Store,
        sender: Sender,
        *,
        open_secrets: OpenSecrets,
        clock: Clock,
        limits: Limits,
        poll_s: float,
        metrics: DeliveryMetrics,
        announced: Callable[[], None] = _nothing,
    ) -> None:
        """`poll_s`: how often the database is asked for due deliveries of which no hint told.

        `announced` is called when events were appended that the relay has to publish.
        """
        self._store = store
        self._sender = sender
        self._signer = Signer(open_secrets)
        self._clock = clock
        self._poll_s = poll_s
        self._metrics = metrics
        self._announced = announced
        self._rng = random.Random()  # noqa: S311 - jitter
        self._worker = new_uuid()
        self._scheduler = Scheduler(limits)
        self._held: set[str] = set()
        self._ended: deque[tuple[ClaimedDelivery, Attempt]] = deque()
        self._broken_off: list[str] = []
        self._slots: set[asyncio.Task[None]] = set()
        self._work = asyncio.Event()
        self._settle = asyncio.Event()
        self._stop = asyncio.Event()
        self._stopped = asyncio.Event()
        self._grace_s = 0.0
        self._all_ended = False
        self._running = False

    def published(self, webhook_ids: Iterable[str]) -> None:
        """These endpoints got new deliveries. A hint: a lost one costs time until the next poll."""
        self._wake(webhook_ids, again=False)

    def wake(self, webhook_ids: Iterable[str]) -> None:
        """Something of these endpoints became due: a redelivery, a replay, a backlog, another configuration."""
        for webhook_id in webhook_ids:
            self._scheduler.renew(webhook_id, self._now_ms())
            self._wake((webhook_id,), again=True)

    def _wake(self, webhook_ids: Iterable[str], *, again: bool) -> None:
        now_ms = self._now_ms()
        for webhook_id in webhook_ids:
            self._scheduler.wake(webhook_id, now_ms, first=True, again=again)
        self._work.set()

    async def run(self) -> None:
        """Deliver until `stop` is called. Cancelling it abandons everything: it is due again when leases end."""
        self._running = True
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                claims = group.create_task(self._claim_loop(), name="deliver-claim")
                settlements = group.create_task(self._settle_loop(), name="deliver-settle")
                polls = group.create_task(self._poll_loop(), name="deliver-poll")
                backlogs = group.create_task(self._backlog_loop(), name="deliver-backlogs")
                await self._stop.wait()
                polls.cancel()
                backlogs.cancel()
                await claims
                await self._end_slots()
                await asyncio.wait([settlements], timeout=STOP_SETTLE_S)
                settlements.cancel()
                self._scheduler.give_back_all()
                with contextlib.suppress(InfiniReachError):
                    await self._give_back()
        finally:
            self._running = False
            self._stopped.set()

    async def stop(self, grace_s: float) -> None:
        """Begin nothing new, give what runs `grace_s` to finish, settle it and give the rest back."""
        if self._running:
            self._grace_s = grace_s
            self._stop.set()
            self._work.set()
            await self._stopped.wait()

    async def _end_slots(self) -> None:
        if self._slots:
            await asyncio.wait(self._slots, timeout=self._grace_s)
        for slot in self._slots:
            slot.cancel()
        if self._slots:
            await asyncio.wait(self._slots)
        self._all_ended = True
        self._settle.set()

    async def _claim_loop(self) -> None:
        while not self._stop.is_set():
            self._work.clear()
            self._scheduler.advance(self._now_ms())
            self._fill_slots()
            try:
                await self._give_back()
                if wants := self._scheduler.wants(self._now_ms()):
                    await self._claim(wants)
                    continue
            except Exception as error:  # noqa: BLE001 - a task's top: what one claim met must not end all deliveries
                _log_failure("delivery.claim_failed", error)
                await asyncio.sleep(RETRY_S)
                continue
            await self._wait_for_work()

    async def _wait_for_work(self) -> None:
        next_ms = self._scheduler.next_timer_ms()
        wait_s = TICK_S if next_ms is None else min(TICK_S, max(0.0, (next_ms - self._now_ms()) / 1_000))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._work.wait()

    async def _claim(self, wants: Sequence[Want]) -> None:
        asked_ms = self._now_ms()
        try:
            function = partial(claim, worker=self._worker, held=frozenset(self._held))
            claimed = await self._store.run(function, wants, self._clock.now_ms())
        except BaseException:
            self._scheduler.not_claimed(wants, self._now_ms())
            raise
        self._held.update(delivery.delivery_id for delivery in claimed.deliveries)
        self._scheduler.claimed(wants, claimed, self._now_ms(), asked_ms=asked_ms)

    async def _give_back(self) -> None:
        """End the leases of what is not delivered from here now; without this they would end by themselves."""
        ids = [*self._scheduler.returned(), *self._broken_off]
        self._broken_off.clear()
        if not ids:
            return
        try:
            await self._store.run(release, ids, self._worker)
        finally:
            self._held.difference_update(ids)

    def _fill_slots(self) -> None:
        while (flight := self._next_flight()) is not None:
            name = f"deliver-{flight.delivery.delivery_id}"
            slot = self._group.create_task(self._fly(flight), name=name)
            self._slots.add(slot)
            slot.add_done_callback(self._slots.discard)

    def _next_flight(self) -> Flight | None:
        return None if self._stop.is_set() else self._scheduler.start(self._now_ms())

    async def _fly(self, first: Flight) -> None:
        """Make attempts for as long as there is one to make."""
        flight: Flight | None = first
        while flight is not None:
            try:
                attempt = await self._attempt(flight.delivery)
            except asyncio.CancelledError:
                self._broken_off.append(flight.delivery.delivery_id)
                raise
            self._scheduler.ended(flight, self._now_ms(), success=attempt.succeeded)
            self._ended.append((flight.delivery, attempt))
            self._settle.set()
            if self._scheduler.has_work:
                self._work.set()
            flight = self._next_flight()

    async def _attempt(self, delivery: ClaimedDelivery) -> Attempt:
        at_ms, started_ms = self._clock.now_ms(), self._now_ms()
        result: AttemptResult | None = None
        try:
            result = await self._sender.send(self._signer.request(delivery, at_ms))
        except Exception as error:  # noqa: BLE001 - a task's top: a secret that cannot be opened harms its endpoint only
            _log_failure("delivery.not_sent", error, delivery_id=delivery.delivery_id)
        attempt = _attempt(delivery, result, at_ms=at_ms, duration_ms=self._now_ms() - started_ms)
        self._metrics.observe(attempt.status, attempt.error, attempt.duration_ms)
        level = log.debug if attempt.succeeded else log.info
        level(
            "delivery.attempt",
            delivery_id=delivery.delivery_id,
            webhook_id=attempt.webhook_id,
            event_id=delivery.event_id,
            event_type=delivery.event_type,
            attempt=delivery.attempt,
            status=attempt.status,
            error=attempt.error,
            duration_ms=attempt.duration_ms,
            detail=result.operator_detail if result else "",
        )
        return attempt

    async def _settle_loop(self) -> None:
        while self._ended or not self._all_ended:
            if self._ended:
                await self._settle_batch()
            else:
                await self._settle.wait()
                self._settle.clear()

    async def _settle_batch(self) -> None:
        """Settle what has ended, oldest first; it stays in line until that is durable."""
        batch = [self._ended[n] for n in range(min(len(self._ended), SETTLE_MAX))]
        try:
            await self._settle_all(batch)
        except InfiniReachError as error:
            _log_failure("delivery.settle_failed", error, attempts=len(batch))
            await asyncio.sleep(RETRY_S)
            return
        except Exception as error:  # noqa: BLE001 - a task's top: what one attempt holds must not block all others
            _log_failure("delivery.settle_failed", error, attempts=len(batch))
            for one in batch:
                await self._settle_or_drop(one)
        for _ in batch:
            self._ended.popleft()

    async def _settle_or_drop(self, one: tuple[ClaimedDelivery, Attempt]) -> None:
        """Settle one attempt; one that cannot be is given up, and its delivery is due when its lease ends."""
        delivery, attempt = one
        while True:
            try:
                return await self._settle_all([one])
            except InfiniReachError as error:
                _log_failure("delivery.settle_failed", error, attempts=1)
                await asyncio.sleep(RETRY_S)
            except Exception as error:  # noqa: BLE001 - as above
                _log_failure("delivery.settle_dropped", error, delivery_id=attempt.delivery_id)
                self._held.discard(attempt.delivery_id)
                return self._scheduler.settled(delivery, self._now_ms(), due_ms=None, closed=False)

    async def _settle_all(self, batch: Sequence[tuple[ClaimedDelivery, Attempt]]) -> None:
        now_ms = self._clock.now_ms()
        function = partial(settle, worker=self._worker, rng=self._rng)
        settled = await self._store.run(function, [attempt for _, attempt in batch], now_ms)
        self._after_settling(batch, settled)

    def _after_settling(self, batch: Sequence[tuple[ClaimedDelivery, Attempt]], settled: Settled) -> None:
        now_ms = self._now_ms()
        ahead_ms = now_ms - self._clock.now_ms()  # of the steady clock before the time of day
        for delivery, _ in batch:
            self._held.discard(delivery.delivery_id)
            due_ms = settled.due_ms.get(delivery.delivery_id)
            self._scheduler.settled(
                delivery,
                now_ms,
                due_ms=None if due_ms is None else due_ms + ahead_ms,
                closed=delivery.endpoint.webhook_id in settled.closed,
            )
        for state, count in settled.states.items():
            self._metrics.settled.labels(state).inc(count)
        if settled.announced:
            self._announced()
        self._fill_slots()
        if settled.due_ms or self._scheduler.has_work:
            self._work.set()

    async def _poll_loop(self) -> None:
        while True:
            try:
                await self._poll()
            except Exception as error:  # noqa: BLE001 - a task's top
                _log_failure("delivery.poll_failed", error)
            await asyncio.sleep(self._poll_s)

    async def _backlog_loop(self) -> None:
        while True:
            try:
                await settle_stranded(self._store, self._clock, self.wake)
            except Exception as error:  # noqa: BLE001 - a task's top
                _log_failure("delivery.backlogs_failed", error)
            await asyncio.sleep(BACKLOGS_S)

    async def _poll(self) -> None:
        """Look at every endpoint that has pending deliveries: the net below all hints and timers."""
        endpoints = await self._store.read(waiting_endpoints)
        now_ms, wall_ms = self._now_ms(), self._clock.now_ms()
        oldest_ms = wall_ms
        for webhook_id, first_ms, again_ms in endpoints:
            due = [at_ms for at_ms in (first_ms, again_ms) if at_ms is not None]
            oldest_ms = min(oldest_ms, *due)
            first, again = (at_ms is not None and at_ms <= wall_ms for at_ms in (first_ms, again_ms))
            if first or again:
                self._scheduler.wake(webhook_id, now_ms, first=first, again=again)
            for at_ms in due:
                if at_ms > wall_ms:
                    self._scheduler.wake_at(webhook_id, at_ms - wall_ms + now_ms, now_ms)
        self._scheduler.give_back_stale(now_ms)
        self._metrics.oldest_due_age.set((wall_ms - oldest_ms) / 1_000)
        self._metrics.open_breakers.set(self._scheduler.open_breakers)
        self._metrics.in_flight.labels("fast").set(self._scheduler.fast_used)
        self._metrics.in_flight.labels("slow").set(self._scheduler.slow_used)
        self._work.set()

    def _now_ms(self) -> int:
        return int(self._clock.monotonic_s() * 1_000)


def _attempt(
    delivery: ClaimedDelivery, result: AttemptResult | None, *, at_ms: int, duration_ms: int
) -> Attempt:
    status = result.status if result else None
    error = "" if status is not None else ERROR_INTERNAL
    response = ""
    if result is not None:
        error = result.error_class.value if result.error_class else ""
        delivered = status is not None and 200 <= status <= 299
        response = result.response_snippet[: RESPONSE_CHARACTERS_DELIVERED_MAX if delivered else None]
    return Attempt(
        delivery_id=delivery.delivery_id,
        webhook_id=delivery.endpoint.webhook_id,
        ordered=delivery.endpoint.ordered,
        at_ms=at_ms,
        duration_ms=duration_ms,
        status=status,
        error=error,
        response=response,
        control=result.control if result else None,
        retry_after_s=result.retry_after_s if result else None,
    )


def _log_failure(name: str, error: BaseException, **fields: object) -> None:
    if isinstance(error, InfiniReachError):
        log.warning(name, reason=error.reason, detail=error.message, **fields)
    else:
        log.error(name, exc_info=error, **fields)
