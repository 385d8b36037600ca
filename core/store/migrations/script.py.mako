"""${message[0].upper() + message[1:]}."""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
phase = "expand"


def upgrade() -> None:
    """Take the database from ${repr(down_revision) if down_revision else "nothing"} to ${repr(up_revision)}."""
    ${upgrades if upgrades else "pass"}
