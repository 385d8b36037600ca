"""What the contract kit has to know of a driver, and the process it runs it as.

The kit sees a driver from outside: its process, its stream to the core, and what its (fake) network took.
"""

import asyncio
import os
import resource
import secrets
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from drivers.runtime import crash_points
from drivers.runtime.contract_kit.core_model import OPEN
from drivers.runtime.contract_kit.stub_core import TOKEN, StubCore
from drivers.runtime.crash_points import CrashPoint
from infinireach.driver.v1.command_pb2 import SendCommand, TextContent
from infinireach.v1.message_pb2 import Channel

WAIT_S = 20.0
"""How long anything may take before the test is given up; no measure of speed."""
POLL_S = 0.02
"""How often what cannot be waited for is looked at."""


@dataclass(slots=True)
class Subject:
    """A driver to put to the test."""

    argv: Sequence[str]
    """How to run it. The kit sets INFINIREACH_VAR and the settings of the runtime in its environment."""
    device_key: str
    channel: Channel
    source: str
    """The number of the device."""
    destination: str
    """A number to which its fake network takes messages without fault."""
    taken: Callable[[], Sequence[str]]
    """The messages that the fake network took so far: of each its command id or its text. The kit makes them equal."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Its own settings."""
    come_in: Callable[[str], Awaitable[None]] | None = None
    """Makes a message with this text come in, as its fake network would: again and again until it is taken."""


class Process(Protocol):
    """The driver's process, as asyncio.subprocess has it."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    def send_signal(self, signal: int) -> None: ...
    async def wait(self) -> int: ...


class Rig:
    """A driver and a core that it talks to."""

    def __init__(self, subject: Subject, folder: Path, core: StubCore | None = None) -> None:
        self.subject = subject
        self.core = core or StubCore()
        self._folder = folder
        self._process: Process | None = None
        self._log_path = folder / "driver.log"

    async def __aenter__(self) -> "Rig":
        await self.core.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.returncode is None:
            self.kill()
            await self._process.wait()
        await self.core.stop()

    # The process.

    @property
    def journal(self) -> Path:
        """The driver's journal."""
        return self._folder / "journal.db"

    async def start(self, *, crash_at: str | None = None, token: str = TOKEN) -> None:
        """Start the driver, if wanted so that it kills itself at a point, and wait until its device takes commands."""
        hellos = len(self.core.hellos)
        await self.start_without_waiting(crash_at=crash_at, token=token)
        await self.core.until(lambda: len(self.core.hellos) > hellos and self.window > 0, timeout_s=WAIT_S)

    async def start_without_waiting(self, *, crash_at: str | None = None, token: str = TOKEN) -> None:
        """Start the driver."""
        environment = {
            **os.environ,
            "INFINIREACH_VAR": str(self._folder),
            "INFINIREACH_DRIVER_CORE": self.core.address,
            "INFINIREACH_DRIVER_TOKEN": token,
            "INFINIREACH_DRIVER_JOURNAL": str(self.journal),
            **self.subject.environment,
        }
        if crash_at is not None:
            environment[crash_points.VARIABLE] = crash_at
        self._process = await self._launch(environment, self._log_path)

    async def _launch(self, environment: Mapping[str, str], log_path: Path) -> Process:
        with log_path.open("ab") as log:
            return await asyncio.create_subprocess_exec(*self.subject.argv, env=environment, stderr=log)

    @property
    def window(self) -> int:
        """How many commands the device has room for, as the core was told last."""
        return self.core.window(self.subject.device_key)

    def kill(self) -> None:
        """Kill the driver as a power cut would."""
        self._running().send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Tell the driver to stop."""
        self._running().send_signal(signal.SIGTERM)

    async def exit_status(self) -> int:
        """Wait until the driver has ended; its status, negative if a signal ended it."""
        return await asyncio.wait_for(self._running().wait(), WAIT_S)

    async def restart(self) -> None:
        """Wait until the driver has ended, then start it anew and wait until its device takes commands."""
        await self.exit_status()
        await self.start()

    def fill_disk(self) -> None:
        """Let no file of the driver grow any more."""
        log_of_database = self.journal.with_name(self.journal.name + "-wal")
        used = log_of_database.stat().st_size if log_of_database.exists() else 0
        self._limit_files(used)

    def free_disk(self) -> None:
        """Let the files grow again."""
        self._limit_files(resource.RLIM_INFINITY)

    def _limit_files(self, limit_bytes: int) -> None:
        resource.prlimit(self._running().pid, resource.RLIMIT_FSIZE, (limit_bytes, resource.RLIM_INFINITY))

    def log_text(self) -> str:
        """What the driver wrote to standard error."""
        return self._log_path.read_text()

    def _running(self) -> Process:
        if self._process is None:
            raise ValueError("the driver was not started")
        return self._process

    # Messages.

    def offer(self, count: int, *, not_after: Timestamp | None = None, text: str = "") -> list[str]:
        """Give the core so many messages for the driver; their command ids, which are their texts too without one."""
        commands = [self._command(not_after, text) for _ in range(count)]
        self.core.offer(commands)
        return [command.command_id for command in commands]

    def _command(self, not_after: Timestamp | None, text: str) -> SendCommand:
        command_id = f"cmd-{secrets.token_hex(8)}"
        return SendCommand(
            command_id=command_id,
            message_id=secrets.token_hex(12),
            device_key=self.subject.device_key,
            channel=self.subject.channel,
            source=self.subject.source,
            destination=self.subject.destination,
            text=TextContent(body=text or command_id, segments=1),
            delivery_report_wanted=True,
            not_after=not_after,
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that nobody announces."""
        async with asyncio.timeout(WAIT_S):
            while not condition():  # noqa: ASYNC110 - a file of another process rings no bell
                await asyncio.sleep(POLL_S)

    async def until_settled(self) -> None:
        """Wait until every command has a result."""
        await self.core.until(lambda: OPEN not in self.core.states().values(), timeout_s=WAIT_S)

    def check_nothing_lost_nor_doubled(self) -> Counter[str]:
        """Compare what the core was told with what the network took; how many commands are in which state."""
        taken = Counter(self.subject.taken())
        states = self.core.states()
        for command_id, state in states.items():
            times = taken[command_id]
            assert times <= 1, f"{command_id} was sent {times} times"
            assert state != OPEN, f"{command_id} is lost: nothing was reported"
            if state in ("submitted", "delivered"):
                assert times == 1, f"{command_id} is reported {state} and was not sent"
            if state in ("cancelled",):
                assert times == 0, f"{command_id} is reported {state} and was sent"
        strangers = taken.keys() - states.keys()
        assert not strangers, f"sent and never asked for: {strangers}"
        return Counter(states.values())
