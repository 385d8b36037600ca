"""What webhooks said of commands, for those whose answer was lost or has not come yet.

A status may come before the answer to the request that caused it, and it is all there is after a crash between the two.
"""

import asyncio
from collections import OrderedDict

from drivers.runtime import Failed, Submitted

EVIDENCE_MAX = 10_000
"""Commands of which the last word is kept; one more, and the oldest is forgotten."""

Said = Submitted | Failed


class Evidence:
    """The outcome of commands, as statuses tell it."""

    def __init__(self) -> None:
        self._said: OrderedDict[str, Said] = OrderedDict()
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._stopping = asyncio.Event()

    def add(self, command_id: str, said: Said) -> None:
        """A status named the command. That it failed is the last word."""
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
        return self._said.get(command_id)

    async def wait_for(self, command_id: str, timeout_s: float) -> Said | None:
        """What is said of the command, now or within the time; None if nothing is, or if `stop` was called."""
        if command_id not in self._said:
            named = self._waiting[command_id] = asyncio.get_running_loop().create_future()
            stopped = asyncio.create_task(self._stopping.wait(), name="end of waiting for a status")
            try:
                await asyncio.wait({named, stopped}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            finally:
                stopped.cancel()
                del self._waiting[command_id]
        return self.of(command_id)

    def stop(self) -> None:
        """Let nobody wait any longer."""
        self._stopping.set()

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()
