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
    contract: Annotated[
        bool,
        typer.Option(
            "--contract",
            help="Also take away what older versions used. Only when no process of an older version runs.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the database to the schema of this version, while it is in use: first, then restart the processes.

    Running it again, or twice at once, does no harm.
    """
    settings = settings_or_exit()
    url = settings.database_url
    before = migrations.current(url)
    if check:
        if not migrations.is_current(url):
            needed = migrations.needed()
            raise CommandFailed(
                f"The database is at revision {before or 'none'}; this version needs {needed}."
            )
    else:
        before = migrations.migrate(url, contract=contract)
    after = migrations.current(url)
    if as_json:
        say_json({"before": before or None, "revision": after})
    elif before == after:
        say(f"The database is current, at revision {after}.")
    else:
        say(f"Brought the database from revision {before or 'none'} to {after}.")
    if after < migrations.head() and not as_json:
        say("When no process of an older version runs any more: infinireach migrate --contract")
