"""What webhooks said of commands, for those whose answer was lost or has not come yet.

A status may come before the answer to the request that caused it, and it is all there is after a crash between the two.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Generator
from contextlib import contextmanager

from drivers.runtime import Failed, Submitted

EVIDENCE_MAX = 10_000
"""Commands of which the last word is kept; one more, and the oldest is forgotten."""

Said = Submitted | Failed


class Evidence:
    """The outcome of commands, as statuses tell it."""

    def __init__(self) -> None:
        self._said: OrderedDict[str, Said] = OrderedDict()
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._asked: dict[str, Said | None] = {}
        """What was said of those that Graph is being asked about; not among what may be forgotten."""
        self._stopping = asyncio.Event()

    def add(self, command_id: str, said: Said) -> None:
        """A status named the command. That it failed is the last word."""
        if command_id in self._asked and not isinstance(self._asked[command_id], Failed):
            self._asked[command_id] = said
        if not isinstance(self._said.get(command_id), Failed):
            self._said[command_id] = said
        self._said.move_to_end(command_id)
        if len(self._said) > EVIDENCE_MAX:
            self._said.popitem(last=False)
        waiting = self._waiting.get(command_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def of(self, command_id: str) -> Said | None:
        """What was said of the command so far."""
        return self._asked.get(command_id) or self._said.get(command_id)

    @contextmanager
    def asking(self, command_id: str) -> Generator[None]:
        """While Graph is asked to send it and what came of it is not known."""
        self._asked[command_id] = None
        try:
            yield
        finally:
            del self._asked[command_id]

    def is_asked(self, command_id: str) -> bool:
        """Whether it is being found out now what came of it; `of` is asked then at the end."""
        return command_id in self._asked

    async def wait_for(self, command_id: str, timeout_s: float) -> Said | None:
        """What is said of the command, now or within the time; None if nothing is, or if `stop` was called."""
        if command_id not in self._said:
            named = self._waiting[command_id] = asyncio.get_running_loop().create_future()
            try:
                await self.until(named, timeout_s)
            finally:
                del self._waiting[command_id]
        return self.of(command_id)

    async def until(self, awaited: Awaitable[object], timeout_s: float) -> None:
        """Wait for something, for so long and until `stop` is called."""
        ends = [asyncio.ensure_future(awaited), asyncio.ensure_future(self._stopping.wait())]
        try:
            await asyncio.wait(ends, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()

    def stop(self) -> None:
        """Let nobody wait any longer."""
        self._stopping.set()

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()
