"""Brings a database to the schema of this version.

Owns where the migrations lie and that only one process runs them at a time: everything happens in one transaction
that takes the database's lock first. There is no way back but a backup: migrations have no downgrade. Alembic is
loaded only when there is something to do; that a database is current is seen without it.
"""

import fcntl
import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, event, inspect, make_url, text

from core.errors import InfiniReachError
from core.store.databases import make_engine

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"

_ADVISORY_LOCK = 0x1F1_4EAC
"""PostgreSQL's lock of everyone who migrates; any number that nobody else uses."""


class SchemaTooNew(InfiniReachError):
    """The database was written by a newer version of Infini Reach; start that version or restore a backup."""

    status = "FAILED_PRECONDITION"
    reason = "SCHEMA_TOO_NEW"


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
    """The revision that this version works with."""
    return revisions()[-1]


def migrate(url: str) -> str:
    """Bring the database to `head()` and answer the revision it had before, "" for an empty one.

    Safe to run from several processes at once and on a database that is current already. Raises SchemaTooNew.
    """
    with _alone(url), _connection(url, immediate=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        before = _revision(connection)
        _check_known(before)
        if before != head():
            _upgrade(connection)
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
    """Whether the database has the schema of this version."""
    return current(url) == head()


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


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - see above

    command.upgrade(configuration(connection), "head")


def _revision(connection: Connection) -> str:
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or ""


def _check_known(revision: str) -> None:
    if revision and revision not in revisions():
        raise SchemaTooNew
