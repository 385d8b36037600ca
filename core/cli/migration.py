"""`infinireach migrate`: the database's schema."""

from typing import Annotated

import typer

from core.cli.context import settings_or_exit
from core.cli.options import AsJson
from core.cli.output import CommandFailed, say, say_json
from core.store import migrate as migrations


def migrate(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; fail if there is something to do.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the database to the schema of this version. Running it again, or twice at once, does no harm."""
    settings = settings_or_exit()
    wanted = migrations.head()
    before = migrations.current(settings.database_url)
    if check and before != wanted:
        raise CommandFailed(f"The database is at revision {before or 'none'}; this version needs {wanted}.")
    if not check:
        before = migrations.migrate(settings.database_url)
    if as_json:
        say_json({"before": before or None, "revision": wanted})
    elif before == wanted:
        say(f"The database is current, at revision {wanted}.")
    else:
        say(f"Brought the database from revision {before or 'none'} to {wanted}.")
