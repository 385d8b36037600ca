"""One process that is kept running: started, watched until it is ready, started again when it dies.

Owns the pace of restarts and the end of the process with all that it started. Knows neither what the process does
nor the other ones.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from core.cli.supervisor.log_file import LogFile

RESTART_DELAYS_S = (0.0, 0.25, 0.5, 1.0, 2.0)
"""Waits before a restart, by how often in a row the process died before it had been ready for a while."""

STEADY_S = 1.0
"""A process that was ready for so long begins with the first delay again."""

READY_POLL_S = 0.1
LEASH = Path(__file__).with_name("leash.py")


@dataclass(frozen=True, slots=True)
class Role:
    """A process to run. `is_ready` is asked again and again while it starts; it must not raise."""

    name: str
    command: list[str]
    is_ready: Callable[[], Awaitable[bool]]
    stop_s: float
    """How long it may take to end once it is asked to."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    settle_s: float = 0.0
    """In a rolling restart, how long it takes until whoever balances load over several has seen it ready."""


class Observer(Protocol):
    """Whoever wants to know how the child fares. Called from the event loop; must not block for long."""

    def started(self, child: "Child") -> None:
        """It has a new process."""
        ...

    def became_ready(self, child: "Child") -> None:
        """It answers."""
        ...

    def ended(self, child: "Child", status: int, delay_s: float) -> None:
        """It died by itself and is started again after `delay_s`; `status` below 0: the signal that killed it."""
        ...


class Child:
    """A role's process, whichever it is at the moment."""

    def __init__(self, role: Role, log: LogFile, observer: Observer) -> None:
        self.role = role
        self.log = log
        self.pid: int | None = None
        self.ready = asyncio.Event()
        self.deaths = 0
        """How often in a row it died before it had been ready for a while."""
        self._observer = observer
        self._stopping = asyncio.Event()
        self._gone = asyncio.Event()
        self._replacing = False
        self._ended = asyncio.Event()

    async def keep(self) -> None:
        """Keep the process running until `stop`."""
        try:
            while not self._stopping.is_set():
                status = await self._run_once()
                if self._stopping.is_set():
                    break
                if self._replacing:
                    self._replacing = False
                    continue
                self.deaths += 1
                delay_s = RESTART_DELAYS_S[min(self.deaths, len(RESTART_DELAYS_S)) - 1]
                self._observer.ended(self, status, delay_s)
                if delay_s:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._stopping.wait(), delay_s)
        finally:
            self._gone.set()

    async def stop(self) -> None:
        """Ask the process to end; kill it and all that it started if it takes too long."""
        self._stopping.set()
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._gone.wait(), self.role.stop_s)
        except TimeoutError:
            self.kill()
            await self._gone.wait()

    async def restart(self) -> None:
        """Have the process end in order and another one take its place; returns when that one is ready."""
        if self.pid is not None:  # otherwise it is about to be started anyway
            self._replacing = True
            self._ended.clear()
            self._signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._ended.wait(), self.role.stop_s)
            except TimeoutError:
                self._signal(signal.SIGKILL)
                await self._ended.wait()
        await self.ready.wait()

    def kill(self) -> None:
        """End the process and all that it started at once, for good."""
        self._stopping.set()
        self._signal(signal.SIGKILL)

    async def _run_once(self) -> int:
        """Run one process to its end; its exit status."""
        output = self.log.open()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(LEASH), str(os.getpid())),
                *self.role.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self.role.environment},
                process_group=0,
            )
        finally:
            os.close(output)
        self.pid = process.pid
        self._observer.started(self)
        if self._stopping.is_set():  # asked to stop while it was being started
            self._signal(signal.SIGTERM)
        readiness = asyncio.create_task(self._watch_readiness(), name=f"readiness of {self.role.name}")
        try:
            status = await process.wait()
        finally:
            readiness.cancel()
            self._signal(signal.SIGKILL)  # what it started and left behind
            self.pid = None
        self.ready.clear()
        self._ended.set()
        return status

    async def _watch_readiness(self) -> None:
        """Wait until the process answers, and then for a while."""
        while not await self.role.is_ready():  # noqa: ASYNC110 - another process has no event of ours
            await asyncio.sleep(READY_POLL_S)
        self.ready.set()
        self._observer.became_ready(self)
        await asyncio.sleep(STEADY_S)
        self.deaths = 0

    def _signal(self, number: signal.Signals) -> None:
        """Signal the process group that the process leads."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
