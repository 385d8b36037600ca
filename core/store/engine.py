"""The store: what every database does for the core, whichever it is.

Owns what a transaction is. A transaction is a plain synchronous function
`fn(session, *args)`; nothing can be awaited inside one, and it may be run more than once until it is committed once.
Knows no table.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from core.errors import Unavailable

Args = TypeVarTuple("Args")
Result = TypeVar("Result")

JOBS_WAITING_MAX = 4096
"""Transactions that may wait to write, and as many to read; past it the core answers UNAVAILABLE."""


class Store(ABC):
    """Runs transactions on one database. Safe to use from one event loop; close it when done."""

    waiting_max = JOBS_WAITING_MAX

    @abstractmethod
    async def run(self, function: Callable[[Session, *Args], Result], *args: *Args) -> Result:
        """Run `function(session, *args)` in a write transaction and answer its result once that is durable.

        Its exception rolls its own work back and is raised here. Raises Unavailable if the database cannot commit
        or too many transactions wait, nothing was changed then; OutcomeUnknown if the database went away in the
        middle of the commit and did not say in time what became of it.
        """

    @abstractmethod
    async def read(self, function: Callable[[Session, *Args], Result], *args: *Args) -> Result:
        """Run `function(session, *args)` on a snapshot; it must not write.

        Raises Unavailable if the database cannot be read or too many reads wait.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish the transactions that wait and close every connection."""


class Readers:
    """Threads for read transactions, and a bound on how many of these wait: strangers can cause them."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="store-read")
        self._waiting = 0

    async def run(self, waiting_max: int, work: Callable[[*Args], Result], *args: *Args) -> Result:
        """Run `work(*args)` in a thread. Raises Unavailable if `waiting_max` others wait."""
        if self._waiting >= waiting_max:
            raise too_much()
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Finish what waits."""
        self._threads.shutdown()


def too_much() -> Unavailable:
    """What a transaction is told that may not wait."""
    return Unavailable("The database has too much waiting; try again shortly.")


def session_on(connection: Connection) -> Session:
    """A session in the transaction that `connection` has begun."""
    # A flush that fails rolls the innermost transaction back: the job's savepoint, never what the others did.
    return Session(connection, expire_on_commit=False, autoflush=False, join_transaction_mode="rollback_only")
