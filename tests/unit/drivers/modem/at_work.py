"""A driver with one modem at work: real engine and journal; the modem, its network and the core are played.

The journal, the modem's memory, the network and the core outlive the process, which can be killed at any step.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from drivers.modem.at.results import (
    AtFailure,
    ChannelClosed,
    CommandRefused,
    CommandUnanswered,
    Domain,
    NoReference,
    PduNotWritten,
    Unsolicited,
)
from drivers.modem.codec import Submit, decode_submit, encode_status_report
from drivers.modem.fragments import Fragments
from drivers.modem.inbox import Inbox
from drivers.modem.line import Line, Priority
from drivers.modem.reports import Reports
from drivers.modem.sending import Sender
from drivers.modem.timing import Timing
from drivers.runtime import Context, Driver, JournalUnwritable, Outcome, SendAgain
from drivers.runtime.commands import SendingLimits
from drivers.runtime.contract_kit.core_model import CoreModel, ModelSession
from drivers.runtime.engine import Engine
from drivers.runtime.journal import Journal
from drivers.runtime.protocol import DriverProtocol
from drivers.runtime.records import Batch, Committed
from drivers.runtime.session import Identity
from infinireach.driver.v1.command_pb2 import SendCommand, TextContent
from infinireach.driver.v1.session_pb2 import CAPABILITY_CANCEL, DeviceDescription
from tests.unit.drivers.runtime.world import SetClock

DEVICE = "stick"
NUMBER = "+15559876543"
ICCID = "8949000000000000001"
PATIENCE_S = 20.0
"""How long a test waits for what must happen."""
LOOK_AGAIN_S = 0.01
"""How often it looks, where nothing says that it has."""

SHORT = replace(
    Timing(), retry_step_s=0.0, journal_s=5.0, journal_retry_s=0.01, report_parking_s=60.0, resume_s=5.0
)


class Killer:
    """Ends the process at its n-th step; None: never. Everything of a dead process waits for ever."""

    def __init__(self, at: int | None = None) -> None:
        self.steps: list[str] = []
        self.died = asyncio.Event()
        self.is_dead = False
        self._at = at
        self._loop = asyncio.get_running_loop()

    def passes(self, name: str) -> bool:
        """False if the process is dead now. From any thread."""
        if not self.is_dead:
            self.steps.append(name)
            if len(self.steps) - 1 == self._at:
                self.is_dead = True
                self._loop.call_soon_threadsafe(self.died.set)
        return not self.is_dead

    async def step(self, name: str) -> None:
        if not self.passes(name):
            await asyncio.Future[NoReturn]()


class KillableJournal(Journal):
    """A journal in memory that outlives the process; it can die before and after each transaction."""

    def __init__(self) -> None:
        super().__init__(None, horizon_s=1e9, settled_commands_max=10**9)
        self.killer: Killer | None = None
        self.is_full = False

    def commit(self, batch: Batch, *, now_s: float | None = None) -> Committed:
        if self.is_full:
            raise JournalUnwritable("the disk is full")
        killer = self.killer
        if killer is not None and not killer.passes("before commit"):
            raise JournalUnwritable("the process is dead")
        committed = super().commit(batch, now_s=now_s)
        if killer is not None and not killer.passes("after commit"):
            raise JournalUnwritable("the process is dead")
        return committed

    def close(self) -> None:
        pass


def refused(code: int | None, domain: Domain = Domain.CMS) -> CommandRefused:
    return CommandRefused("AT+CMGS", domain, code, f"+{domain} ERROR: {code}")


@dataclass
class Taken:
    """A part that the network took."""

    submit: Submit
    reference: int


@dataclass
class PlayedModem:
    """A modem that has been set up, with the network behind it; `Commands` of a line."""

    clock: SetClock
    memory: dict[str, dict[int, str]] = field(default_factory=lambda: {"ME": {}})
    slots: int = 100
    taken: list[Taken] = field(default_factory=list[Taken])
    before_prompt: deque[AtFailure | None] = field(default_factory=deque[AtFailure | None])
    """What the next AT+CMGS end with before the prompt; None: they do not."""
    when_failing: Callable[[], None] = lambda: None
    """Called as one of them does."""
    answers: deque[AtFailure | None] = field(default_factory=deque[AtFailure | None])
    """What the next PDUs end with. Not taken by the network if it is CommandRefused."""
    executed: list[str] = field(default_factory=list[str])
    refuses: dict[str, CommandRefused] = field(default_factory=dict[str, CommandRefused])
    """Commands, by what they begin with, that it refuses."""
    pdus: list[str] = field(default_factory=list[str])
    """Every PDU that was written."""
    is_closed: bool = False
    prompts: int = 0
    when_prompting: Callable[[], None] = lambda: None
    """Called as it asks for a PDU."""
    when_taking: Callable[[Taken], None] = lambda taken: None
    """Called as the network takes a part, before the modem says so."""
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: it says what became of a PDU as soon as the network has it."""
    killer: Killer | None = None
    changed: Callable[[], None] = lambda: None
    reference: int = 250
    """The last one that it gave."""
    _selected: str = "ME"

    async def _step(self, name: str) -> None:
        self.changed()
        if self.killer is not None:
            await self.killer.step(name)

    async def execute(
        self, command: str, *, timeout_s: float, priority: Priority = Priority.READ
    ) -> Sequence[str]:
        if self.is_closed:
            raise ChannelClosed(command)
        await self._step(f"begin {command}")
        self.executed.append(command)
        for beginning, refusal in self.refuses.items():
            if command.startswith(beginning):
                raise refusal
        lines = self._answer(command)
        await self._step(f"end {command}")
        return lines

    def _answer(self, command: str) -> list[str]:
        name, _, parameter = command.partition("=")
        slots = self.memory[self._selected]
        match name:
            case "AT+CPMS":
                self._selected = parameter.strip('"')
                return [f"+CPMS: {len(self.memory[self._selected])},{self.slots},0,{self.slots}"]
            case "AT+CMGL":
                listed = [[f"+CMGL: {index},1,,{len(pdu)}", pdu] for index, pdu in sorted(slots.items())]
                return [line for pair in listed for line in pair]
            case "AT+CMGR":
                pdu = slots.get(int(parameter))
                return [] if pdu is None else [f"+CMGR: 1,,{len(pdu)}", pdu]
            case "AT+CMGD":
                slots.pop(int(parameter), None)
                return []
            case _:
                return []

    async def submit(
        self, *, tpdu_octets: int, pdu: str, timeout_s: float, before_pdu: Callable[[], Awaitable[None]]
    ) -> int:
        if self.is_closed:
            raise ChannelClosed("AT+CMGS")
        await self._step("AT+CMGS")
        failure = self.before_prompt.popleft() if self.before_prompt else None
        if failure is not None:
            self.when_failing()
            raise failure
        self.prompts += 1
        self.when_prompting()
        self.changed()
        await before_pdu()
        await self._step("marked")
        failure = self.answers.popleft() if self.answers else None
        if isinstance(failure, PduNotWritten):
            raise failure
        self.pdus.append(pdu)
        if isinstance(failure, CommandRefused):
            await self._step("refused")
            raise failure
        self.reference = (self.reference + 1) % 256
        submit = decode_submit(pdu)
        assert isinstance(submit, Submit)
        taken = Taken(submit, self.reference)
        self.taken.append(taken)
        self.when_taking(taken)
        await self._step("taken")
        await self.may_answer.wait()
        if failure is not None:
            raise failure
        return self.reference

    def stores(self, pdu: str, *, store: str = "ME") -> int:
        """A message came in and lies in the memory; its index."""
        slots = self.memory[store]
        index = next(number for number in range(1, self.slots + 1) if number not in slots)
        slots[index] = pdu
        return index

    def report_of(self, taken: Taken, *, status: int = 0, recipient: str | None = None) -> str:
        """The PDU of the status report of a part, as the network makes it now."""
        now = datetime.fromtimestamp(self.clock.wall_ns() // 10**9, UTC)
        return encode_status_report(
            message_reference=taken.reference,
            recipient=recipient or taken.submit.destination,
            sent_at=now,
            done_at=now,
            status=status,
        ).hex


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

    def __init__(self, world: "World") -> None:
        self._world = world
        self.lines = PlayedLines(world.line)
        self.failures: list[str] = []
        self.successes = 0
        self.drained = 0
        self._receiving: asyncio.Task[None] | None = None

    async def start(self, context: Context) -> Sequence[DeviceDescription]:
        timing = self._world.timing
        self.context = context
        self.reports = Reports(context, timing)
        self.fragments = Fragments(context, timing)
        self.inbox = Inbox(
            context, device_key=DEVICE, timing=timing, reports=self.reports, fragments=self.fragments
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

    def _succeed(self) -> None:
        self.successes += 1

    async def send(self, command: SendCommand) -> Outcome:
        return await self.sender.send(command, self.lines, NoLimit())

    async def recover(self, command: SendCommand) -> Outcome | SendAgain | None:
        return await self.sender.recover(command, self.lines, NoLimit())

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


class World:
    """What outlives a process."""

    def __init__(self, timing: Timing = SHORT) -> None:
        self.clock = SetClock()
        self.timing = timing
        self.journal = KillableJournal()
        self.core = CoreModel()
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
        self.changed = asyncio.Event()
        self.modem.changed = self.changed.set
        self.modem.may_answer.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until it holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                self.changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN_S):
                        await self.changed.wait()

    async def settled(self) -> dict[str, str]:
        """Wait until every command has a result; their states."""
        await self.until(lambda: all(self.core.states().values()))
        return self.core.states()

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


class Process:
    """One process, with its stream to the core."""

    def __init__(self, world: World) -> None:
        self.driver = OneModem(world)
        self._world = world
        identity = Identity("stick", "modem", "1", "instance", (CAPABILITY_CANCEL,))
        limits = SendingLimits(groups_at_once=1, group_commands_max=1)
        self.protocol = DriverProtocol(identity, world.journal.state(), limits=limits, clock=world.clock)
        self.engine = Engine(self.driver, self.protocol, world.journal)
        self._session: ModelSession | None = None
        self._is_pumping = False

    @property
    def inbox(self) -> Inbox:
        return self.driver.inbox

    async def start(self) -> None:
        world = self._world
        await self.engine.start(lambda host: Context(host, settings={}, var_folder=Path(), clock=world.clock))
        await self.engine.journal_idle()
        self.protocol.connected()
        self.engine.on_frames = self.pump
        self.pump()

    def pump(self) -> None:
        """Carry frames between driver and core until neither has any."""
        if self._is_pumping:
            return
        self._is_pumping = True
        self.protocol.tick()
        has_moved = True
        while has_moved:
            has_moved = False
            while (frame := self.protocol.next_frame()) is not None:
                has_moved = True
                if frame.WhichOneof("frame") == "hello":
                    self._session = self._world.core.open(frame.hello)
                elif self._session is not None:
                    self._world.core.receive(self._session, frame)
            while self._session is not None and self._session.out:
                has_moved = True
                self.protocol.receive(self._session.out.popleft())
        self.engine.wake()
        self._is_pumping = False
        self._world.changed.set()

    def offer(self, *commands: SendCommand) -> None:
        self._world.core.offer(commands)
        self.pump()

    def comes_in(self, pdu: str) -> int:
        """A message comes in, is stored, and the modem says so; its index."""
        index = self._world.modem.stores(pdu)
        self.says("+CMTI", parameters=f'"ME",{index}')
        return index

    def says(self, name: str, *, parameters: str = "", pdu: str = "") -> None:
        """The modem says something unasked."""
        self.inbox.take(Unsolicited(name, parameters, pdu))

    async def end(self) -> None:
        await self.engine.drain(0.0, stop_s=1.0)
        await self.engine.close()


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


UNANSWERED = CommandUnanswered("AT+CMGS", "no answer in time")
NO_REFERENCE = NoReference("AT+CMGS: OK without a reference")
