"""The modem driver at work on emulated modems, in the test's own process, connected to the stub core over gRPC."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from drivers.modem.config import ModemConfig
from drivers.modem.driver import CONFIG, TIME_SCALE, ModemDriver
from drivers.modem.emulator import Emulator
from drivers.modem.emulator.clock import LoopClock
from drivers.modem.emulator.network import Network
from infinireach.driver.v1.command_pb2 import SendCommand, TextContent
from infinireach.driver.v1.fact_pb2 import DeviceChanged
from infinireach.v1.message_pb2 import CHANNEL_SMS
from tests.fakes.core_stub import StubCore
from tests.fakes.driver_at_work import address_of, driver_at_work

SCALE = 20.0
"""How many times as fast the driver's waits are. Its waits are then still long beside a busy machine's pauses."""
NUMBER = "+15559876543"
DESTINATION = "+491701234567"


class Scene:
    """A driver with its modems, as a test sees it."""

    def __init__(self, core: StubCore, driver: ModemDriver) -> None:
        self.core = core
        self.driver = driver

    def changes(self, name: str = "alpha") -> list[DeviceChanged]:
        """What the core was told of a modem, oldest first."""
        found = [
            fact.device_changed for fact in self.core.facts if fact.WhichOneof("fact") == "device_changed"
        ]
        return [change for change in found if change.device_key == name]

    def reason(self, name: str = "alpha") -> str:
        """The last reason that the core was told."""
        changes = self.changes(name)
        return changes[-1].reason if changes else "starting"

    async def told(self, reason: str, name: str = "alpha") -> DeviceChanged:
        """Wait until the core is told this reason; the report."""
        await self.core.until(lambda: self.reason(name) == reason)
        return self.changes(name)[-1]

    async def told_since(self, reason: str, count: int, name: str = "alpha") -> None:
        """Wait until this reason is among the reports after the first `count`."""
        await self.core.until(lambda: reason in [change.reason for change in self.changes(name)[count:]])

    def offer(self, *, name: str = "alpha", segments: int = 1, text: str = "Hello") -> str:
        """Give the driver a message; its command's id."""
        command_id = f"{name}-{len(self.core.commands)}"
        content = TextContent(body=text, segments=segments)
        self.core.offer([
            SendCommand(
                command_id=command_id,
                device_key=name,
                channel=CHANNEL_SMS,
                destination=DESTINATION,
                text=content,
                delivery_report_wanted=True,
            )
        ])
        return command_id

    async def state(self, command_id: str, *states: str) -> None:
        """Wait until a command is in one of these states."""
        await self.core.until(lambda: self.core.commands[command_id].state in states)

    async def goes_out(self, *, name: str = "alpha") -> None:
        """A message goes out through this modem and is delivered."""
        await self.state(self.offer(name=name), "delivered")


def config(port: object, name: str = "alpha", number: str = NUMBER, **keys: object) -> ModemConfig:
    return ModemConfig(name, str(port), number, **keys)  # pyright: ignore[reportArgumentType]


def quick_network() -> Network:
    """A network whose radio takes no time to speak of."""
    return Network(LoopClock(), radio_s=0.01, report_after_s=0.01)


def quick_emulator(**options: object) -> Emulator:
    return Emulator(network=quick_network(), **options)  # pyright: ignore[reportArgumentType]


@asynccontextmanager
async def at_work(
    core: StubCore,
    folder: Path,
    *configs: ModemConfig,
    scale: float = SCALE,
    driver_class: Callable[[], ModemDriver] = ModemDriver,
    may_fail: bool = False,
) -> AsyncGenerator[Scene]:
    """Run the driver on these modems until the end of the block. The same folder again is a restart.

    Whatever the block does to the modems, the driver itself does not fail at them, unless it `may_fail`.
    """
    driver = driver_class()
    settings = {CONFIG.name: configs, TIME_SCALE.name: scale}
    async with driver_at_work(driver, folder, address_of(core), name="modem", settings=settings, stop_s=3.0):
        scene = Scene(core, driver)
        yield scene
        told = [change for config in configs for change in scene.changes(config.name)]
        assert may_fail or "fault" not in [change.reason for change in told]
