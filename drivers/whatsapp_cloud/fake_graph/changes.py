"""A way to wait for something that the fake Graph does, without asking again and again."""

import asyncio
from collections.abc import Callable


class Changes:
    """Told whenever something happened."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def happened(self) -> None:
        """Have everybody who waits look again."""
        self._event.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds."""
        while not condition():
            self._event.clear()
            await self._event.wait()
