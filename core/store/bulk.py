"""Many new rows in one statement.

Owns how a batch of rows reaches a database cheaply. PostgreSQL is given all rows as one JSON value: one statement with
one parameter, planned once, where a statement for each row costs several times as much on both sides. SQLite, which
has no way to go, takes them one by one.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import LargeBinary, Table, TextClause, text
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
        document = json.dumps(rows, ensure_ascii=False, separators=(",", ":"), default=bytes.hex)
        statement = _all_at_once(table, tuple(rows[0]), pass_over_known=pass_over_known)
        connection.execute(statement, {"rows": document})
    else:
        statement = sqlite.insert(table)
        connection.execute(
            statement.on_conflict_do_nothing() if pass_over_known else statement, [dict(row) for row in rows]
        )


@functools.cache
def _all_at_once(table: Table, columns: tuple[str, ...], *, pass_over_known: bool) -> TextClause:
    """INSERT of the rows of a JSON array, bytes in it as hexadecimal digits."""
    dialect = postgresql.dialect()
    quote = dialect.identifier_preparer.quote
    shape, values = [], []
    for column in (table.c[name] for name in columns):
        name = quote(column.name)
        is_binary = isinstance(column.type, LargeBinary)
        shape.append(f"{name} {'TEXT' if is_binary else column.type.compile(dialect)}")
        values.append(f"decode(new.{name}, 'hex')" if is_binary else f"new.{name}")
    return text(
        f"INSERT INTO {quote(table.name)} ({', '.join(quote(name) for name in columns)}) "  # noqa: S608 - our names
        f"SELECT {', '.join(values)} FROM json_to_recordset(CAST(:rows AS JSON)) AS new ({', '.join(shape)})"
        f"{' ON CONFLICT DO NOTHING' if pass_over_known else ''}"
    )
