"""Brings a database to the schema of this version, while processes of this and of the version before use it.

Owns where the migrations lie, that only one process runs them at a time, and which schemas this version can work
with (docs/adr/0012). SQLite takes all of them in one transaction; PostgreSQL takes each in its own and never waits long
for a lock, since everybody else would wait behind. There is no way back but a backup: migrations have no downgrade.
Alembic is loaded only when there is something to do.
"""

import fcntl
import os
import re
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, event, inspect, make_url, text
from sqlalchemy.exc import DBAPIError

from core.errors import InfiniReachError, Unavailable
from core.store.databases import make_engine

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"

_ADVISORY_LOCK = 0x1F1_4EAC
"""PostgreSQL's lock of everyone who migrates; any number that nobody else uses."""

OTHERS_S = 600.0
"""How long to wait for another process that migrates."""

LOCK_TIMEOUT_MS = 2_000
"""How long a change of a table waits for those who use it, and with it everybody who comes after."""

LOCK_ATTEMPTS_MAX = 30
PAUSE_S = 1.0

_LOCK_LOST = frozenset({"55P03", "40P01"})
"""A lock that was not to be had in time, a deadlock."""

_PHASE = re.compile(r'^phase = "(expand|contract)"$', re.MULTILINE)


class SchemaTooNew(InfiniReachError):
    """The database was written by a newer version of Infini Reach; start that version or restore a backup."""

    status = "FAILED_PRECONDITION"
    reason = "SCHEMA_TOO_NEW"


class SchemaTooOld(InfiniReachError):
    """The database has not the schema that this version needs; run: infinireach migrate"""

    status = "FAILED_PRECONDITION"
    reason = "SCHEMA_TOO_OLD"


def configuration(connection: Connection) -> "Config":
    """Alembic's configuration for a migration on this connection; there is no file for it."""
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def revisions() -> list[str]:
    """All revisions, oldest first; files are named `<revision>_<what>.py`."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def head() -> str:
    """The newest revision that this version knows."""
    return revisions()[-1]


def needed() -> str:
    """The oldest revision that this version works with: the last one that adds something."""
    return [revision for revision, is_contract in _phases() if not is_contract][-1]


def _phases() -> list[tuple[str, bool]]:
    """Every revision and whether it takes something away, read without Alembic; the first one adds everything."""
    found = []
    for path in sorted((MIGRATIONS / "versions").glob("[0-9]*.py")):
        phase = _PHASE.search(path.read_text(encoding="utf-8"))
        found.append((path.name.partition("_")[0], bool(phase and phase[1] == "contract")))
    return found


def _reachable(before: str, *, contract: bool) -> str:
    """How far a migration goes: without `contract`, up to the next revision that takes something away."""
    target = before
    for revision, is_contract in _phases():
        if revision > before:
            if is_contract and before and not contract:
                break
            target = revision
    return target


def migrate(url: str, *, contract: bool = False) -> str:
    """Bring the database on and answer the revision it had before, "" for an empty one.

    Without `contract` it only adds, and processes of an older version go on working; a database that was empty gets
    everything. Safe to run from several processes at once and on a database that is current already. Raises
    SchemaTooNew; Unavailable if another process migrates for too long or a lock cannot be had.
    """
    with _alone(url), _connection(url, immediate=True) as connection:
        if connection.dialect.name == "sqlite":
            with connection.begin():
                return _bring_on(connection, contract=contract)
        with _locked(connection):
            return _bring_on(connection, contract=contract)


def _bring_on(connection: Connection, *, contract: bool) -> str:
    before = _revision(connection)
    if before and before not in revisions():
        _check_fits(connection, before)
        return before
    target = _reachable(before, contract=contract)
    if before != target:
        _upgrade(connection, target)
        _check_references(connection)
    return before


def current(url: str) -> str:
    """The revision of the database; "" if it is empty. Changes nothing and makes no file."""
    file = _file(url)
    if file and not file.exists():
        return ""
    with _connection(url, immediate=False) as connection:
        return _revision(connection)


def is_current(url: str) -> bool:
    """Whether this version can work with the database."""
    try:
        check(url)
    except (SchemaTooOld, SchemaTooNew):
        return False
    return True


def check(url: str) -> None:
    """Make sure that this version can work with the database; changes nothing, makes no file.

    A newer schema will do as long as nothing was taken away that this version uses. Raises SchemaTooOld, SchemaTooNew.
    """
    file = _file(url)
    if file and not file.exists():
        raise SchemaTooOld
    with _connection(url, immediate=False) as connection:
        _check_fits(connection, _revision(connection))


def _check_fits(connection: Connection, revision: str) -> None:
    if revision in revisions():
        if revision < needed():
            raise SchemaTooOld
    elif not revision:
        raise SchemaTooOld
    elif not inspect(connection).has_table("contraction") or _floor(connection) > head():
        raise SchemaTooNew


def _floor(connection: Connection) -> str:
    """The revision that a version must know to work with this database."""
    return connection.execute(text("SELECT max(needs) FROM contraction")).scalar() or ""


def _file(url: str) -> Path | None:
    database = make_url(url)
    return Path(database.database or "") if database.get_backend_name() == "sqlite" else None


@contextmanager
def _alone(url: str) -> Generator[None]:
    """Hold SQLite's folder: the very first connection turns a file to WAL, and others must not wait in it then.

    A new file is its owner's only, as it will hold messages; SQLite gives the files beside it the same mode.
    """
    file = _file(url)
    if file is None:
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        os.close(os.open(file, os.O_RDONLY | os.O_CREAT, 0o600))
        yield
    finally:
        os.close(folder)


@contextmanager
def _connection(url: str, *, immediate: bool) -> Generator[Connection]:
    engine = make_engine(url, immediate=immediate)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _suspend_references)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _suspend_references(connection: sqlite3.Connection, _record: object) -> None:
    """SQLite alters a table by copying it, and dropping the old one would take the rows that refer to it along."""
    connection.execute("PRAGMA foreign_keys=OFF")


def _check_references(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        assert not broken, f"the migration left references without a row: {broken[:5]}"


@contextmanager
def _locked(connection: Connection) -> Generator[None]:
    """Hold PostgreSQL's lock of those who migrate, over all transactions of this connection.

    Whoever waits asks again and again: a statement that waits would itself be waited for by CREATE INDEX CONCURRENTLY.
    """
    deadline_s = time.monotonic() + OTHERS_S
    key = {"key": _ADVISORY_LOCK}
    while not _alone_now(connection, "SELECT pg_try_advisory_lock(:key)", key):
        if time.monotonic() > deadline_s:
            raise Unavailable("Another process has been migrating this database for too long.")
        time.sleep(PAUSE_S / 10)
    try:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text(f"SET lock_timeout = {LOCK_TIMEOUT_MS}"))
        connection.commit()
        yield
    finally:
        connection.rollback()
        _alone_now(connection, "SELECT pg_advisory_unlock(:key)", key)


def _alone_now(connection: Connection, statement: str, parameters: dict[str, int]) -> bool:
    answer = connection.execute(text(statement), parameters).scalar_one()
    connection.commit()
    return answer


def _upgrade(connection: Connection, target: str) -> None:
    """Run the migrations up to `target`; on PostgreSQL one that does not get its locks is tried again."""
    from alembic import command  # noqa: PLC0415 - see above

    if connection.dialect.name == "sqlite":
        command.upgrade(configuration(connection), target)
        return
    for _ in range(LOCK_ATTEMPTS_MAX):
        connection.rollback()  # what reading the revision began; Alembic begins its own
        try:
            command.upgrade(configuration(connection), target)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") not in _LOCK_LOST:
                raise
            time.sleep(PAUSE_S)
        else:
            connection.commit()
            return
    raise Unavailable("The tables are in use without a pause; try again when there is less to do.")


def _revision(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""
