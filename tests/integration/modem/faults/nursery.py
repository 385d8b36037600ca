"""Starts drivers quickly: a process that has everything imported and forks one whenever it is asked to.

A driver that is born here is a process like any other, with its own journal, stream and port; it only did not import
its modules itself, which is most of what a start takes.
"""

import asyncio
import contextlib
import importlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drivers.runtime.contract_kit.subject import Process, Rig, Subject


class Forked:
    """A driver that the nursery started."""

    def __init__(self, pid: int, status: "asyncio.Task[int]") -> None:
        self.pid = pid
        self._status = status

    @property
    def returncode(self) -> int | None:
        """As asyncio.subprocess has it."""
        return self._status.result() if self._status.done() else None

    def send_signal(self, signal: int) -> None:
        """Send a signal, unless it has ended."""
        with contextlib.suppress(ProcessLookupError):
            if not self._status.done():
                os.kill(self.pid, signal)

    async def wait(self) -> int:
        """Wait until it has ended; its status."""
        return await asyncio.shield(self._status)


class Nursery:
    """The process that forks; one driver at a time."""

    def __init__(self, driver: str = "drivers.modem.driver:ModemDriver") -> None:
        """`driver` is a class by module and name."""
        self._driver = driver
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "Nursery":
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", __name__, self._driver),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._running()
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()

    async def start(self, environment: Mapping[str, str], log_path: Path) -> Forked:
        """A driver with this environment, which writes its log there. The one before has ended."""
        process = self._running()
        assert process.stdin is not None
        order = {"environment": dict(environment), "log": str(log_path)}
        process.stdin.write(json.dumps(order).encode() + b"\n")
        pid = (await self._answer())["pid"]
        return Forked(pid, asyncio.create_task(self._status(), name=f"driver {pid}"))

    def rig(self, subject: Subject, folder: Path) -> Rig:
        """A rig whose drivers are started here."""
        return _NurseryRig(subject, folder, self)

    async def _status(self) -> int:
        return int((await self._answer())["status"])

    async def _answer(self) -> dict[str, Any]:
        process = self._running()
        assert process.stdout is not None
        return json.loads(await process.stdout.readline())

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise ValueError("the nursery is not open")
        return self._process


class _NurseryRig(Rig):
    def __init__(self, subject: Subject, folder: Path, nursery: Nursery) -> None:
        super().__init__(subject, folder)
        self._nursery = nursery

    async def _launch(self, environment: Mapping[str, str], log_path: Path) -> Process:
        return await self._nursery.start(environment, log_path)


def main() -> None:
    """Fork for each line of the input; answer with the pid, and with the status once the driver has ended."""
    from drivers.runtime import run  # noqa: PLC0415 - whoever asks for drivers does not need it

    module, _, name = sys.argv[1].partition(":")
    driver = getattr(importlib.import_module(module), name)
    while line := sys.stdin.readline():
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(order["environment"], order["log"])
            run(driver)
        _say({"pid": pid})
        _say({"status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])})


def _become(environment: dict[str, str], log: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nowhere, number)
    os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)


def _say(answer: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
