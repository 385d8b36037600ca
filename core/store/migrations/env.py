"""Runs the migrations on the connection that core.store.migrate hands over, inside its transaction.

Owns what Alembic compares and how it writes types. It must not open connections of its own.
"""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlmodel import AutoString

from core.store.rows import SCHEMA


def render_type(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Write SQLModel's string type as the plain one that it is, so that old migrations do not depend on it."""
    if kind == "type" and isinstance(item, AutoString):
        return "sa.String()"
    return False


connection: sa.Connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SCHEMA,
    render_item=render_type,
    render_as_batch=context.config.attributes.get("batch", False),
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
