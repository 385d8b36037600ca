"""Which database a URL means. Raises Unavailable for one that is not supported."""

from sqlalchemy import Engine, make_url

from core.errors import Unavailable
from core.store.engine import Store
from core.store.postgresql import PostgresqlStore, postgresql_engine
from core.store.sqlite import SqliteStore, sqlite_engine


def open_store(url: str) -> Store:
    """The store on a database. Raises Unavailable."""
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            return SqliteStore(parsed)
        case "postgresql":
            return PostgresqlStore(parsed)
        case other:
            raise Unavailable(_unsupported(other))


def make_engine(url: str, *, immediate: bool) -> Engine:
    """An engine for `url`, without a store. `immediate`: SQLite takes its write lock as a transaction begins.

    Raises Unavailable.
    """
    parsed = make_url(url)
    match parsed.get_backend_name():
        case "sqlite":
            return sqlite_engine(parsed, immediate=immediate)
        case "postgresql":
            return postgresql_engine(parsed, connections=1)
        case other:
            raise Unavailable(_unsupported(other))


def _unsupported(backend: str) -> str:
    return f"A {backend} database is not supported; use sqlite:///path or postgresql://user@host/name."
