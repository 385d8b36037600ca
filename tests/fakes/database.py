"""Databases of one test: in memory for plain transactions, in a file for a whole store.

Owns their life and the tenants that most tests need. Knows no use case.
"""

import contextlib
import functools
import tempfile
from collections.abc import Generator
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from core.store.engine import Store, make_engine
from core.store.rows import SCHEMA, TenantRow

TENANT_A = "a" * 24
TENANT_B = "b" * 24
CREATED_MS = 1_700_000_000_000


def add_tenants(session: Session) -> None:
    """Two tenants, A with 100 and B with 200 requests a minute."""
    session.add(TenantRow(id=TENANT_A, name="Tenant A", per_minute=100, created_ms=CREATED_MS))
    session.add(TenantRow(id=TENANT_B, name="Tenant B", per_minute=200, created_ms=CREATED_MS))
    session.flush()


@contextlib.contextmanager
def memory_session() -> Generator[Session]:
    """A session on an empty database in memory with both tenants; it behaves as inside `Store.run`."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        SCHEMA.create_all(connection)
        with Session(connection, expire_on_commit=False, autoflush=False) as session:
            add_tenants(session)
            yield session
    engine.dispose()


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
    """A store on an SQLite file in `folder` with both tenants."""
    path = folder / "test.db"
    path.write_bytes(_new_database())
    store = Store(f"sqlite:///{path}")
    try:
        yield store
    finally:
        store.close()
