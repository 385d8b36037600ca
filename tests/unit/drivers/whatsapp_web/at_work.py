"""The driver at work: real engine and journal; the account, WhatsApp behind it, the clock and the core are played.

The journal, the session's folder, WhatsApp and the core outlive the process.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from drivers.whatsapp_web import config
from drivers.whatsapp_web.account import Connected, Event, Handle, Incoming
from drivers.whatsapp_web.config import Range
from drivers.whatsapp_web.driver import WhatsAppWebDriver
from drivers.whatsapp_web.life import Waits
from infinireach.driver.v1.command_pb2 import SendCommand, TextContent
from infinireach.driver.v1.fact_pb2 import CommandReport, DeviceChanged
from tests.unit.drivers.played_process import PlayedProcess, PlayedWorld

NAME = "office"
NUMBER = "+15559876543"
PEER = "+15551112222"
SOON = Waits(retry_s=0.01, retry_max_s=0.02, pairing_silence_s=60.0, close_s=1.0, look_s=0.01)


class PlayedAccount:
    """The account as its port promises it. The test says what WhatsApp does."""

    def __init__(self, world: "World", session: Path, handle: Handle) -> None:
        self.session = session
        self.is_closed = asyncio.Event()
        self._world = world
        self._handle = handle

    async def run(self) -> None:
        if self._world.fails_with is not None:
            raise self._world.fails_with
        for event in self._world.greeting:
            await self._handle(event)
        await self.is_closed.wait()

    async def tell(self, *events: Event) -> None:
        """The library tells one thing after the other."""
        for event in events:
            await self._handle(event)

    async def send_text(self, to: str, text: str) -> str:
        self._world.sent.append((to, text))
        message_id = f"ID{len(self._world.sent)}"
        return await self._world.takes(self, message_id)

    async def find(self, number: str) -> str:
        self._world.asked.append(number)
        return await self._world.finds(number)

    async def code_for(self, number: str) -> str:
        return "ABCD-EFGH"

    async def own_number(self) -> str:
        return self._world.number

    async def close(self) -> None:
        self.is_closed.set()


async def taken(account: PlayedAccount, message_id: str) -> str:
    """WhatsApp takes a message."""
    return message_id


async def found(number: str) -> str:
    """The number has an account."""
    return number


class World(PlayedWorld):
    """What outlives a process."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__()
        self.folder = folder
        self.waits = SOON
        self.settings = {
            config.ACCOUNT.name: NAME,
            config.NUMBER.name: NUMBER,
            config.SESSION.name: None,
            config.PAIRING.name: "qr",
            config.PAUSE.name: Range(0.0, 0.0),
            config.PER_DAY.name: 200.0,
            config.FIRST_CONTACT.name: False,
            config.NIGHT.name: None,
            **settings,
        }
        self.number = NUMBER
        """The number that the session belongs to."""
        self.greeting: list[Event] = [Connected()]
        """What the library tells first."""
        self.fails_with: Exception | None = None
        self.takes = taken
        self.finds = found
        self.sent: list[tuple[str, str]] = []
        self.asked: list[str] = []
        self.accounts: list[PlayedAccount] = []

    @property
    def account(self) -> PlayedAccount:
        """The one that was opened last."""
        return self.accounts[-1]

    @property
    def device(self) -> DeviceChanged:
        """What the core was told last."""
        return self.core.device_changes[-1] if self.core.device_changes else DeviceChanged()

    def open(self, session: Path, handle: Handle) -> PlayedAccount:
        self.accounts.append(PlayedAccount(self, session, handle))
        return self.account

    def reports(self, command_id: str) -> list[CommandReport]:
        return self.core.commands[command_id].reports

    async def until_reason(self, reason: str) -> DeviceChanged:
        """Wait until the core was told this reason last."""
        await self.until(lambda: bool(self.core.device_changes) and self.device.reason == reason)
        return self.device

    @asynccontextmanager
    async def process(self) -> AsyncGenerator["Process"]:
        """A process of the driver, until the block ends."""
        process = Process(self)
        try:
            await process.start(self.settings, self.folder)
            yield process
        finally:
            await process.end()

    @asynccontextmanager
    async def ready(self) -> AsyncGenerator["Process"]:
        """A process whose account is connected."""
        async with self.process() as process:
            await self.until_reason("")
            yield process


class Process(PlayedProcess[World, WhatsAppWebDriver]):
    """One process, with its stream to the core."""

    def __init__(self, world: World) -> None:
        class Played(WhatsAppWebDriver):
            open_account = staticmethod(world.open)
            waits = world.waits

        super().__init__(world, Played(), name=NAME)


def command(command_id: str, text: str = "hello", *, to: str = PEER) -> SendCommand:
    return SendCommand(
        command_id=command_id,
        device_key=NAME,
        destination=to,
        text=TextContent(body=text, segments=1),
        delivery_report_wanted=True,
    )


def incoming(message_id: str = "IN1", text: str = "hi", *, sender: str = PEER, **fields: Any) -> Incoming:
    values: dict[str, Any] = {"chat": sender, "time_s": 1_700_000_000.0, **fields}
    return Incoming(message_id=message_id, sender=sender, text=text, **values)
