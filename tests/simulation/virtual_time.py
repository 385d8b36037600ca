"""The event loop of a simulated world, and the processes in it.

Owns time, which is a number that jumps to the next timer when nothing is left to do now, and the death of a process:
its tasks are cancelled, and whatever it still does while they unwind has no effect (`is_alive`). Knows nothing of
the gateway.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import Executor
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar, TypeVarTuple

Args = TypeVarTuple("Args")
Result = TypeVar("Result")

TIE_S = 1e-6
"""Things that happen in order are this far apart: timers of the same moment have no order."""


class StandsStill(Exception):
    """Nothing is ready and no timer runs: the world would wait for ever."""


class _Task(asyncio.Task[Any]):
    """A task whose place in a set is its number and not its address, so that a world can be repeated."""

    _numbers = itertools.count()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._number = next(self._numbers)
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self._number


class Process:
    """Something that runs by itself and can die at any moment."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_alive = True
        self.run_blocking: Callable[[Callable[[], Any]], asyncio.Future[Any]] | None = None
        """Carries out what the process gives to a thread."""
        self.on_kill: Callable[[], None] = lambda: None
        self._tasks: list[asyncio.Task[Any]] = []
        self._context: Context = copy_context()
        self._context.run(_current.set, self)

    def call(self, function: Callable[[*Args], Result], *args: *Args) -> Result:
        """Call a function as this process: the tasks it makes belong to the process."""
        return self._context.copy().run(function, *args)

    def spawn(self, coroutine: Coroutine[Any, Any, Result], name: str) -> asyncio.Task[Result]:
        """Start a task of this process."""
        loop = asyncio.get_running_loop()
        return loop.create_task(coroutine, name=name, context=self._context.copy())

    def own(self, task: asyncio.Task[Any]) -> None:
        """The task dies with the process."""
        self._tasks.append(task)
        if len(self._tasks) > 100:
            self._tasks = [task for task in self._tasks if not task.done()]

    def kill(self) -> None:
        """Die: nothing that the process does from now on has any effect."""
        if not self.is_alive:
            return
        self.is_alive = False
        for task in self._tasks:
            task.cancel()
        self.on_kill()


_current: ContextVar[Process | None] = ContextVar("process", default=None)


def current_process() -> Process | None:
    """The process that is running now; None for the world itself."""
    return _current.get()


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs tasks like any loop, but waits for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        self._selector = self
        self.set_task_factory(_make_task)  # pyright: ignore[reportArgumentType] - typed narrower than it is called

    def time(self) -> float:
        """Seconds since the world began."""
        return self._now_s

    def select(self, timeout_s: float | None) -> list[Any]:
        """In place of waiting for sockets: the time passes at once."""
        if timeout_s is None:
            raise StandsStill
        self._now_s += timeout_s
        return []

    def _process_events(self, events: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody waits, so nobody is woken."""

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Args], Result], *args: *Args
    ) -> asyncio.Future[Result]:
        """What a process gives to a thread is done by the world, in its own time."""
        process = current_process()
        if process is None or process.run_blocking is None or not process.is_alive:
            raise asyncio.CancelledError
        return process.run_blocking(lambda: func(*args))


def _make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **kwargs: Any
) -> asyncio.Task[Any]:
    context = kwargs.get("context")
    process = context.get(_current) if context is not None else current_process()
    task = _Task(coroutine, loop=loop, **kwargs)
    if process is not None:
        process.own(task)
        if not process.is_alive:
            task.cancel()
    return task


@contextlib.contextmanager
def virtual_loop() -> Generator[VirtualLoop]:
    """A loop for one world; tasks that are left at its end are cancelled."""
    loop = VirtualLoop()
    try:
        yield loop
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.close()
