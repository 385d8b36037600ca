"""What migrations do to tables that are in use.

Owns how an index is made, rows are filled in and storage is set without keeping anybody waiting. On SQLite, whose
writers wait for the whole migration anyway, everything is done in its one transaction.
"""

import time

import sqlalchemy as sa
from alembic import op

from core.store.migrate import LOCK_TIMEOUT_MS

BACKFILL_ROWS = 1_000
"""Rows that one transaction fills in."""

BACKFILL_PAUSE_S = 0.05


def create_index(name: str, table: str, columns: list[str], *, where: str = "", unique: bool = False) -> None:
    """Make an index while the table is written to; one that an earlier run left unfinished is made anew."""
    condition = sa.text(where) if where else None
    if not _is_postgresql():
        op.create_index(name, table, columns, unique=unique, sqlite_where=condition)
        return
    with op.get_context().autocommit_block():
        # It waits for every transaction that began before it, but keeps nobody else waiting.
        op.execute("SET lock_timeout = 0")
        op.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{name}"')
        op.create_index(
            name, table, columns, unique=unique, postgresql_where=condition, postgresql_concurrently=True
        )
        op.execute(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")


def backfill(table: str, values: str, *, where: str) -> int:
    """Set `values` (SQL) in all rows that are `where` (SQL), which they must not be afterwards; answers how many.

    A thousand rows a transaction, with pauses; a run that is broken off goes on where it ended.
    """
    statement = sa.text(
        f"UPDATE {table} SET {values} WHERE id IN (SELECT id FROM {table} WHERE {where} LIMIT {BACKFILL_ROWS})"  # noqa: S608 - a migration's own words
    )
    if not _is_postgresql():
        return _fill(statement, pause_s=0.0)
    with op.get_context().autocommit_block():
        return _fill(statement, pause_s=BACKFILL_PAUSE_S)


def _fill(statement: sa.TextClause, *, pause_s: float) -> int:
    total = 0
    while count := op.get_bind().execute(statement).rowcount:
        total += count
        time.sleep(pause_s)
    return total


def set_storage(table: str, **parameters: float) -> None:
    """Set storage parameters of a PostgreSQL table, which take effect for what is written from now on."""
    if _is_postgresql():
        listed = ", ".join(f"{name} = {value}" for name, value in parameters.items())
        op.execute(f"ALTER TABLE {table} SET ({listed})")


def _is_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"
