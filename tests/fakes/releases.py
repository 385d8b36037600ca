"""Releases of the gateway that do not exist yet, as far as the database is concerned: folders of migrations.

Owns the migrations that follow those of this version: one that adds a column with its index and fills it in, and one
that takes another column away.
"""

import contextlib
import shutil
from collections.abc import Generator
from pathlib import Path
from unittest.mock import patch

from core.store import migrate

_EXPAND = '''"""Messages have a priority."""

import sqlalchemy as sa
from alembic import op

from core.store import online

revision = "{revision}"
down_revision = "{before}"
phase = "expand"


def upgrade() -> None:
    """Add it."""
    op.add_column("message", sa.Column("priority", sa.Integer(), nullable=True))
    online.create_index("message_priority", "message", ["priority"], where="priority IS NULL")
    online.backfill("message", "priority = segments + 1", where="priority IS NULL")
'''
_CONTRACT = '''"""Messages have no traceparent any more."""

from alembic import op

revision = "{revision}"
down_revision = "{before}"
phase = "contract"
needs = "{before}"


def upgrade() -> None:
    """Drop it."""
    op.drop_column("message", "traceparent")
'''


class Releases:
    """This release and the next two, each a folder of migrations."""

    def __init__(self, folder: Path) -> None:
        revisions = migrate.revisions()
        last = int(revisions[-1])
        self.expanded, self.contracted = f"{last + 1:04d}", f"{last + 2:04d}"
        self._this = migrate.MIGRATIONS
        self._next = self._copy(self._this, folder / "next")
        text = _EXPAND.format(revision=self.expanded, before=revisions[-1])
        (self._next / "versions" / f"{self.expanded}_priority.py").write_text(text, encoding="utf-8")
        self._after = self._copy(self._next, folder / "after")
        text = _CONTRACT.format(revision=self.contracted, before=self.expanded)
        (self._after / "versions" / f"{self.contracted}_no_traceparent.py").write_text(text, encoding="utf-8")
        self._first = self._copy(self._this, folder / "first")
        for path in (self._first / "versions").glob("[0-9]*.py"):
            if not path.name.startswith(f"{revisions[0]}_"):
                path.unlink()

    @staticmethod
    def _copy(source: Path, target: Path) -> Path:
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        return target

    def first(self) -> contextlib.AbstractContextManager[None]:
        """Be the first release that ever was."""
        return _as_of(self._first)

    def this(self) -> contextlib.AbstractContextManager[None]:
        """Be this release."""
        return _as_of(self._this)

    def next(self) -> contextlib.AbstractContextManager[None]:
        """Be the release that expands."""
        return _as_of(self._next)

    def after(self) -> contextlib.AbstractContextManager[None]:
        """Be the release that contracts."""
        return _as_of(self._after)


@contextlib.contextmanager
def _as_of(migrations: Path) -> Generator[None]:
    with patch.object(migrate, "MIGRATIONS", migrations):
        yield
