"""Contents of messages, when they were read and what they answer; features of devices."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
phase = "expand"


def upgrade() -> None:
    """Take the database from '0003' to '0004'."""
    op.add_column("message", sa.Column("content", sa.Text(), nullable=True))
    op.add_column("message", sa.Column("read_ms", sa.BigInteger(), nullable=True))
    op.add_column("message", sa.Column("reply_to_id", sa.String(), nullable=True))
    op.add_column("message", sa.Column("sender_name", sa.String(), nullable=True))
    op.add_column("device", sa.Column("features", sa.Text(), server_default="", nullable=False))
