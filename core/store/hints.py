"""Hints between the processes on one PostgreSQL: which devices and endpoints have something to be done, new events.

Owns the channels. A device's driver is connected to one core, the relay works in one, deliverers in some; what they
have to do may come from another process, which tells them with NOTIFY. A hint that is lost costs a poll interval, never
a message: nothing here is repeated or stored.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
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


class Subject(StrEnum):
    """What a hint is about; the channel it goes over."""

    QUEUED = "infinireach_queued"
    """Devices that have something queued, by their ids."""
    EVENTS = "infinireach_events"
    """There are new events; it names none."""
    DUE = "infinireach_due"
    """Endpoints that got new deliveries, by their ids."""
    CHANGED = "infinireach_changed"
    """Endpoints that were changed, or of which something was made due again, by their ids."""


GATHER_S = 0.01
"""Hints that come within it go together; a busy core tells a hundred times a second at most."""

WORDS_PER_NOTE = 200
"""PostgreSQL takes 8000 bytes; a device's id has 36."""

WORDS_WAITING_MAX = 10_000
"""Further ones are left to the poll."""

RETRY_S = 1.0

_notify = text("SELECT pg_notify(:channel, :words)")


class Hints:
    """Tells the other processes and hears them."""

    def __init__(self, store: Store, url: str) -> None:
        self._store = store
        self._url = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._waiting: dict[Subject, dict[str, None]] = {subject: {} for subject in Subject}
        self._wake = asyncio.Event()

    def tell_queued(self, device_ids: Iterable[str]) -> None:
        """These devices have something queued, and are not connected to this core."""
        self._tell_soon(Subject.QUEUED, device_ids)

    def tell_events(self) -> None:
        """There are new events, and the relay works elsewhere."""
        self._tell_soon(Subject.EVENTS, ("",))

    def tell_due(self, webhook_ids: Iterable[str]) -> None:
        """These endpoints got new deliveries, and nobody delivers here."""
        self._tell_soon(Subject.DUE, webhook_ids)

    def tell_changed(self, webhook_ids: Iterable[str]) -> None:
        """These endpoints were changed, or something of them was made due again."""
        self._tell_soon(Subject.CHANGED, webhook_ids)

    def _tell_soon(self, subject: Subject, words: Iterable[str]) -> None:
        waiting = self._waiting[subject]
        for word in words:
            if len(waiting) < WORDS_WAITING_MAX:
                waiting[word] = None
        if waiting:
            self._wake.set()

    async def run(self, heard: Mapping[Subject, OnHint]) -> None:
        """Tell and hear for ever; the owner cancels it. What is told from here is heard here too."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell(), name="hints-tell")
            if heard:
                group.create_task(self._hear(heard), name="hints-hear")

    async def _tell(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(GATHER_S)
            for subject, waiting in self._waiting.items():
                while waiting:
                    words = list(islice(waiting, WORDS_PER_NOTE))
                    for word in words:
                        del waiting[word]
                    try:
                        await self._store.run(_note, subject, words)
                    except InfiniReachError as error:
                        log.warning("hints.not_told", detail=error.message)
                        await asyncio.sleep(RETRY_S)

    async def _hear(self, heard: Mapping[Subject, OnHint]) -> None:
        while True:
            try:
                await self._listen(heard)
            except psycopg.Error as error:
                log.warning("hints.not_heard", error=type(error).__name__)
            await asyncio.sleep(RETRY_S)

    async def _listen(self, heard: Mapping[Subject, OnHint]) -> None:
        async with await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, **CONNECTION_SETTINGS
        ) as connection:
            for subject in heard:
                await connection.execute(f"LISTEN {subject}".encode())
            async for note in connection.notifies():
                heard[Subject(note.channel)](note.payload.split(","))


def _note(session: Session, subject: str, words: Sequence[str]) -> None:
    session.execute(_notify, {"channel": subject, "words": ",".join(words)})
