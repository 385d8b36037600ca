"""A scripted driver at work in the test's own process, connected to the stub core over gRPC."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from drivers.runtime import Context, Driver, Outcome, SendAgain, Submitted
from drivers.runtime.client import Client
from drivers.runtime.engine import Engine
from infinireach.driver.v1.command_pb2 import SendCommand, TextContent
from infinireach.driver.v1.session_pb2 import (
    DeviceDescription,
)
from infinireach.v1.device_pb2 import DEVICE_STATE_ONLINE
from tests.fakes.core_stub import TOKEN, StubCore
from tests.fakes.driver_at_work import address_of, driver_at_work

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
    address = replace(
        address_of(core, *others),
        token=lambda: token,
        is_tls=ca_file is not None,
        ca_file=ca_file,
        cert_file=cert_file,
        key_file=key_file,
    )
    async with driver_at_work(driver, folder, address, name="scripted") as work:
        yield Running(driver, work.engine, work.client, work.stream)


def command(command_id: str) -> SendCommand:
    return SendCommand(command_id=command_id, device_key="phone", text=TextContent(body="hello", segments=1))


async def settled(core: StubCore) -> dict[str, str]:
    await core.until(lambda: "" not in core.states().values())
    return core.states()
