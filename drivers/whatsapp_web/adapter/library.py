"""The library in the process: how its functions are called, and what has to be done to it once it is loaded."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from neonize import _binder

CONNECTING = "Neonize"
"""The function that connects, and returns only when the connection is over."""


def tame() -> None:
    """Keep it from writing numbers to standard output, and from reading a text where there is none."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    # It gives nothing back, and neonize 0.5.2 would take whatever lies in the register for the address of a text.
    _binder.gocode.Stop.restype = None


class Calls:
    """The library's functions, each call in a thread of its own that does not hold up the end of the process.

    In place of neonize's own way, which waits for them: one that connects may take a minute and cannot be told to stop.
    """

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        function = getattr(_binder.gocode, name)

        def call(*arguments: object) -> Awaitable[Any]:
            called = _in_own_thread(function, arguments)
            return _left_alone(called) if name == CONNECTING else called

        return call


def call_by(client: object, calls: Calls) -> None:
    """Make a client of neonize call the library in this way, and stop it only when it is asked to.

    By itself it stops the library where it is collected and at the end of the process, in the event loop's thread.
    """
    names = (f"_{type(client).__name__}__client", "_stop_finalizer")
    if not all(hasattr(client, name) for name in names):
        raise AttributeError(f"neonize has changed: it has no {' or no '.join(names)}")
    setattr(client, names[0], calls)
    getattr(client, names[1]).detach()


async def _left_alone(called: Awaitable[Any]) -> Any:
    """The call that connects. When it is cancelled, neonize would wait in the event loop until it has ended."""
    try:
        return await called
    except asyncio.CancelledError:
        return b""


async def _in_own_thread(function: Callable[..., Any], arguments: tuple[object, ...]) -> Any:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: Exception | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(error)

    def run() -> None:
        result, failed = None, None
        try:
            result = function(*arguments)
        except Exception as error:  # noqa: BLE001 - told to who waits
            failed = error
        # Nobody waits any more if the loop is closed.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=run, name="library", daemon=True).start()
    return await answer
