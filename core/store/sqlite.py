"""The database of a single machine: SQLite, one writer thread, group commit.

Owns that SQLite keeps every promise of core.store.engine.Store. Knows no table.

The writer takes every job that waits, runs each in a savepoint of one transaction and commits once: one fsync for
all of them, and each job still fails alone.
"""

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from core.errors import Unavailable
from core.store.engine import Readers, Store, session_on, too_much

Args = TypeVarTuple("Args")
Result = TypeVar("Result")

JOBS_PER_COMMIT_MAX = 64
"""Transactions joined in one commit; bounds how long the first of them waits for the last."""

BUSY_TIMEOUT_S = 10.0
"""How long to wait for another process that writes to the same SQLite file."""

READER_THREADS = 4
"""Threads for read transactions; in WAL mode they do not wait for the writer."""

WAL_PAGES = 4000
"""Pages of 4 KiB in the write-ahead log before a checkpoint: 16 MB."""


@dataclass(slots=True)
class _Job:
    function: Callable[..., Any]
    args: tuple[Any, ...]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = field(default=None)
    error: BaseException | None = field(default=None)


def _tune_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the begin event below says BEGIN itself
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # an answer that says accepted survives a power cut
        "foreign_keys=ON",
        f"wal_autocheckpoint={WAL_PAGES}",
        "journal_size_limit=67108864",
        "temp_store=MEMORY",
        "cache_size=-65536",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def sqlite_engine(url: URL, *, immediate: bool) -> Engine:
    """An engine for a file. `immediate`: transactions take SQLite's write lock at their start."""
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False}
    )
    event.listen(engine, "connect", _tune_sqlite)
    begin = "BEGIN IMMEDIATE" if immediate else "BEGIN"
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


class SqliteStore(Store):
    """A store on one file."""

    def __init__(self, url: URL) -> None:
        self._writer_engine = sqlite_engine(url, immediate=True)
        self._reader_engine = sqlite_engine(url, immediate=False)
        self._readers = Readers(READER_THREADS)
        self._waiting: deque[_Job] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._writer = threading.Thread(target=self._write_loop, name="store-write", daemon=True)
        self._writer.start()

    async def run(self, function: Callable[[Session, *Args], Result], *args: *Args) -> Result:
        """See Store.run."""
        loop = asyncio.get_running_loop()
        job = _Job(function, args, loop, loop.create_future())
        with self._wake:
            if self._closing or len(self._waiting) >= self.waiting_max:
                raise too_much()
            self._waiting.append(job)
            self._wake.notify()
        return await job.future

    async def read(self, function: Callable[[Session, *Args], Result], *args: *Args) -> Result:
        """See Store.read."""
        return await self._readers.run(self.waiting_max, self._read, function, args)

    def _read(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        try:
            with self._reader_engine.connect() as connection, session_on(connection) as session:
                return function(session, *args)
        except OperationalError as error:
            if _is_mistake(error):
                raise
            raise Unavailable(f"The database cannot be read: {error.orig}") from error

    def close(self) -> None:
        """See Store.close."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._writer.join()
        self._readers.close()
        self._writer_engine.dispose()
        self._reader_engine.dispose()

    def _write_loop(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._closing:
                    self._wake.wait()
                if not self._waiting:
                    return
                jobs = [self._waiting.popleft() for _ in range(min(len(self._waiting), JOBS_PER_COMMIT_MAX))]
            self._commit_together(jobs)
            by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
            for job in jobs:
                by_loop.setdefault(job.loop, []).append(job)
            for loop, done in by_loop.items():
                if not loop.is_closed():
                    loop.call_soon_threadsafe(_settle, done)

    def _commit_together(self, jobs: list[_Job]) -> None:
        try:
            with self._writer_engine.connect() as connection, connection.begin():
                if len(jobs) == 1:
                    _run(connection, jobs[0])
                else:
                    for job in jobs:
                        _run_in_savepoint(connection, job)
        except OperationalError as error:
            _fail_all(
                jobs,
                error if _is_mistake(error) else Unavailable(f"The database cannot commit: {error.orig}"),
            )
        except Exception as error:  # noqa: BLE001 - the writer must outlive whatever one batch met
            _fail_all(jobs, error)


def _run(connection: Connection, job: _Job) -> None:
    with session_on(connection) as session:
        job.result = job.function(session, *job.args)
        session.flush()


def _run_in_savepoint(connection: Connection, job: _Job) -> None:
    savepoint = connection.begin_nested()
    try:
        _run(connection, job)
    except Exception as error:  # the job's own error, raised to whoever waits for it
        if isinstance(error, OperationalError) and not _is_mistake(error):
            raise  # disk full, I/O error, locked: the transaction as a whole is in doubt
        job.error = error
        if savepoint.is_active:  # a failed flush has rolled it back already
            savepoint.rollback()
    else:
        savepoint.commit()


def _is_mistake(error: OperationalError) -> bool:
    """Whether the statement is at fault (wrong SQL, too many variables) and not the database."""
    return getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR


def _fail_all(jobs: list[_Job], error: BaseException) -> None:
    for job in jobs:
        job.error = job.error or error


def _settle(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():  # its caller went away; the work is committed all the same
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
