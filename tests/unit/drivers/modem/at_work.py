"""A driver with one modem at work: real engine and journal; the modem, its network and the core are played.

The journal, the modem's memory, the network and the core outlive the process, which can be killed at any step.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import ClassVar

from drivers.modem.at.results import Unsolicited
from drivers.modem.line import Line
from drivers.modem.messages.fragments import Fragments
from drivers.modem.messages.inbox import Inbox
from drivers.modem.messages.reports import Reports
from drivers.modem.messages.sending import Sender
from drivers.modem.timing import Timing
from drivers.runtime import Context, Driver, Outcome, SendAgain
from infinireach.driver.v1.command_pb2 import SendCommand, TextContent
from infinireach.driver.v1.session_pb2 import CAPABILITY_CANCEL, Capability, DeviceDescription
from tests.unit.drivers.modem.played_modem import Killer, PlayedModem
from tests.unit.drivers.played_process import PlayedProcess, PlayedWorld

DEVICE = "stick"
NUMBER = "+15559876543"
ICCID = "8949000000000000001"
LONG = "abcdefghij" * 40
"""A text of three segments."""

SHORT = replace(
    Timing(), retry_step_s=0.0, journal_s=5.0, journal_retry_s=0.01, report_parking_s=60.0, resume_s=5.0
)


class PlayedLines:
    """The line as the lifecycle would show it."""

    def __init__(self, line: Line | None) -> None:
        self.current = line
        self.is_back = asyncio.Event()

    async def next_line(self) -> Line:
        while self.current is None:
            self.is_back.clear()
            await self.is_back.wait()
        return self.current

    def set(self, line: Line | None) -> None:
        self.current = line
        self.is_back.set()


class NoLimit:
    async def turn(self) -> None:
        pass


class OneModem(Driver):
    """The driver: one modem whose line the test sets."""

    kind = "modem"
    capabilities: ClassVar[frozenset[Capability]] = frozenset({CAPABILITY_CANCEL})

    def __init__(self, world: "World") -> None:
        self._world = world
        self.lines = PlayedLines(world.line)
        self.failures: list[str] = []
        self.successes = 0
        self.doubts = 0
        self.is_stopping = asyncio.Event()
        self.drained = 0
        self._receiving: asyncio.Task[None] | None = None

    async def start(self, context: Context) -> Sequence[DeviceDescription]:
        timing = self._world.timing
        self.context = context
        self.reports = Reports(context, timing)
        self.fragments = Fragments(context, timing)
        self.inbox = Inbox(
            context,
            device_key=DEVICE,
            timing=timing,
            reports=self.reports,
            fragments=self.fragments,
            on_doubt=self._doubt,
        )
        self.sender = Sender(
            context,
            timing=timing,
            reports=self.reports,
            wants_reports=True,
            drain=self._drain,
            on_device_failure=self.failures.append,
            on_device_success=self._succeed,
        )
        if self.lines.current is not None:
            self._receiving = asyncio.create_task(self._receive(self.lines.current))
        return [DeviceDescription(key=DEVICE, window=3)]

    async def _receive(self, line: Line) -> None:
        await self.inbox.sweep(line)
        await self.inbox.run(line)

    async def _drain(self, line: Line) -> None:
        self.drained += 1
        await self.inbox.sweep(line)

    def _doubt(self) -> None:
        self.doubts += 1

    def _succeed(self) -> None:
        self.successes += 1

    async def send(self, command: SendCommand) -> Outcome:
        return await self.sender.send(command, self.lines, NoLimit())

    async def recover(self, command: SendCommand) -> Outcome | SendAgain | None:
        return await self.sender.recover(command, self.lines, NoLimit())

    def stopping(self) -> None:
        self.sender.stopping()
        self.is_stopping.set()

    async def change_line(self, line: Line | None) -> None:
        """The line is lost, or comes back."""
        await self.stop(0)
        self.lines.set(line)
        if line is not None:
            self._receiving = asyncio.create_task(self._receive(line))

    async def stop(self, grace_s: float) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            await asyncio.wait([self._receiving])


class World(PlayedWorld):
    """What outlives a process."""

    def __init__(self, timing: Timing = SHORT) -> None:
        super().__init__()
        self.timing = timing
        self.modem = PlayedModem(self.clock)
        self.line = Line(
            commands=self.modem,
            device_key=DEVICE,
            number=NUMBER,
            imei="356938035643809",
            iccid=ICCID,
            stores=("ME",),
            acknowledges=False,
        )
        self.modem.changed = self.changed.set
        self.modem.may_answer.set()

    async def cleared(self) -> None:
        """Wait until the modem's memories are empty."""
        await self.until(lambda: not any(self.modem.memory.values()))

    def numbers(self) -> list[int]:
        """Which parts of long messages the network took, in order."""
        concatenations = [taken.submit.concatenation for taken in self.modem.taken]
        return [concatenation.number for concatenation in concatenations if concatenation]

    def texts(self) -> list[str]:
        """The texts that the core was given."""
        return [message.text for message in self.core.inbound]

    @asynccontextmanager
    async def process(self, killer: Killer | None = None) -> AsyncGenerator["Process"]:
        """A process of the driver, until the block ends or the killer strikes."""
        self.journal.killer = self.modem.killer = killer
        process = Process(self)
        try:
            await process.start()
            yield process
        finally:
            await process.end()
            self.journal.killer = self.modem.killer = None


class Process(PlayedProcess[World, OneModem]):
    """One process, with its stream to the core."""

    def __init__(self, world: World) -> None:
        super().__init__(world, OneModem(world), name="stick")

    @property
    def inbox(self) -> Inbox:
        return self.driver.inbox

    def comes_in(self, pdu: str) -> int:
        """A message comes in, is stored, and the modem says so; its index."""
        index = self._world.modem.stores(pdu)
        self.says("+CMTI", parameters=f'"ME",{index}')
        return index

    def says(self, name: str, *, parameters: str = "", pdu: str = "") -> None:
        """The modem says something unasked."""
        self.inbox.take(Unsolicited(name, parameters, pdu))


def command(
    command_id: str,
    text: str = "hello",
    *,
    segments: int = 1,
    to: str = "+491701234567",
    not_after_s: float | None = None,
) -> SendCommand:
    built = SendCommand(
        command_id=command_id,
        device_key=DEVICE,
        destination=to,
        text=TextContent(body=text, segments=segments),
        delivery_report_wanted=True,
    )
    if not_after_s is not None:
        built.not_after.FromNanoseconds(int(not_after_s * 1e9))
    return built
