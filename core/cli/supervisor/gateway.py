"""The whole of `infinireach up` while it runs: starts all children, waits until all are ready, ends them in order.

Owns run.json while it runs and what a signal means: SIGINT, SIGTERM and SIGHUP stop it, SIGUSR1 has one child after
the other restarted. Knows the children by role only.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.cli import run_file
from core.cli.output import CommandFailed
from core.cli.run_file import Running
from core.cli.supervisor.child import Child, Role
from core.cli.supervisor.log_file import LogFile

READY_S = 60.0
"""How long the first start may take."""

DEATHS_AT_START_MAX = 3
"""A child that dies so often before it was ever ready will not recover by itself."""

LOG_CHECK_S = 2.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Gateway:
    """The children and what is told of them.

    `groups` of roles are stopped one after the other, those of a group together. `list_devices` is called in a
    thread and `announce` after it, once, when all are ready; `tell` with a sentence whenever something is worth one.
    """

    def __init__(
        self,
        var: Path,
        groups: Sequence[Sequence[Role]],
        running: Running,
        *,
        list_devices: Callable[[], list[dict[str, Any]]],
        announce: Callable[[Running], None],
        tell: Callable[[str], None],
    ) -> None:
        self._var = var
        self._running = running
        self._list_devices = list_devices
        self._announce = announce
        self._tell = tell
        self._told = asyncio.Event()
        self._announced = False
        self._doomed = asyncio.Event()
        self._doom = ""
        logs = var / "logs"
        self._groups = [
            [Child(role, LogFile(logs / f"{role.name}.log"), self) for role in roles] for roles in groups
        ]
        self._children = [child for group in self._groups for child in group]
        self._restart_wanted = asyncio.Event()

    async def run(self) -> None:
        """Run until a signal. Raises CommandFailed if not all children become ready; none runs then any more."""
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup means it
                asyncio.get_running_loop().add_signal_handler(number, self._stop_or_kill)
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._restart_wanted.set)
        async with asyncio.TaskGroup() as group:
            for child in self._children:
                group.create_task(child.keep(), name=child.role.name)
            chores = [
                group.create_task(self._bound_logs(), name="log files"),
                group.create_task(self._restart_when_told(), name="rolling restart"),
            ]
            try:
                problem = await self._start()
                if not problem and not self._told.is_set():
                    await self._present()
                    await self._told.wait()
            finally:
                for chore in chores:
                    chore.cancel()
                await self._stop_all()
                run_file.remove(self._var)
        if problem:
            raise CommandFailed(problem)

    async def _start(self) -> str:
        """Wait until all are ready or a signal comes; what went wrong, or nothing."""
        waits = [
            asyncio.create_task(wait) for wait in (self._all_ready(), self._told.wait(), self._doomed.wait())
        ]
        ready, told, doomed = waits
        try:
            await asyncio.wait(waits, timeout=READY_S, return_when=asyncio.FIRST_COMPLETED)
            if ready.done() or told.done():
                return ""
            if doomed.done():
                return self._doom
            late = [child for child in self._children if not child.ready.is_set()]
            return "\n".join(_explain(child, f"is not ready after {READY_S:g} s") for child in late)
        finally:
            for wait in waits:
                wait.cancel()

    async def _all_ready(self) -> None:
        for child in self._children:
            await child.ready.wait()

    async def _present(self) -> None:
        """Write run.json and show how to use the gateway."""
        self._running.devices = await asyncio.to_thread(self._list_devices)
        self._announced = True
        self._write()
        self._announce(self._running)

    async def _stop_all(self) -> None:
        """End the children group by group: no new requests, then no new facts, then the core."""
        for group in self._groups:
            await asyncio.gather(*(child.stop() for child in group))

    async def _restart_when_told(self) -> None:
        """Restart one child after the other, each when the one before it has been ready for a while."""
        while True:
            await self._restart_wanted.wait()
            self._restart_wanted.clear()
            await asyncio.gather(*(child.ready.wait() for child in self._children))
            for child in self._children:
                self._say(f"Restarting {child.role.name}.")
                await child.restart()
                await asyncio.sleep(child.role.settle_s)
            self._say("All have been restarted.")

    def _stop_or_kill(self) -> None:
        """First signal: stop in order. Second: at once; everything that was accepted is on disk."""
        again = self._told.is_set()
        self._told.set()
        if again:
            for child in self._children:
                child.kill()
        elif self._announced:
            self._say("Stopping.")

    def started(self, child: Child) -> None:
        """Remember its process id."""
        assert child.pid is not None
        self._running.pids = {**self._running.pids, child.role.name: child.pid, "up": os.getpid()}
        if self._announced and not self._told.is_set():
            self._write()

    def became_ready(self, child: Child) -> None:
        """Tell that it recovered."""
        if self._announced and not self._told.is_set():
            self._say(f"{child.role.name} is ready again.")

    def ended(self, child: Child, status: int, delay_s: float) -> None:
        """Tell that it died, and give up if it never began to live."""
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        if self._announced:
            when = f"in {delay_s:g} s" if delay_s else "now"
            self._say(f"{child.role.name} {how}; starting it again {when}. Its log: {child.log.path}")
        elif child.deaths >= DEATHS_AT_START_MAX:
            self._doom = self._doom or _explain(child, how)
            self._doomed.set()

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):  # a console that has gone is no reason to stop
            self._tell(text)

    def _write(self) -> None:
        run_file.write(self._var, self._running)

    async def _bound_logs(self) -> None:
        while True:
            await asyncio.sleep(LOG_CHECK_S)
            for child in self._children:
                with contextlib.suppress(OSError):  # a full disk, say; tried again soon
                    await asyncio.to_thread(child.log.bound)


def _explain(child: Child, what: str) -> str:
    tail = "\n".join(f"  {line}" for line in child.log.tail().splitlines())
    return f"{child.role.name} {what}. The end of its log, {child.log.path}:\n{tail}"
