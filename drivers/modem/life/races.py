"""Several things at once of which the first to end ends the others.

Owns nothing but the tasks of one race.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def first_of(*coroutines: Coroutine[Any, Any, T], name: str) -> T:
    """The result, or the exception, of the first that ends. The others are cancelled and have ended on return."""
    tasks = [asyncio.create_task(each, name=f"{name}: {each.__name__}") for each in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        # What the others raise as they end is news of the same trouble, and the first has told it.
        await asyncio.gather(*tasks, return_exceptions=True)
