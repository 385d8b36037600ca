"""`infinireach prune`: remove at once what the core would remove by and by."""

import asyncio
from typing import Annotated

import typer

from core.cli.context import ready_database, settings_or_exit
from core.cli.options import AsJson
from core.cli.output import note, say, say_json
from core.clock import SystemClock
from core.config import Settings
from core.retention import Retention
from core.sessions.pruner import Pruner
from core.store.databases import open_store


def prune(
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Remove nothing; count messages, events and deliveries.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove what is older than INFINIREACH_RETENTION_DAYS and over. May run beside the gateway, and be stopped."""
    settings = settings_or_exit()
    ready_database(settings)
    rows = asyncio.run(_prune(settings, dry_run=dry_run))
    if as_json:
        say_json({"removed": {} if dry_run else rows, "wouldRemove": rows if dry_run else {}})
        return
    counted = ", ".join(f"{count} of {table}" for table, count in rows.items()) or "none"
    say(f"Rows that would be removed: {counted}." if dry_run else f"Rows removed: {counted}.")


async def _prune(settings: Settings, *, dry_run: bool) -> dict[str, int]:
    retention = Retention(settings.retention_days, settings.delivery_retention_days)
    store = open_store(settings.database_url)
    total: dict[str, int] = {}
    try:
        pruner = Pruner(store, SystemClock(), retention, lambda table, count: None)
        while True:
            for table, count in (await pruner.turn(is_rehearsal=dry_run)).items():
                total[table] = total.get(table, 0) + count
            if pruner.is_through:
                return total
            note(f"So far: {', '.join(f'{count} of {table}' for table, count in total.items())}")
    finally:
        await asyncio.to_thread(store.close)
