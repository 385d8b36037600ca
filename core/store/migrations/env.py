"""Runs the migrations on the connection that core.store.migrate hands over, inside its transaction.

Owns what Alembic compares, how it writes types, and the record of what was taken away. It must not open connections
of its own.
"""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script.base import Script
from sqlmodel import AutoString

from core.store.rows import SCHEMA


def render_type(kind: str, item: Any, _context: AutogenContext) -> str | Literal[False]:
    """Write SQLModel's string type as the plain one that it is, so that old migrations do not depend on it."""
    if kind == "type" and isinstance(item, AutoString):
        return "sa.String()"
    return False


def note_contraction(ctx: MigrationContext, step: MigrationInfo, *_: Any, **__: Any) -> None:
    """Record, with the migration that takes something away, which revision a version must know from now on."""
    assert ctx.connection is not None
    for script in step.up_revisions:
        if isinstance(script, Script) and getattr(script.module, "phase", "") == "contract":
            values = {"revision": script.revision, "needs": script.module.needs}
            ctx.connection.execute(sa.insert(SCHEMA.tables["contraction"]), values)


connection: sa.Connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SCHEMA,
    render_item=render_type,
    render_as_batch=context.config.attributes.get("batch", False),
    compare_server_default=True,
    transaction_per_migration=connection.dialect.name == "postgresql",
    on_version_apply=note_contraction,
)
with context.begin_transaction():
    context.run_migrations()
