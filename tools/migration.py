#!/usr/bin/env python3
"""Writes the next migration from the difference between the migrations so far and core/store/rows.py.

    .venv/bin/python tools/migration.py "messages have tags"

Read what it wrote before you commit it: a renamed column looks like one dropped and one added.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from alembic import command

from core.store import migrate
from core.store.databases import make_engine


def write(message: str) -> Path:
    """Write the next migration, named `message`, and answer its path."""
    versions = migrate.MIGRATIONS / "versions"
    number = 1 + max((int(path.name[:4]) for path in versions.glob("[0-9]*.py")), default=0)
    with tempfile.TemporaryDirectory() as folder:
        engine = make_engine(f"sqlite:///{folder}/scratch.db", immediate=True)
        with engine.begin() as connection:
            config = migrate.configuration(connection)
            config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
            if number > 1:
                command.upgrade(config, "head")
                config.attributes["batch"] = True  # SQLite alters a table by copying it
            command.revision(config, message=message, autogenerate=True, rev_id=f"{number:04d}")
        engine.dispose()
    [path] = versions.glob(f"{number:04d}_*.py")
    text = re.sub(r"\s*# ### .*", "", path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
    for arguments in (["check", "--fix-only"], ["format"], ["check", "--add-noqa"]):
        subprocess.run([sys.executable, "-m", "ruff", *arguments, "--quiet", path], check=True)
    return path


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(sys.argv[1])
