"""One thread for the calls on a device that may block: the event loop never waits in them.

Knows nothing of ports or modems.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


class DeviceThread:
    """Carries out calls one after the other. A daemon: a call that never returns keeps no process from ending."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    async def run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """What the function returns or raises. Cancelling the caller leaves the call to run to its end unheard."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()

        def call() -> None:
            result: Result | None = None
            error: Exception | None = None
            try:
                result = function(*arguments)
            except Exception as raised:  # noqa: BLE001 - it is the caller's
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever waited
                loop.call_soon_threadsafe(settle, future, result, error)

        self._calls.put(call)
        return await future

    def post(self, function: Callable[[], None]) -> None:
        """Carry out a call that raises nothing and that nobody waits for."""
        self._calls.put(function)

    def end(self) -> None:
        """Let the thread end after the calls it was given; no more are taken."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def settle(future: asyncio.Future[Any], result: object, error: Exception | None) -> None:
    """Give a future its result, unless its owner has gone."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
