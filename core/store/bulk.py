"""Many rows in one statement: new ones, and changes of others.

Owns how a batch of rows reaches a database cheaply. PostgreSQL is given all rows as one JSON value: one statement with
one parameter, planned once, where a statement for each row costs several times as much on both sides. SQLite, which
has no way to go, takes them one by one.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import LargeBinary, Table, TextClause, Update, bindparam, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


def insert_rows(
    session: Session, table: Table, rows: Sequence[Mapping[str, Any]], *, pass_over_known: bool = False
) -> None:
    """Insert new rows in this order; every dict has the same keys, columns of the table. No rows are no fault.

    `pass_over_known`: rows that a unique constraint refuses are left out.
    """
    if not rows:
        return
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        statement = _insert_all(table, tuple(rows[0]), pass_over_known=pass_over_known)
        connection.execute(statement, {"rows": _document(rows)})
    else:
        statement = sqlite.insert(table)
        connection.execute(
            statement.on_conflict_do_nothing() if pass_over_known else statement, [dict(row) for row in rows]
        )


def update_rows(
    session: Session, table: Table, rows: Sequence[Mapping[str, Any]], *, unset: str = ""
) -> None:
    """Give rows new values; every dict has `id` and the same other keys, columns of the table.

    The caller has locked the rows, or else two transactions may wait for each other. `unset`: a column in which a row
    that has a value already stays as it is.
    """
    if not rows:
        return
    connection = session.connection()
    columns = tuple(name for name in rows[0] if name != "id")
    if connection.dialect.name == "postgresql":
        connection.execute(_update_all(table, columns, unset), {"rows": _document(rows)})
    else:
        changes = [{_bound(name): value for name, value in row.items()} for row in rows]
        connection.execute(_update_one(table, columns, unset), changes)


def _document(rows: Sequence[Mapping[str, Any]]) -> str:
    """A JSON array of the rows, bytes in it in base64 (RFC 4648, section 4)."""
    return msgspec.json.encode(rows).decode()


@functools.cache
def _insert_all(table: Table, columns: tuple[str, ...], *, pass_over_known: bool) -> TextClause:
    """INSERT of the rows of a document."""
    names = ", ".join(_quoted(columns))
    return text(
        f"INSERT INTO {_quoted([table.name])[0]} ({names}) "  # noqa: S608 - our names
        f"SELECT {', '.join(_values(table, columns))} FROM {_records(table, columns)}"
        f"{' ON CONFLICT DO NOTHING' if pass_over_known else ''}"
    )


@functools.cache
def _update_all(table: Table, columns: tuple[str, ...], unset: str) -> TextClause:
    """UPDATE with the rows of a document."""
    names = _quoted(columns)
    changes = ", ".join(
        f"{name} = {value}" for name, value in zip(names, _values(table, columns), strict=True)
    )
    condition = f" AND old.{_quoted([unset])[0]} IS NULL" if unset else ""
    return text(
        f"UPDATE {_quoted([table.name])[0]} AS old SET {changes} "  # noqa: S608 - our names
        f"FROM {_records(table, ('id', *columns))} WHERE old.id = new.id{condition}"
    )


@functools.cache
def _update_one(table: Table, columns: tuple[str, ...], unset: str) -> Update:
    where = [table.c.id == bindparam(_bound("id")), *([table.c[unset].is_(None)] if unset else [])]
    return update(table).where(*where).values({name: bindparam(_bound(name)) for name in columns})


def _bound(column: str) -> str:
    """SQLAlchemy keeps the names of columns for itself."""
    return f"new_{column}"


def _quoted(names: Sequence[str]) -> list[str]:
    quote = _DIALECT.identifier_preparer.quote
    return [quote(name) for name in names]


def _records(table: Table, columns: Sequence[str]) -> str:
    """A document as a relation `new`."""
    types = (
        "TEXT" if isinstance(table.c[name].type, LargeBinary) else table.c[name].type.compile(_DIALECT)
        for name in columns
    )
    shape = ", ".join(f"{name} {kind}" for name, kind in zip(_quoted(columns), types, strict=True))
    return f"json_to_recordset(CAST(:rows AS JSON)) AS new ({shape})"


def _values(table: Table, columns: Sequence[str]) -> list[str]:
    """What stands in `new` for each column."""
    return [
        f"decode(new.{quoted}, 'base64')" if isinstance(table.c[name].type, LargeBinary) else f"new.{quoted}"
        for name, quoted in zip(columns, _quoted(columns), strict=True)
    ]


_DIALECT = postgresql.dialect()
