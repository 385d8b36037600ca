"""Databases of one test, on SQLite or PostgreSQL: one that is forgotten for plain transactions, one for a whole store.

Owns their life and the tenants that most tests need. Which database it is, the fixture `database` says. Knows no use
case.
"""

import atexit
import contextlib
import functools
import tempfile
from collections.abc import Generator
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from core.store.databases import make_engine, open_store
from core.store.engine import Store
from core.store.migrate import migrate
from core.store.rows import SCHEMA, TenantRow
from tests.fakes.postgresql import shared_cluster

TENANT_A = "a" * 24
TENANT_B = "b" * 24
CREATED_MS = 1_700_000_000_000


def add_tenants(session: Session) -> None:
    """Two tenants, A with 100 and B with 200 requests a minute."""
    session.add(TenantRow(id=TENANT_A, name="Tenant A", per_minute=100, created_ms=CREATED_MS))
    session.add(TenantRow(id=TENANT_B, name="Tenant B", per_minute=200, created_ms=CREATED_MS))
    session.flush()


class Database(StrEnum):
    """Where `memory_session` and `file_store` keep their data."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


_chosen = Database.SQLITE


@contextlib.contextmanager
def chosen(database: Database) -> Generator[None]:
    """Have the databases of the block be of this kind."""
    global _chosen  # noqa: PLW0603 - tests run one after the other
    before, _chosen = _chosen, database
    try:
        yield
    finally:
        _chosen = before


@contextlib.contextmanager
def memory_session() -> Generator[Session]:
    """A session on an empty database with both tenants, gone afterwards; it behaves as inside `Store.run`."""
    if _chosen is Database.POSTGRESQL:
        engine = _postgresql_engine()
    else:
        engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    with engine.connect() as connection:
        if _chosen is Database.SQLITE:
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")
            SCHEMA.create_all(connection)
        with Session(connection, expire_on_commit=False, autoflush=False) as session:
            add_tenants(session)
            yield session
    if _chosen is Database.SQLITE:
        engine.dispose()


@functools.cache
def _postgresql_engine() -> Engine:
    """Connections to the PostgreSQL database that tests leave as empty as they find it."""
    engine = make_engine(_postgresql_url(), immediate=False)
    atexit.register(engine.dispose)
    return engine


@functools.cache
def _postgresql_url() -> str:
    url = shared_cluster().create_database("tests")
    migrate(url)
    return url


@contextlib.contextmanager
def _postgresql_store() -> Generator[Store]:
    with _postgresql_engine().begin() as connection:
        add_tenants(Session(connection))
    store = open_store(_postgresql_url())
    try:
        yield store
    finally:
        store.close()
        names = ", ".join(table.name for table in SCHEMA.sorted_tables)
        with _postgresql_engine().begin() as connection:
            connection.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY CASCADE")


@functools.cache
def _new_database() -> bytes:
    """An SQLite file with all tables and both tenants; made once, since that takes longer than a test."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.db"
        engine = make_engine(f"sqlite:///{path}", immediate=True)
        with engine.begin() as connection, Session(connection) as session:
            SCHEMA.create_all(connection)
            add_tenants(session)
        engine.dispose()
        return path.read_bytes()


@contextlib.contextmanager
def file_store(folder: Path) -> Generator[Store]:
    """A store with both tenants; on SQLite its file is `test.db` in `folder`."""
    if _chosen is Database.POSTGRESQL:
        with _postgresql_store() as store:
            yield store
        return
    path = folder / "test.db"
    path.write_bytes(_new_database())
    store = open_store(f"sqlite:///{path}")
    try:
        yield store
    finally:
        store.close()
