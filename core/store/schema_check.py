"""Whether the database has the schema that this version needs, also if it does not answer when the process starts.

Owns that nobody works for long on a schema that was never looked at. What fits is core.store.migrate's to say.
"""

import asyncio

import structlog
from sqlalchemy.exc import OperationalError

from core.store.migrate import check

log = structlog.get_logger()

RETRY_S = 2.0
"""Wait after the database did not answer."""


class SchemaCheck:
    """One check, now or as soon as the database answers."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.is_done = False

    def try_now(self) -> None:
        """Check if the database answers; says so if it does not. Raises SchemaTooOld, SchemaTooNew."""
        try:
            check(self._url)
        except OperationalError as error:
            log.warning("schema.unchecked", detail=str(error.orig).partition("\n")[0])
        else:
            self.is_done = True

    async def run(self) -> None:
        """Try until the database has answered. Raises SchemaTooOld, SchemaTooNew."""
        while True:
            try:
                await asyncio.to_thread(check, self._url)
            except OperationalError:
                await asyncio.sleep(RETRY_S)
            else:
                self.is_done = True
                log.info("schema.checked")
                return
