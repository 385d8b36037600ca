"""A dispatcher on a real store, with drivers whose sessions are fakes."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from sqlalchemy.orm import Session

from core.driver_sessions import OpenedSession
from core.sessions.dispatcher import Dispatcher
from core.sessions.registry import Registry
from core.store.engine import Store
from core.store.rows import DeviceRow
from tests.core_fixtures import (
    LEASE_MS,
    NOW_MS,
    TTL_MS,
    accept_one,
    hello,
    message_of,
    offered_device,
    open_session,
)
from tests.fakes.driver_stream import FakeSession
from tests.fakes.set_clock import SetClock

NEVER_S = 3600.0
POLL_S = 0.01


def number(device: int) -> str:
    return f"+1555000{device:04d}"


class World:
    """A store, a registry, and drivers whose sessions are fakes."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.registry = Registry()
        self.clock = SetClock()
        self.dispatcher = Dispatcher(store, self.registry, self.clock, NEVER_S)

    @contextlib.asynccontextmanager
    async def running(self, poll_s: float = NEVER_S) -> AsyncGenerator[Dispatcher]:
        """The dispatcher at work."""
        self.dispatcher = Dispatcher(self.store, self.registry, self.clock, poll_s)
        task = asyncio.create_task(self.dispatcher.run())
        try:
            yield self.dispatcher
            assert not task.done(), "the dispatcher ended"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def open(self, name: str = "driver-1", devices: int = 1, first: int = 1) -> OpenedSession:
        """Open a session of a driver in the database."""
        offered = [
            offered_device(f"modem-{n}", number(n), window=1000) for n in range(first, first + devices)
        ]
        return await self.store.run(open_session, hello(*offered, driver_name=name), NOW_MS, LEASE_MS)

    async def connect(
        self, name: str = "driver-1", *, free: int = 3, devices: int = 1, first: int = 1
    ) -> FakeSession:
        """A live session of a driver."""
        opened = await self.open(name, devices, first)
        session = FakeSession(opened.driver_id, opened.epoch, dict.fromkeys(opened.keys, free))
        self.registry.add(session)
        return session

    async def accept(self, count: int = 1, device: int = 1) -> list[str]:
        """Accept messages for a device without a hint."""
        return [
            await self.store.run(lambda session: accept_one(session, sender=number(device), ttl_ms=TTL_MS))
            for _ in range(count)
        ]

    async def enable(self, device_id: str, enabled: bool) -> None:
        """Have a device give its messages to its driver, or not."""

        def change(database: Session) -> None:
            database.get_one(DeviceRow, device_id).enabled = enabled

        await self.store.run(change)

    async def state(self, message_id: str) -> str:
        """Where a message stands."""
        return await self.store.read(lambda session: message_of(session, message_id).state)
