"""Core processes of a simulated world: the real sessions, dispatcher, applier and sweeper over the simulated store.

Owns the life of a core process and its end of the simulated network.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, cast

import grpc

from core import messages
from core.api.status import code_of, status_of
from core.errors import InfiniReachError, Unavailable
from core.eventlog.relay import Relay
from core.messages import Accepted, NewMessage
from core.sessions.applier import FactApplier
from core.sessions.dispatcher import Dispatcher
from core.sessions.lifecycle import Lifecycle
from core.sessions.protocol import Frame, SessionLimits
from core.sessions.registry import Registry
from core.sessions.session import DriverSession, SessionDependencies
from core.sessions.sweeper import Sweeper
from drivers.runtime.client import STATUS_KEY
from infinireach.driver.v1.driver_service_pb2 import ConnectRequest
from tests.fakes.database import TENANT_A
from tests.fakes.set_clock import START_MS
from tests.simulation.database import Database, SimulatedStore, StoreConditions
from tests.simulation.network import Ended, LeftInOrder, Stream
from tests.simulation.virtual_time import Process

Loop = Callable[[], Awaitable[None]]

DRAIN_S = 2.0
ABANDONED_EVERY_S = 30.0


class CoreConditions(StoreConditions, Protocol):
    """What the world does to core processes."""

    database: Database

    def loses_hint(self) -> bool:
        """Whether the hint after an accept is lost."""
        ...

    def wire(self, stream: Stream, frame: Frame) -> None:
        """A core is about to write this frame."""
        ...

    def hello(self, stream: Stream) -> None:
        """A core has read the hello of this stream."""
        ...

    def died(self, process: Process, error: BaseException) -> None:
        """A process ended with an error that nobody foresaw."""
        ...


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """The settings of a core, as far as sessions go."""

    limits: SessionLimits
    lease_s: float
    poll_s: float
    sweep_s: float
    ttl_ms: int


class CoreClock:
    """The clock of the machine that a core runs on."""

    def __init__(self) -> None:
        self.offset_s = 0.0

    def now_ms(self) -> int:
        """UTC, as wrong as the clock is."""
        return START_MS + round((asyncio.get_running_loop().time() + self.offset_s) * 1000)

    def monotonic_s(self) -> float:
        """Seconds that never jump."""
        return asyncio.get_running_loop().time()


class _NoRelay:
    """Events are looked at in the database; nobody publishes them."""

    def wake(self) -> None:
        """Nothing to do."""


class CoreHost:
    """One place where a core can run, and the process that is there now, if any."""

    def __init__(
        self,
        conditions: CoreConditions,
        settings: CoreSettings,
        number: int,
        on_end: Callable[["CoreHost"], None],
    ) -> None:
        self.conditions = conditions
        self.settings = settings
        self.name = f"core.{number}"
        self.clock = CoreClock()
        self.streams: list[Stream] = []
        self._on_end = on_end
        self._starts = 0
        self._is_stopping = False
        self.process = Process(self.name)
        self.process.is_alive = False

    def is_running(self) -> bool:
        """Whether it takes calls."""
        return self.process.is_alive and not self._is_stopping

    def start(self) -> None:
        """Start a process."""
        self._starts += 1
        self._is_stopping = False
        self.streams = []
        self.process = Process(f"{self.name}#{self._starts}")
        self.process.on_kill = lambda: self._on_end(self)
        self.process.call(self._build)

    def _build(self) -> None:
        settings, process = self.settings, self.process
        self.store = SimulatedStore(self.conditions.database, process, self.conditions)
        self.registry = Registry()
        self.dispatcher = Dispatcher(self.store, self.registry, self.clock, settings.poll_s)
        applier = FactApplier(self.store, self.clock, lambda: None)
        lifecycle = Lifecycle(self.store, self.clock, round(settings.lease_s * 1000))
        self._shared = SessionDependencies(
            clock=self.clock,
            registry=self.registry,
            lifecycle=lifecycle,
            dispatcher=self.dispatcher,
            applier=applier,
            limits=settings.limits,
            hello_timeout_s=10.0,
        )
        self._sweeper = Sweeper(
            self.store,
            self.clock,
            registry=self.registry,
            dispatcher=self.dispatcher,
            relay=cast(Relay, _NoRelay()),
            lease_s=settings.lease_s,
            offline_after_s=10.0,
        )
        for loop in (lifecycle.run, self.dispatcher.run, applier.run, *self._duties()):
            process.spawn(self._watch(loop), "core loop")

    def _duties(self) -> list[Loop]:
        sweeper, sweep_s = self._sweeper, self.settings.sweep_s
        return [
            partial(_repeat, sweeper.deadlines, sweep_s),
            partial(_repeat, sweeper.presence, 3 * sweep_s),
            partial(_repeat, sweeper.leases, self.settings.lease_s / 3),
            partial(_repeat, sweeper.abandoned, ABANDONED_EVERY_S),
        ]

    async def _watch(self, loop: Loop) -> None:
        """A loop of a core never ends; if one does, the whole process goes down with it."""
        process = self.process
        try:
            await loop()
        except Exception as error:  # noqa: BLE001 - the world counts it as a fault of the code
            self.conditions.died(process, error)
            process.kill()

    # Calls.

    async def accept(self, new: Sequence[NewMessage]) -> list[Accepted | InfiniReachError]:
        """What the API does for a client."""
        now_ms = self.clock.now_ms()
        outcomes = await self.store.run(messages.accept, new, now_ms, self.settings.ttl_ms)
        if not self.conditions.loses_hint():
            created = {o.device_id: None for o in outcomes if isinstance(o, Accepted) and o.created}
            self.dispatcher.hint(created)
        return outcomes

    async def cancel(self, message_id: str) -> None:
        """What the API does for a client."""
        await self.store.run(messages.cancel, TENANT_A, message_id, self.clock.now_ms())

    def connect(self, stream: Stream) -> None:
        """A driver's call comes in."""
        self.streams = [each for each in self.streams if each.is_open()]
        self.streams.append(stream)
        stream.core_task = self.process.spawn(self._serve(stream), "session")

    async def _serve(self, stream: Stream) -> None:
        process, conditions = self.process, self.conditions

        async def read() -> ConnectRequest | None:
            item = await stream.up.read()
            if not isinstance(item, bytes):
                if isinstance(item, LeftInOrder):
                    return None
                raise asyncio.CancelledError
            frame = ConnectRequest.FromString(item)
            if frame.WhichOneof("frame") == "hello":
                stream.journal_id = frame.hello.journal_id
                stream.last_sequence = frame.hello.last_sequence
                conditions.hello(stream)
            return frame

        async def write(frame: Frame) -> None:
            if not process.is_alive:
                raise asyncio.CancelledError
            conditions.wire(stream, frame)
            await stream.down.write(frame.SerializeToString())
            conditions.crashes(process, "after frame")

        session = DriverSession(self._shared, tenant_id=TENANT_A, token_id="token", read=read, write=write)
        ended = Ended(grpc.StatusCode.OK)
        try:
            await session.run()
        except InfiniReachError as error:
            status = status_of(error, "")
            ended = Ended(code_of(error), error.message, ((STATUS_KEY, status.SerializeToString()),))
        if process.is_alive:
            stream.down.finish(ended)

    async def stop(self) -> None:
        """Leave in order: ask the drivers to go, wait a little, end what is left."""
        process = self.process
        self._is_stopping = True
        self.dispatcher.stop()
        for session in self.registry.sessions():
            session.drain("The core is about to stop.", DRAIN_S)
        try:
            async with asyncio.timeout(DRAIN_S):
                await self.registry.empty.wait()
        except TimeoutError:
            pass
        for session in self.registry.sessions():
            session.close(Unavailable("The core stopped; connect again."))
        await asyncio.sleep(0.5)
        process.kill()


async def _repeat(duty: Loop, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            await duty()
        except InfiniReachError:
            continue  # it is tried at its next turn
