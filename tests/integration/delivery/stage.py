"""What the tests of whole deliverers share: a database, a clock that they set, deliverers, and ways to wait.

Nothing here sleeps: waiting is asking the database again until it says what was waited for.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy.orm import Session

from core.clock import Clock
from core.delivery.claims import Endpoint
from core.delivery.deliverer import Deliverer, Sender
from core.delivery.metrics import DeliveryMetrics
from core.delivery.scheduler import Limits
from core.store.engine import Store
from tests.fakes import delivery_rows
from tests.fakes.set_clock import SetClock
from tests.fakes.webhook_receiver import Behaviour, Connection, ReceivedRequest, Reply

WAIT_S_MAX = 10.0
POLL_S = 0.02


def secrets_as_stored(endpoint: Endpoint) -> list[str]:
    """The secrets of endpoints whose secret was stored as it is."""
    return [endpoint.secret.decode()]


class Stage:
    """One database with its clock, and the deliverers that work on it."""

    def __init__(self, store: Store, sender: Sender) -> None:
        self.store = store
        self.sender = sender
        self.clock = SetClock()
        self.announced = 0

    def deliverer(
        self,
        *,
        slots: int = 16,
        poll_s: float = POLL_S,
        sender: Sender | None = None,
        clock: Clock | None = None,
        store: Any = None,
        open_secrets: Callable[[Endpoint], list[str]] = secrets_as_stored,
        registry: CollectorRegistry | None = None,
    ) -> Deliverer:
        """A deliverer that finds work by polling unless it is told of it."""

        def announce() -> None:
            self.announced += 1

        return Deliverer(
            store or self.store,
            sender or self.sender,
            open_secrets=open_secrets,
            clock=clock or self.clock,
            limits=Limits(slots=slots, per_endpoint=4),
            poll_s=poll_s,
            metrics=DeliveryMetrics(registry or CollectorRegistry()),
            announced=announce,
        )

    @contextlib.asynccontextmanager
    async def delivering(self, deliverer: Deliverer | None = None) -> AsyncGenerator[Deliverer]:
        """A deliverer at work; at the end it is stopped without grace."""
        running = deliverer or self.deliverer()
        task = asyncio.create_task(running.run(), name="deliverer")
        try:
            yield running
        finally:
            await running.stop(0.0)
            await task

    async def add_webhook(self, **values: Any) -> str:
        """An endpoint."""
        return await self.store.run(lambda session: delivery_rows.add_webhook(session, **values))

    async def add_deliveries(self, count: int = 1, **values: Any) -> list[str]:
        """Fanned-out events, each about a message of its own; answers their ids."""
        now_ms = self.clock.now_ms()
        return await self.store.run(lambda s: delivery_rows.add_deliveries(s, now_ms, count, **values))

    async def deliveries(self, **where: Any) -> list[Any]:
        """The deliveries that have these values, oldest first."""
        return await self.store.read(lambda session: delivery_rows.deliveries(session, **where))

    async def attempts(self, delivery_id: str) -> list[Any]:
        """The attempts of a delivery."""
        return await self.store.read(delivery_rows.attempts, delivery_id)

    async def webhook(self, webhook_id: str) -> Any:
        """An endpoint's row."""
        return await self.store.read(delivery_rows.webhook, webhook_id)

    async def change(self, function: Callable[..., Any], *args: Any, **values: Any) -> Any:
        """Run one of the writers of `delivery_rows`."""
        return await self.store.run(lambda session: function(session, *args, **values))

    async def until(self, condition: Callable[[Session], Any]) -> Any:
        """Wait until the database has what `condition` looks for; answers what it found."""
        return await until(lambda: self.store.read(condition))

    async def until_states(self, **counts: int) -> None:
        """Wait until so many deliveries are in each of these states and none in another."""
        states = "SELECT state, count(*) FROM delivery GROUP BY state"
        await self.until(lambda s: dict(s.connection().exec_driver_sql(states).all()) == counts)


async def until(look: Callable[[], Awaitable[Any]]) -> Any:
    """Look again and again until there is something; fails after 10 s."""
    async with asyncio.timeout(WAIT_S_MAX):
        while not (found := await look()):  # noqa: ASYNC110 - there is nothing that would tell
            await asyncio.sleep(0)
    return found


def by_path(**behaviours: Behaviour) -> Behaviour:
    """Behave as told for the first part of a request's path; elsewhere answer 200."""

    async def behave(request: ReceivedRequest, connection: Connection) -> None:
        await behaviours.get(request.path.strip("/").partition("/")[0], Reply())(request, connection)

    return behave


class Gate:
    """A behaviour that answers only once it is opened."""

    def __init__(self, reply: Behaviour | None = None) -> None:
        self.waiting = 0
        self._open = asyncio.Event()
        self._reply = reply or Reply()

    def open(self) -> None:
        """Answer all that wait and all that come."""
        self._open.set()

    async def __call__(self, request: ReceivedRequest, connection: Connection) -> None:
        """Wait, then answer."""
        self.waiting += 1
        await self._open.wait()
        await self._reply(request, connection)
