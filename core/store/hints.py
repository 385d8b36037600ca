"""Hints between the cores on one PostgreSQL: which devices have something queued.

Owns the channel. A device's driver is connected to one core; a message for it may be accepted by another, which tells
it so with NOTIFY. A hint that is lost costs a poll interval, never a message: nothing here is repeated or stored.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import psycopg
import structlog
from sqlalchemy import make_url, text
from sqlalchemy.orm import Session

from core.errors import InfiniReachError
from core.store.engine import Store
from core.store.postgresql import CONNECTION_SETTINGS

log = structlog.get_logger()

OnHint = Callable[[Iterable[str]], None]

CHANNEL = "infinireach_queued"

GATHER_S = 0.01
"""Hints that come within it go together; a busy core tells a hundred times a second at most."""

DEVICES_PER_NOTE = 200
"""PostgreSQL takes 8000 bytes; a device's id has 36."""

DEVICES_WAITING_MAX = 10_000
"""Further ones are left to the poll."""

RETRY_S = 1.0

_notify = text("SELECT pg_notify(:channel, :devices)")


class DeviceHints:
    """Tells the other cores and hears them."""

    def __init__(self, store: Store, url: str) -> None:
        self._store = store
        self._url = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._waiting: dict[str, None] = {}
        self._wake = asyncio.Event()

    def tell(self, device_ids: Iterable[str]) -> None:
        """These devices have something queued, and are not connected to this core."""
        for device_id in device_ids:
            if len(self._waiting) < DEVICES_WAITING_MAX:
                self._waiting[device_id] = None
        if self._waiting:
            self._wake.set()

    async def run(self, on_hint: OnHint) -> None:
        """Tell and hear for ever; the owner cancels it. `on_hint` gets device ids, those told from here too."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell(), name="hints-tell")
            group.create_task(self._hear(on_hint), name="hints-hear")

    async def _tell(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(GATHER_S)
            while self._waiting:
                devices = list(islice(self._waiting, DEVICES_PER_NOTE))
                for device_id in devices:
                    del self._waiting[device_id]
                try:
                    await self._store.run(_note, devices)
                except InfiniReachError as error:
                    log.warning("hints.not_told", detail=error.message)
                    await asyncio.sleep(RETRY_S)

    async def _hear(self, on_hint: OnHint) -> None:
        while True:
            try:
                await self._listen(on_hint)
            except psycopg.Error as error:
                log.warning("hints.not_heard", error=type(error).__name__)
            await asyncio.sleep(RETRY_S)

    async def _listen(self, on_hint: OnHint) -> None:
        async with await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, **CONNECTION_SETTINGS
        ) as connection:
            await connection.execute(f"LISTEN {CHANNEL}".encode())
            async for note in connection.notifies():
                on_hint(note.payload.split(","))


def _note(session: Session, device_ids: Sequence[str]) -> None:
    session.execute(_notify, {"channel": CHANNEL, "devices": ",".join(device_ids)})
