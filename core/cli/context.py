"""What a command needs before it can begin: the settings, and the database for those that administer it.

Owns that a fault in the settings ends the process with all of them told, and that a transaction of a command runs
beside a running gateway. Knows no command.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from sqlalchemy.orm import Session

from core.cli.output import EXIT_USAGE, CommandFailed, fail, note
from core.config import InvalidSettings, Settings, load
from core.store import migrate
from core.store.databases import open_store

Args = TypeVarTuple("Args")
Result = TypeVar("Result")


def settings_or_exit() -> Settings:
    """The settings; tells what is wrong with them and ends the process if anything is."""
    return valid_or_exit(load)


def valid_or_exit(read: Callable[[], Result]) -> Result:
    """What `read` answers; tells which settings are wrong and ends the process if it raises InvalidSettings."""
    try:
        return read()
    except InvalidSettings as invalid:
        lines = "\n".join(f"  {problem}" for problem in invalid.problems)
        fail(f"These settings cannot be used:\n{lines}", status=EXIT_USAGE)


def transact(settings: Settings, function: Callable[[Session, *Args], Result], *args: *Args) -> Result:
    """Run `function(session, *args)` in one write transaction of the gateway's database.

    Raises CommandFailed if the database has another schema; the default one on a laptop is brought up to date.
    """
    ready_database(settings)

    async def run() -> Result:
        store = open_store(settings.database_url)
        try:
            return await store.run(function, *args)
        finally:
            store.close()

    return asyncio.run(run())


def ready_database(settings: Settings) -> None:
    """Make sure that the database has this version's schema; see `transact`."""
    revision = migrate.current(settings.database_url)
    if migrate.is_current(settings.database_url):
        return
    if not settings.embedded:
        state = f"is at revision {revision}" if revision else "is empty"
        raise CommandFailed(
            f"The database {state}, this version needs {migrate.needed()}. Run: infinireach migrate"
        )
    settings.var.mkdir(parents=True, exist_ok=True, mode=0o700)
    migrate.migrate(settings.database_url, contract=True)
    note(
        f"Made the database {settings.database_url} ready."
        if not revision
        else "Brought the database up to date."
    )
