"""Driver processes of a simulated world: the real runtime with a simulated radio, disk, clock and network.

Owns the life of a process over its journal, which is a real file: a death closes it wherever it stands, a start opens
it again. The driver itself is as plain as one can be; everything that matters is the runtime's.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio

from drivers.runtime import Context, Driver, Failed, JournalUnwritable, Outcome, SendAgain, Submitted, Unknown
from drivers.runtime.client import Client
from drivers.runtime.commands import SendingLimits
from drivers.runtime.core_address import CoreAddress
from drivers.runtime.engine import Engine
from drivers.runtime.journal import Journal
from drivers.runtime.main import work
from drivers.runtime.protocol import DriverProtocol
from drivers.runtime.records import Batch, Committed
from drivers.runtime.session import Identity
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.driver.v1.fact_pb2 import InboundMessage
from infinireach.driver.v1.session_pb2 import (
    CAPABILITY_CANCEL,
    CAPABILITY_DELIVERY_REPORTS,
    CAPABILITY_IDEMPOTENT_SUBMIT,
    CAPABILITY_INBOUND,
    Capability,
    DeviceDescription,
)
from infinireach.v1.message_pb2 import (
    CHANNEL_SMS,
    FAILURE_REASON_DESTINATION_INVALID,
    FAILURE_REASON_DEVICE_FAULT,
    FAILURE_REASON_NO_SERVICE,
)
from tests.fakes.set_clock import START_MS
from tests.simulation.driver_conditions import DriverConditions, Modem
from tests.simulation.network import Channel
from tests.simulation.radio import Fate, News
from tests.simulation.virtual_time import TIE_S, Process

GRACE_S = 1.0
JOURNAL_RETRY_S = 1.0


class RecordingJournal(Journal):
    """The real journal; tells the world what was written, and fails when the disk is full."""

    def __init__(self, path: Path, instance: "DriverInstance") -> None:
        self._instance = instance
        super().__init__(
            path, horizon_s=86_400, settled_commands_max=instance.conditions.settled_commands_max()
        )
        open_commands = self.state().open_commands
        self.started = {entry.command.command_id for entry in open_commands if entry.started}
        self.is_closed = False

    def commit(self, batch: Batch, *, now_s: float | None = None) -> Committed:
        """See Journal.commit."""
        conditions = self._instance.conditions
        if conditions.is_journal_full(self._instance.driver):
            raise JournalUnwritable("the journal cannot be written: disk full")
        committed = super().commit(batch, now_s=now_s)
        self.started.difference_update(batch.release)
        self.started.update(batch.start)
        for pending in batch.facts:
            if pending.identity:
                conditions.inbound_journalled(pending.identity, self.state().journal_id)
        return committed

    def renew(self, *, reason: str, now_s: float | None = None) -> None:
        """See Journal.renew."""
        super().renew(reason=reason, now_s=now_s)
        self.started.clear()
        for fact in self.facts_after(0, count_max=100_000):
            if fact.HasField("inbound_message"):
                conditions, text = self._instance.conditions, fact.inbound_message.text
                conditions.inbound_journalled(text, self.state().journal_id)
                conditions.losses_of_inbound[text] += 1  # as far as the old identity goes

    def close(self) -> None:
        """Close it, once; what is started now has no result for ever."""
        if self.is_closed:
            return
        self.is_closed = True
        for entry in self.state().open_commands:
            if entry.command.command_id in self.started:
                self._instance.conditions.excuse(entry.command.command_id, "its driver died with it started")
        super().close()


class _Disk:
    """The thread of the journal: one thing after the other, each with a time before and after its effect."""

    def __init__(self, process: Process, conditions: DriverConditions) -> None:
        self._process = process
        self._conditions = conditions
        self._free_at_s = 0.0

    def run(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        begin_at_s = max(self._free_at_s, loop.time()) + self._conditions.journal_delay_s()
        self._free_at_s = begin_at_s + self._conditions.journal_delay_s() + TIE_S
        loop.call_at(begin_at_s, self._do, function, future, self._free_at_s)
        return future

    def _do(self, function: Callable[[], Any], future: asyncio.Future[Any], answer_at_s: float) -> None:
        if not self._process.is_alive or self._conditions.crashes(self._process, "before journal"):
            return
        result = error = None
        try:
            result = function()
        except Exception as caught:  # noqa: BLE001 - whoever waits gets it, as from a thread
            error = caught
        if not self._conditions.crashes(self._process, "after journal"):
            asyncio.get_running_loop().call_at(answer_at_s, self._answer, future, result, error)

    def _answer(self, future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
        if future.done() or not self._process.is_alive:
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)


class DriverClock:
    """The clock of the machine that a driver runs on."""

    def __init__(self) -> None:
        self.offset_s = 0.0

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return asyncio.get_running_loop().time()

    def wall_ns(self) -> int:
        """Nanoseconds since 1970, as wrong as the clock is."""
        return START_MS * 1_000_000 + int((asyncio.get_running_loop().time() + self.offset_s) * 1e9)


class SimulatedModems(Driver):
    """Sends one message at a time and keeps their order."""

    kind = "simulated"
    capabilities: ClassVar[frozenset[Capability]] = frozenset({
        CAPABILITY_DELIVERY_REPORTS,
        CAPABILITY_INBOUND,
        CAPABILITY_CANCEL,
    })

    def __init__(self, instance: "DriverInstance", process: Process) -> None:
        self._instance = instance
        self._conditions = instance.conditions
        self._radio = instance.conditions.radio
        self._process = process
        self._tasks: set[asyncio.Task[None]] = set()
        self._telling = asyncio.Lock()

    async def start(self, context: Context) -> Sequence[DeviceDescription]:
        """Listen to the network."""
        self.context = context
        self._spawn(self._listen())
        return [modem.describe() for modem in self._instance.modems]

    async def stop(self, grace_s: float) -> None:
        """Listen no more."""
        for task in self._tasks:
            task.cancel()

    async def tell_devices(self, modem: Modem | None) -> None:
        """Say that a device changed, or that devices came or went; one after the other, as things happen."""
        async with self._telling:
            if modem is None:
                self.context.replace_devices([modem.describe() for modem in self._instance.modems])
            elif modem in self._instance.modems:
                await self.context.device_changed(modem.changed())

    async def send(self, command: SendCommand) -> Outcome:
        """Hand the message over; the process may die right before and right after."""
        await asyncio.sleep(self._conditions.radio_delay_s())
        if self._conditions.crashes(self._process, "before hand-over"):
            raise asyncio.CancelledError
        fate = self._radio.hand_over(self._process, self._instance.driver, command)
        if self._conditions.crashes(self._process, "after hand-over"):
            raise asyncio.CancelledError
        await asyncio.sleep(self._conditions.radio_delay_s())
        return self._outcome(command, fate)

    def _outcome(self, command: SendCommand, fate: Fate | None) -> Outcome:
        match fate:
            case None:
                return Failed(FAILURE_REASON_NO_SERVICE, "", "No network at the moment.")
            case Fate.TAKEN:
                return Submitted([str(segment) for segment in range(command.text.segments)])
            case Fate.REFUSED:
                return Failed(FAILURE_REASON_DESTINATION_INVALID, "1", "There is no such number.")
            case Fate.ANSWER_LOST | Fate.SWALLOWED:
                self._conditions.excuse(command.command_id, "the network did not answer")
                return Unknown("The network did not answer.")
            case Fate.DRIVER_FAILS:
                self._conditions.excuse(command.command_id, "the driver raised an error")
                raise RuntimeError("planned")

    async def _listen(self) -> None:
        while True:
            news = await self._radio.next_news(self._instance.driver, self._process)
            try:
                await self._take(news)
            except JournalUnwritable:
                news.holder = None
                await asyncio.sleep(JOURNAL_RETRY_S)

    async def _take(self, news: News) -> None:
        if news.report is not None:
            await self.context.report([(news.command_id, news.report)])
            self._radio.confirm(self._instance.driver, news)
            return
        inbound = InboundMessage(
            device_key=news.device_key,
            channel=CHANNEL_SMS,
            source="+15553334444",
            destination=news.number,
            text=news.text,
            network_time=Timestamp(seconds=START_MS // 1000),
            segments=1,
        )
        receipt = await self.context.received(inbound, identity=news.text)
        self._spawn(self._confirm(receipt.acknowledged, news))

    async def _confirm(self, acknowledged: Callable[[], Any], news: News) -> None:
        await acknowledged()
        self._radio.confirm(self._instance.driver, news)

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class ManyAtOnce(SimulatedModems):
    """Takes groups, two at a time for each device."""

    groups_at_once = 2
    group_commands_max = 3

    async def send_group(self, commands: Sequence[SendCommand]) -> Sequence[Outcome]:
        """One after the other, and all answers at the end."""
        try:
            return [await self.send(command) for command in commands]
        except RuntimeError:
            for command in commands:
                self._conditions.excuse(command.command_id, "the driver raised an error in its group")
            raise


class AskableNetwork(SimulatedModems):
    """Its network can be asked what became of a message."""

    async def recover(self, command: SendCommand) -> Outcome | None:
        """Ask the network."""
        await asyncio.sleep(self._conditions.radio_delay_s())
        if self._radio.took_command(command.command_id):
            return Submitted()
        return Failed(FAILURE_REASON_DEVICE_FAULT, "", "It was not handed over.")


class CallersIds(SimulatedModems):
    """Its network takes the caller's id, so that sending again gives one message."""

    groups_at_once = 2
    capabilities: ClassVar[frozenset[Capability]] = frozenset({
        *SimulatedModems.capabilities,
        CAPABILITY_IDEMPOTENT_SUBMIT,
    })

    async def recover(self, command: SendCommand) -> SendAgain:
        """Send it again."""
        return SendAgain()


class _SimulatedClient(Client):
    """The real client; only its channel leads into the simulated network."""

    def __init__(self, engine: Engine, *, chance: random.Random, channel: Channel) -> None:
        address = CoreAddress(("simulated:1",), token=lambda: "token", is_tls=False, ca_file=None)
        super().__init__(address, engine, chance=chance)
        self._simulated_channel = channel

    def _channel(self) -> aio.Channel:
        return self._simulated_channel.as_grpc()


@dataclass(slots=True)
class DriverInstance:
    """One place where a driver can run: its journal, its clock, and the process that is there now, if any."""

    conditions: DriverConditions
    driver: str
    number: int
    path: Path
    modems: list[Modem]
    """Shared by all instances of the driver: the devices are where they are."""
    driver_class: type[SimulatedModems]
    chance: random.Random
    on_end: Callable[["DriverInstance", int | None], None]
    """Called with the exit status, or None after a violent death."""
    clock: DriverClock = field(default_factory=DriverClock)
    process: Process | None = None
    engine: Engine | None = None
    modem_driver: SimulatedModems | None = None
    journal: RecordingJournal | None = None
    starts: int = 0
    _stop: asyncio.Event | None = None

    @property
    def name(self) -> str:
        """For traces."""
        return f"{self.driver}.{self.number}"

    def is_running(self) -> bool:
        """Whether a process is there."""
        return self.process is not None and self.process.is_alive

    def start(self) -> None:
        """Start a process on what the journal holds."""
        self.starts += 1
        process = Process(f"{self.name}#{self.starts}")
        self.process = process
        self.journal = RecordingJournal(self.path, self)
        process.run_blocking = _Disk(process, self.conditions).run
        process.on_kill = self._killed
        self._stop = asyncio.Event()
        process.spawn(self._main(process, self.journal, self._stop), f"{self.name} main")

    def stop(self) -> None:
        """Ask the process to leave in order."""
        if self._stop is not None:
            self._stop.set()

    def tell_devices(self, modem: Modem | None) -> None:
        """Have the driver report that a device changed, or that devices came or went."""
        if not self.is_running() or self.modem_driver is None or self.process is None:
            return
        self.process.spawn(self.modem_driver.tell_devices(modem), "devices")

    def has_told_everything(self) -> bool:
        """Whether the core has every fact of the journal."""
        return self.engine is not None and self.engine.protocol.is_settled()

    async def _main(self, process: Process, journal: RecordingJournal, stop: asyncio.Event) -> None:
        try:
            status = await self._serve(process, journal, stop)
        except Exception as error:  # noqa: BLE001 - the world counts it as a fault of the code
            self.conditions.died(process, error)
            status = 1
        if process.is_alive:
            journal.close()
            process.on_kill = lambda: self.on_end(self, status)
            process.kill()

    async def _serve(self, process: Process, journal: RecordingJournal, stop: asyncio.Event) -> int:
        driver = self.driver_class(self, process)
        identity = Identity(
            driver_name=self.driver,
            driver_kind=driver.kind,
            driver_version="1",
            instance_id=process.name,
            capabilities=tuple(sorted(driver.capabilities)),
        )
        limits = SendingLimits(driver.groups_at_once, driver.group_commands_max)
        protocol = DriverProtocol(identity, journal.state(), limits=limits, clock=self.clock)
        engine = Engine(driver, protocol, journal)
        channel = Channel(lambda: self.conditions.connect(self.driver))
        client = _SimulatedClient(engine, chance=self.chance, channel=channel)
        await engine.start(lambda host: Context(host, settings={}, var_folder=Path(), clock=self.clock))
        self.engine, self.modem_driver = engine, driver
        status = await work(client, engine, stop, grace_s=GRACE_S)
        await engine.close()
        return status

    def _killed(self) -> None:
        self.engine = self.modem_driver = None
        if self.journal is not None:
            self.journal.close()
        self.on_end(self, None)
