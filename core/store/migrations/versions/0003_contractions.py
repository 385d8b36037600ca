"""Contractions, and storage of the tables that grow."""

import sqlalchemy as sa
from alembic import op

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
