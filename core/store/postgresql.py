"""The database of several machines: PostgreSQL, a few connections, each transaction committed for itself.

Owns that PostgreSQL keeps every promise of core.store.engine.Store: what may be run again is, and a commit whose
answer was lost is looked up. Knows no table.
"""

import asyncio
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar, TypeVarTuple

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from core.errors import OutcomeUnknown, Unavailable
from core.store.engine import Readers, Store, session_on, too_much

Args = TypeVarTuple("Args")
Result = TypeVar("Result")

WRITER_THREADS = 8
"""Write transactions at once. Python runs one at a time anyway; more of them share PostgreSQL's group commit."""

READER_THREADS = 4

ATTEMPTS_MAX = 5
"""How often a transaction is run that lost against another one, or lost its connection before its commit."""

RETRY_S = 0.01
"""Up to so long between two attempts, growing with each."""

FATE_S = 5.0
"""How long to ask what became of a commit."""

ASK_S = 0.05

SERVER_SETTINGS = {
    "synchronous_commit": "on",  # an answer that says accepted survives a power cut
    "statement_timeout": "30s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
}
CONNECT_S = 5
CONNECTION_SETTINGS: dict[str, Any] = {
    "connect_timeout": CONNECT_S,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds; a server that is gone without a word
    "application_name": "infinireach",
}

# SQLSTATE, PostgreSQL's documentation, appendix A.
_LOST_AGAINST_ANOTHER = frozenset({"40001", "40P01", "23505"})
"""Serialization failure, deadlock, unique violation: run again, the transaction sees what the other one wrote."""

_CANNOT_NOW = ("08", "25006", "53", "55P03", "57", "58")
"""No connection, read-only, no resources, a lock or a statement took too long, shutting down, a disk's error."""

_MARK = "SELECT pg_current_xact_id()::text"
_SERVER_START = "extract(epoch FROM pg_postmaster_start_time())::text"  # the same in every time zone
_SERVER_START_KEY = "server_start"
_FATE = f"SELECT pg_xact_status(%(xid)s::xid8), {_SERVER_START}"
_BEGINNING = f"SELECT {_SERVER_START}, " + ", ".join(
    f"set_config('{name}', '{value}', false)" for name, value in SERVER_SETTINGS.items()
)
"""What a connection says first, on one way. Not parameters of the connection: poolers refuse those, or drop them."""


def postgresql_engine(url: URL, *, connections: int) -> Engine:
    """An engine with so many connections; they are opened when they are first needed."""
    # A parameter may be a number or a text, which no log line may hold: errors do not quote them.
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        hide_parameters=True,
        connect_args=CONNECTION_SETTINGS,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=CONNECT_S,
        pool_use_lifo=True,
    )
    event.listen(engine, "connect", _begin)
    return engine


@dataclass(frozen=True, slots=True)
class _Mark:
    """By what a transaction can be asked for after its connection is gone."""

    xid: str
    server_start: str


class _RunAgain(Exception):
    """The transaction was rolled back through no fault of its own. `instead`: what to raise if it does not help."""

    def __init__(self, instead: Exception) -> None:
        self.instead = instead


class PostgresqlStore(Store):
    """A store on one PostgreSQL database."""

    def __init__(self, url: URL) -> None:
        self._engine = postgresql_engine(url, connections=WRITER_THREADS + READER_THREADS)
        self._reading = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._writers = ThreadPoolExecutor(WRITER_THREADS, thread_name_prefix="store-write")
        self._readers = Readers(READER_THREADS)
        self._waiting = 0
        self._closing = False

    async def run(self, function: Callable[[Session, *Args], Result], *args: *Args) -> Result:
        """See Store.run."""
        if self._closing or self._waiting >= self.waiting_max:
            raise too_much()
        self._waiting += 1
        work = asyncio.get_running_loop().run_in_executor(self._writers, self._write, function, args)
        work.add_done_callback(self._ended)
        return await asyncio.shield(work)  # a caller that goes away takes nothing back

    def _ended(self, work: asyncio.Future[Any]) -> None:
        self._waiting -= 1
        if not work.cancelled():
            work.exception()  # it was raised in whoever waits; nobody may be left

    async def read(self, function: Callable[[Session, *Args], Result], *args: *Args) -> Result:
        """See Store.read."""
        return await self._readers.run(self.waiting_max, self._read, function, args)

    def close(self) -> None:
        """See Store.close."""
        self._closing = True
        self._writers.shutdown()
        self._readers.close()
        self._engine.dispose()

    def _write(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        return _again_and_again(lambda: self._write_once(function, args))

    def _read(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        return _again_and_again(lambda: self._read_once(function, args))

    def _write_once(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        try:
            with self._engine.connect() as connection:
                transaction = connection.begin()
                mark = _marked(connection)
                with session_on(connection) as session:
                    result = function(session, *args)
                    session.flush()
                try:
                    transaction.commit()
                except DBAPIError as error:
                    if not error.connection_invalidated:
                        raise
                else:
                    return result
        except SQLAlchemyError as error:
            raise _judged(error) from error
        self._await_fate(mark)
        return result

    def _read_once(self, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        try:
            with self._reading.connect() as connection, connection.begin(), session_on(connection) as session:
                return function(session, *args)
        except SQLAlchemyError as error:
            raise _judged(error) from error

    def _await_fate(self, mark: _Mark) -> None:
        """Return if the transaction was committed. Raises _RunAgain if it was not, OutcomeUnknown if nobody tells.

        A server that crashed may have lost the transaction and given its number to another one: after a restart its
        word for "committed" does not count.
        """
        deadline_s = time.monotonic() + FATE_S
        while time.monotonic() < deadline_s:
            try:
                with self._engine.connect() as connection:
                    row = connection.exec_driver_sql(_FATE, {"xid": mark.xid}).one()
            except SQLAlchemyError as error:
                if "in the future" in str(error):  # a crash took even its number
                    raise _RunAgain(Unavailable("The database lost this.")) from error
            else:
                status, server_start = row
                if status == "aborted":
                    raise _RunAgain(Unavailable("The database rolled this back."))
                if status == "committed":
                    if server_start == mark.server_start:
                        return
                    break
            time.sleep(ASK_S)
        raise OutcomeUnknown


def _begin(driver: Any, record: ConnectionPoolEntry) -> None:
    """Set a new connection up, and note when its server started: it does not outlive it."""
    driver.autocommit = True  # no transaction, which would be three ways in place of one
    record.info[_SERVER_START_KEY] = driver.execute(_BEGINNING).fetchone()[0]
    driver.autocommit = False


def _marked(connection: Connection) -> _Mark:
    """The mark of the transaction that has just begun: the first thing that it asks, on one way with its BEGIN."""
    driver: Any = connection.connection.driver_connection
    try:
        with driver.pipeline():
            (xid,) = driver.execute(_MARK).fetchone()
    except psycopg.Error as error:
        if not driver.closed:
            raise DBAPIError(_MARK, None, error) from error
        connection.exec_driver_sql(_MARK)  # fails: the pool learns from it that its connections are gone
        raise
    return _Mark(xid, connection.info[_SERVER_START_KEY])


def _again_and_again(attempt: Callable[[], Result]) -> Result:
    for number in range(1, ATTEMPTS_MAX):
        try:
            return attempt()
        except _RunAgain:
            time.sleep(random.uniform(0, RETRY_S * number))  # noqa: S311 - not all at the same moment
    try:
        return attempt()
    except _RunAgain as again:
        raise again.instead from None


def _judged(error: SQLAlchemyError) -> Exception:
    """What an error means: run it again, not at the moment, or a mistake of ours, which is raised as it is."""
    if isinstance(error, PoolTimeoutError):
        return Unavailable("The database has no free connection.")
    if not isinstance(error, DBAPIError):
        return error
    state = getattr(error.orig, "sqlstate", None) or ""
    if state in _LOST_AGAINST_ANOTHER:
        return _RunAgain(error)
    away = Unavailable(f"The database cannot be used at the moment: {str(error.orig).partition(chr(10))[0]}")
    if error.connection_invalidated:
        return _RunAgain(away)
    return away if state.startswith(_CANNOT_NOW) or not state else error
