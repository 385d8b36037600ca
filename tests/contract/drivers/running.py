"""A scripted driver at work in the test's own process, connected to the stub core over gRPC."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from drivers.runtime import Context, Driver, Outcome, SendAgain, Submitted
from drivers.runtime.client import Client
from drivers.runtime.clock import SystemClock
from drivers.runtime.commands import SendingLimits
from drivers.runtime.core_address import CoreAddress
from drivers.runtime.engine import Engine
from drivers.runtime.journal import Journal
from drivers.runtime.protocol import DriverProtocol
from drivers.runtime.session import Identity
from infinireach.driver.v1.command_pb2 import SendCommand, TextContent
from infinireach.driver.v1.session_pb2 import (
    DeviceDescription,
)
from infinireach.v1.device_pb2 import DEVICE_STATE_ONLINE
from tests.fakes.core_stub import TOKEN, StubCore

Send = Callable[[SendCommand], Outcome]


class ScriptedDriver(Driver):
    """Does with each command what the test says."""

    kind = "scripted"

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.answer: Send = lambda command: Submitted()
        self.recovery: Callable[[SendCommand], Outcome | SendAgain | None] | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def start(self, context: Context) -> Sequence[DeviceDescription]:
        self.context = context
        return [DeviceDescription(key="phone", window=10, state=DEVICE_STATE_ONLINE)]

    async def send(self, command: SendCommand) -> Outcome:
        self.sent.append(command.command_id)
        await self.gate.wait()
        return self.answer(command)

    async def recover(self, command: SendCommand) -> Outcome | SendAgain | None:
        return await super().recover(command) if self.recovery is None else self.recovery(command)

    async def stop(self, grace_s: float) -> None:
        pass


class Running:
    """A driver at work."""

    def __init__(
        self, driver: ScriptedDriver, engine: Engine, client: Client, stream: "asyncio.Task[None]"
    ) -> None:
        self.driver = driver
        self.engine = engine
        self.client = client
        self.stream = stream
        self.context = driver.context


@asynccontextmanager
async def running(
    core: StubCore,
    folder: Path,
    *,
    driver: ScriptedDriver | None = None,
    token: str = TOKEN,
    ca_file: Path | None = None,
    cert_file: Path | None = None,
    key_file: Path | None = None,
    others: Sequence[StubCore] = (),
) -> AsyncGenerator[Running]:
    driver = driver or ScriptedDriver()
    journal = Journal(folder / "journal.db", horizon_s=1e6, settled_commands_max=10**6)
    protocol = DriverProtocol(
        Identity("scripted", driver.kind, "1", "instance", tuple(driver.capabilities)),
        journal.state(),
        limits=SendingLimits(driver.groups_at_once, driver.group_commands_max),
        clock=SystemClock(),
    )
    engine = Engine(driver, protocol, journal)
    address = CoreAddress(
        tuple(each.address for each in (core, *others)),
        token=lambda: token,
        is_tls=ca_file is not None,
        ca_file=ca_file,
        cert_file=cert_file,
        key_file=key_file,
    )
    client = Client(address, engine, chance=random.Random(1))
    await engine.start(lambda host: Context(host, settings={}, var_folder=folder, clock=SystemClock()))
    stream = asyncio.create_task(client.run())
    try:
        yield Running(driver, engine, client, stream)
    finally:
        await engine.drain(0.0, stop_s=1.0)
        await client.leave("test", flush_s=0.5)
        await asyncio.wait([stream])
        await engine.close()


def command(command_id: str, *, text: str = "hello") -> SendCommand:
    return SendCommand(command_id=command_id, device_key="phone", text=TextContent(body=text, segments=1))


async def settled(core: StubCore) -> dict[str, str]:
    await core.until(lambda: "" not in core.states().values())
    return core.states()
