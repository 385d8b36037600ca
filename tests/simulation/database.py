"""The core's database in a simulated world: real SQLite, in memory, and a store that commits when the world says so.

Owns the order of commits. What is committed survives everything, what is not is lost with its process. Every
transaction that changes something is shown to an observer before it is committed.
"""

import asyncio
import functools
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, TypeVarTuple

from sqlalchemy import Connection, Transaction
from sqlalchemy.orm import Session

from core.errors import Unavailable
from core.store.databases import make_engine
from core.store.engine import Store
from core.store.rows import SCHEMA
from tests.fakes.database import add_tenants
from tests.simulation.virtual_time import TIE_S, Process

Args = TypeVarTuple("Args")
Result = TypeVar("Result")


@dataclass(slots=True)
class Job:
    """One transaction that waits, and what became of it."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    future: asyncio.Future[Any]
    asked_at_s: float
    result: Any = None
    error: Exception | None = None


class Observer(Protocol):
    """Who looks at every transaction that changed something."""

    def changed(self, job: Job) -> None:
        """`job` has run; its changes can be seen and are about to be committed."""
        ...

    def failed(self, job: Job) -> None:
        """`job` raised an error and changed nothing."""
        ...


@functools.cache
def _connection() -> tuple[Connection, sqlite3.Connection]:
    """One connection for all worlds of this process: statements are compiled once."""
    connection = make_engine("sqlite://", immediate=True).connect()
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return connection, raw


@functools.cache
def _new_database() -> bytes:
    connection, raw = _connection()
    with connection.begin(), Session(connection) as session:
        SCHEMA.create_all(connection)
        add_tenants(session)
    return raw.serialize()


class Database:
    """What is committed. One world at a time."""

    def __init__(self) -> None:
        image = _new_database()
        self._connection, self._raw = _connection()
        self._raw.deserialize(image)
        self.observer: Observer | None = None

    def query(self, sql: str, *values: Any) -> list[Any]:
        """Rows of a plain SELECT."""
        return self._raw.execute(sql, values).fetchall()

    def commit(self, jobs: Sequence[Job]) -> None:
        """Run the jobs in one transaction; one that fails leaves the others alone."""
        transaction = self._connection.begin()
        for job in jobs:
            self._run(job, self._connection.begin_nested() if len(jobs) > 1 else transaction)
        if transaction.is_active:
            transaction.commit()

    def _run(self, job: Job, transaction: Transaction) -> None:
        changes = self._raw.total_changes
        try:
            with self._session() as session:
                job.result = job.function(session, *job.args)
                session.flush()
        except Exception as error:  # noqa: BLE001 - whatever it is, its caller gets it
            job.error = error
            if transaction.is_active:
                transaction.rollback()
            if self.observer is not None:
                self.observer.failed(job)
            return
        if self._raw.total_changes != changes and self.observer is not None:
            self.observer.changed(job)
        if transaction.is_active:
            transaction.commit()

    def read(self, function: Callable[..., Result], args: tuple[Any, ...]) -> Result:
        """Run a function that only reads."""
        with self._connection.begin(), self._session() as session:
            return function(session, *args)

    def _session(self) -> Session:
        return Session(
            self._connection, expire_on_commit=False, autoflush=False, join_transaction_mode="rollback_only"
        )


class StoreConditions(Protocol):
    """What the world does to a store."""

    def commit_delay_s(self, process: Process) -> float:
        """How long until waiting jobs are committed, or a read sees the database."""
        ...

    def answer_delay_s(self) -> float:
        """How long until the process learns of it."""
        ...

    def jobs_per_commit(self) -> int:
        """How many waiting jobs are committed together, at most."""
        ...

    def is_disk_full(self) -> bool:
        """Whether nothing can be committed now."""
        ...

    def crashes(self, process: Process, point: str) -> bool:
        """Kills the process here if the seed says so; True if it did."""
        ...


class SimulatedStore(Store):
    """The store of one core process. Same contract as the real one, without threads."""

    def __init__(self, database: Database, process: Process, conditions: StoreConditions) -> None:
        self._database = database
        self._process = process
        self._conditions = conditions
        self._jobs: deque[Job] = deque()
        self._is_committing = False
        self._answered_at_s = 0.0

    async def run(self, function: Callable[[Session, *Args], Result], *args: *Args) -> Result:
        """See Store.run."""
        loop = self._living_loop()
        job = Job(function, args, loop.create_future(), loop.time())
        self._jobs.append(job)
        if not self._is_committing:
            self._is_committing = True
            loop.call_later(self._conditions.commit_delay_s(self._process), self._commit)
        return await job.future

    async def read(self, function: Callable[[Session, *Args], Result], *args: *Args) -> Result:
        """See Store.read."""
        self._living_loop()
        await asyncio.sleep(self._conditions.commit_delay_s(self._process))
        self._living_loop()
        result = self._database.read(function, args)
        await asyncio.sleep(self._conditions.answer_delay_s())
        return result

    def close(self) -> None:
        """There is nothing to close."""

    def _living_loop(self) -> asyncio.AbstractEventLoop:
        if not self._process.is_alive:
            raise asyncio.CancelledError
        return asyncio.get_running_loop()

    def _commit(self) -> None:
        conditions = self._conditions
        if not self._process.is_alive or conditions.crashes(self._process, "before commit"):
            return
        count = min(len(self._jobs), conditions.jobs_per_commit())
        jobs = [self._jobs.popleft() for _ in range(count)]
        if conditions.is_disk_full():
            for job in jobs:
                job.error = Unavailable("The database cannot commit: disk full")
        else:
            self._database.commit(jobs)
        if conditions.crashes(self._process, "after commit"):
            return
        loop = asyncio.get_running_loop()
        self._answered_at_s = max(self._answered_at_s + TIE_S, loop.time() + conditions.answer_delay_s())
        loop.call_at(self._answered_at_s, self._answer, jobs)
        self._is_committing = bool(self._jobs)
        if self._jobs:
            loop.call_later(conditions.commit_delay_s(self._process), self._commit)

    def _answer(self, jobs: list[Job]) -> None:
        if not self._process.is_alive:
            return
        for job in jobs:
            if job.future.done():
                continue
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(in_order(job.result))


def in_order(result: Any) -> Any:
    """A result whose sets have an order of their own, so that a world can be repeated."""
    if isinstance(result, set):
        return dict.fromkeys(sorted(result))
    superseded = getattr(result, "superseded", None)
    if isinstance(superseded, set):
        object.__setattr__(result, "superseded", dict.fromkeys(sorted(superseded)))
    return result
