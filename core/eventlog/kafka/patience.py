"""How long this client's own waits are waited for.

Owns that it ends in time, and as an error. Some of the client's tasks swallow their cancellation, and whoever awaits
one of these cannot be cancelled either; others end as cancelled when it is the client that cancelled them, and take
whoever awaits them along. So each such wait is left to a task of its own.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from aiokafka.errors import KafkaError

Result = TypeVar("Result")


async def within(seconds: float, work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """What `work` answers or raises. Raises TimeoutError if it takes longer or was cancelled from within."""
    task = asyncio.create_task(work(), name="kafka-client")
    task.add_done_callback(_look)
    try:
        await asyncio.wait([task], timeout=seconds)
        if task.done() and not task.cancelled():
            return task.result()
        raise TimeoutError
    finally:
        task.cancel()


async def ends(seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
    """Do it; whether it ended well in time."""
    try:
        await within(seconds, work)
    except (KafkaError, OSError, TimeoutError):
        return False
    return True


def _look(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # raised in whoever waits; nobody may be left
