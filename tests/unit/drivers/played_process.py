"""A process of a driver with a real engine and journal, and what outlives it; the core is played, frame by frame."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from drivers.runtime import Context, Driver
from drivers.runtime.commands import SendingLimits
from drivers.runtime.contract_kit.core_model import CoreModel, ModelSession
from drivers.runtime.engine import Engine
from drivers.runtime.protocol import DriverProtocol
from drivers.runtime.session import Identity
from infinireach.driver.v1.command_pb2 import SendCommand
from tests.unit.drivers.modem.played_modem import KillableJournal
from tests.unit.drivers.runtime.world import SetClock

PATIENCE_S = 20.0
"""How long a test waits for what must happen."""
LOOK_AGAIN_S = 0.01
"""How often it looks, where nothing says that it has."""


class PlayedWorld:
    """What outlives a process: the clock, the journal and the core."""

    def __init__(self) -> None:
        self.clock = SetClock()
        self.journal = KillableJournal()
        self.core = CoreModel()
        self.changed = asyncio.Event()

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


AnyWorld = TypeVar("AnyWorld", bound=PlayedWorld)
AnyDriver = TypeVar("AnyDriver", bound=Driver)


class PlayedProcess(Generic[AnyWorld, AnyDriver]):
    """One process, with its stream to the core."""

    def __init__(self, world: AnyWorld, driver: AnyDriver, *, name: str) -> None:
        self.driver = driver
        self._world = world
        identity = Identity(name, driver.kind, "1", "instance", tuple(driver.capabilities))
        limits = SendingLimits(groups_at_once=1, group_commands_max=1)
        self.protocol = DriverProtocol(identity, world.journal.state(), limits=limits, clock=world.clock)
        self.engine = Engine(driver, self.protocol, world.journal)
        self._session: ModelSession | None = None
        self._is_pumping = False

    async def start(self, settings: Mapping[str, Any] | None = None, folder: Path | None = None) -> None:
        """Start the driver and open its stream."""
        clock, var_folder = self._world.clock, folder or Path()
        await self.engine.start(
            lambda host: Context(host, settings=settings or {}, var_folder=var_folder, clock=clock)
        )
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
        """Have the core give out commands."""
        self._world.core.offer(commands)
        self.pump()

    async def end(self) -> None:
        """End the process, in order or with what the test left of it."""
        await self.engine.drain(0.0, stop_s=1.0)
        await self.engine.close()
