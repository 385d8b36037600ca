"""The port on which a modem answered last, kept through restarts.

Owns where that is in the journal's store. It belongs to what modems.toml says of the port: once that is another,
nothing is known.
"""

import json

from drivers.modem.config import ModemConfig
from drivers.runtime import Context


class KnownPort:
    """The port of one modem, as far as it is known."""

    def __init__(self, context: Context, config: ModemConfig) -> None:
        self._store = context.store
        self._port = config.port
        self._place = f"modem/{config.name}/answered"
        self._url: str | None = None

    async def url(self) -> str:
        """Where the modem answered last; empty if it never did."""
        if self._url is None:
            stored = (await self._store.read(self._place)).get(self._place)
            answered: dict[str, str] = json.loads(stored) if stored is not None else {}
            self._url = answered["url"] if answered.get("port") == self._port else ""
        return self._url

    async def keep(self, url: str) -> None:
        """The modem was set up on this port."""
        if await self.url() != url:
            await self._store.write({self._place: json.dumps({"port": self._port, "url": url}).encode()})
            self._url = url
