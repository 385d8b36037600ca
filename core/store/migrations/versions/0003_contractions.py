"""Contractions, and storage of the tables that grow."""

import sqlalchemy as sa
from alembic import op

from core.store import online

revision = "0003"
down_revision = "0002"
phase = "expand"


def upgrade() -> None:
    """Take the database from '0002' to '0003'."""
    op.create_table(
        "contraction",
        sa.Column("revision", sa.String(), nullable=False),
        sa.Column("needs", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("revision"),
    )
    # By default a table of ten million rows is vacuumed only after two million changes (docs/adr/0011).
    for table in ("message", "timeline", "event", "delivery", "delivery_attempt"):
        online.set_storage(table, autovacuum_vacuum_scale_factor=0.02, autovacuum_analyze_scale_factor=0.02)
