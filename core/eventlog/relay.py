"""Publishes what the outbox holds.

Owns the order in which events are published. One relay works at a time, more are harmless. An event is found by its
state (no position yet), never by a cursor over ids: a transaction that commits late would be skipped for good. What
the log has taken is remembered until it has its position; what never gets one, because a log lost it, is sent again.
"""

import asyncio
from collections.abc import Callable, Iterable

import structlog

from core.errors import InfiniReachError
from core.eventlog.lease import RelayLease
from core.eventlog.metrics import RelayMetrics
from core.eventlog.port import EventLog
from core.eventlog.window import Window
from core.events import read_outbox
from core.store.engine import Store

log = structlog.get_logger()

BATCH_MAX = 500
"""Events published in one step."""

POLL_S = 0.5
"""How soon events are noticed of which nothing told, and with how much delay those that a log lost."""

RETRY_S = 1.0
"""Wait after the log or the database refused."""


def _nobody() -> None:
    pass


class Relay:
    """Moves events from the outbox to the log."""

    def __init__(
        self,
        store: Store,
        event_log: EventLog,
        metrics: RelayMetrics,
        *,
        lease: RelayLease | None = None,
        tell_others: Callable[[], None] = _nobody,
    ) -> None:
        """Without a `lease` it works whenever it runs. `tell_others` is called when news are for another's relay."""
        self._store = store
        self._log = event_log
        self._metrics = metrics
        self._lease = lease
        self._tell_others = tell_others
        self._window = Window()
        self._wake = asyncio.Event()
        self._failing = False

    @property
    def events_under_way(self) -> int:
        """Events that the log has taken, and that had no position when it was last looked."""
        return len(self._window)

    def wake(self) -> None:
        """There may be new events; tells the others if the relay works in another process."""
        if self._lease is None or self._lease.is_held:
            self._wake.set()
        else:
            self._tell_others()

    def hear(self, _words: Iterable[str] = ()) -> None:
        """Another process says that there may be new events."""
        self._wake.set()

    async def run(self) -> None:
        """Publish for ever; the owner cancels it."""
        if self._lease is None:
            await self._publish()
        else:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._lease.keep(), name="relay-lease")
                group.create_task(self._publish(), name="relay-publish")

    async def _publish(self) -> None:
        while True:
            try:
                async with asyncio.timeout(POLL_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                while (self._lease is None or self._lease.is_held) and await self._publish_batch():
                    pass
            except InfiniReachError as error:
                if not self._failing:  # said once, however long it lasts
                    self._failing = True
                    log.warning("relay.failed", detail=error.message)
                await asyncio.sleep(RETRY_S)

    async def _publish_batch(self) -> bool:
        """Publish some; whether there may be more at once."""
        now_s = asyncio.get_running_loop().time
        self._metrics.overdue.inc(self._window.let_go(now_s()))
        room = min(BATCH_MAX, self._window.room)
        outbox = await self._store.read(read_outbox, self._window.ids, room)
        self._window.settle(outbox.waiting)
        if outbox.events:
            await self._log.publish(outbox.events)
            self._window.sent([event.id for event in outbox.events], now_s())
            self._metrics.published.inc(len(outbox.events))
        elif room:
            self._window.nothing_overdue()
        self._metrics.in_flight.set(len(self._window))
        if self._failing:
            self._failing = False
            log.info("relay.works_again")
        return bool(outbox.events) or (not room and self._window.room > 0)
