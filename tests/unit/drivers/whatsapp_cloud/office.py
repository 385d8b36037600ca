"""The driver in this process on a real journal, a fake Graph on loopback, and the core played by the test."""

import asyncio
import hashlib
import hmac
import io
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from drivers.runtime import Context
from drivers.runtime.clock import SystemClock
from drivers.runtime.commands import SendingLimits
from drivers.runtime.engine import Engine
from drivers.runtime.journal import Journal
from drivers.runtime.protocol import DriverProtocol
from drivers.runtime.records import Batch
from drivers.runtime.session import Identity
from drivers.whatsapp_cloud.callback_data import KEY, CallbackData
from drivers.whatsapp_cloud.config import Config, read_config
from drivers.whatsapp_cloud.driver import CONFIG, RECOVER_S, WhatsAppCloudDriver
from drivers.whatsapp_cloud.fake_graph import APP_SECRET, VERIFY_TOKEN, FakeGraph, Number, Rules
from drivers.whatsapp_cloud.troubles import Timing
from infinireach.driver.v1.command_pb2 import SendCommand, SendCommands, TextContent
from infinireach.driver.v1.driver_service_pb2 import ConnectResponse
from infinireach.driver.v1.fact_pb2 import CommandReport, DeviceChanged, InboundMessage
from infinireach.driver.v1.session_pb2 import Welcome
from infinireach.v1.message_pb2 import CHANNEL_WHATSAPP

WAIT_S = 20.0
"""How long anything may take before the test is given up; no measure of speed."""
USER = "+15551230000"
QUICK = Timing(slowed_s=(0.01, 0.02), away_s=(0.01, 0.02), person_s=(0.01, 0.02), token_look_s=0.01)
NUMBERS = (Number("+15559876543", "100000000000001"), Number("+15559876544", "100000000000002"))
OTHER_SECRET = "f" * 32
"""Of the app that the second number belongs to."""
CALLBACK_KEY = b"k" * 32
SEALED = CallbackData(CALLBACK_KEY)
"""Writes what a driver in an office writes."""


class Office:
    """One process of the driver. What the core is told is in `reports`, `inbound` and `changes`."""

    def __init__(self, graph: FakeGraph, driver: WhatsAppCloudDriver, engine: Engine) -> None:
        self.graph = graph
        self.driver = driver
        self.engine = engine
        self.reports: list[CommandReport] = []
        self.inbound: list[InboundMessage] = []
        self.changes: list[DeviceChanged] = []
        self._told = asyncio.Event()
        self._last = 0
        self._client = aiohttp.ClientSession()
        engine.on_frames = self._hear

    async def connect(self) -> None:
        """Play the core's side of a new stream."""
        await self.engine.journal_idle()
        self.engine.protocol.connected()
        self._hear()
        self.say(welcome=Welcome(epoch=1))

    async def close(self) -> None:
        """End the process in order."""
        if self._client.closed:
            return
        await self._client.close()
        await self.engine.drain(0.1, stop_s=5)
        await self.engine.close()

    def say(self, **frame: Any) -> None:
        """A frame of the core."""
        self.engine.protocol.receive(ConnectResponse(acknowledged_sequence=self._last, **frame))
        self.engine.wake()

    def _hear(self) -> None:
        while (frame := self.engine.protocol.next_frame()) is not None:
            for fact in frame.facts.facts:
                self._last = fact.sequence
                match fact.WhichOneof("fact"):
                    case "command_report":
                        self.reports.append(fact.command_report)
                    case "inbound_message":
                        self.inbound.append(fact.inbound_message)
                    case "device_changed":
                        self.changes.append(fact.device_changed)
                    case other:
                        raise AssertionError(other)
            self._told.set()

    def offer(self, command_id: str, *, to: str = USER, device: str = "main", **more: Any) -> str:
        """Give it a message; its text is the command id unless there is other content."""
        if not more.keys() & {"text", "template", "media"}:
            more["text"] = TextContent(body=command_id, segments=1)
        command = SendCommand(
            command_id=command_id,
            device_key=device,
            channel=CHANNEL_WHATSAPP,
            source=NUMBERS[0].number,
            destination=to,
            **more,
        )
        self.say(send_commands=SendCommands(commands=[command]))
        return command_id

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds that the core is told of."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._told.clear()
                await self._told.wait()

    async def until_ready(self) -> None:
        """Wait until the core knows that every number sends, if only one message at first."""
        await self.until(lambda: all(self.windows.values()))

    @property
    def windows(self) -> dict[str, int]:
        """Of each number, as the core was told last."""
        told = {change.device_key: change.window for change in self.changes}
        return {device.key: told.get(device.key, 0) for device in self.engine.protocol.devices}

    def of(self, command_id: str) -> list[CommandReport]:
        """What was reported of a command, in order."""
        return [report for report in self.reports if report.command_id == command_id]

    def outcomes(self, command_id: str) -> list[str]:
        """The same by name."""
        return [self._name(report) for report in self.of(command_id)]

    @staticmethod
    def _name(report: CommandReport) -> str:
        name = report.WhichOneof("outcome") or ""
        return "read" if name == "delivered" and report.delivered.is_read else name

    async def settled(self, command_id: str) -> CommandReport:
        """Wait for the first report of a command."""
        await self.until(lambda: bool(self.of(command_id)))
        return self.of(command_id)[0]

    @property
    def status(self) -> dict[str, Any]:
        """What its counters say."""
        return self.driver.counts.as_dict()

    @property
    def url(self) -> str:
        """Of its webhook."""
        return f"http://127.0.0.1:{self.driver.webhook_port}/whatsapp"

    async def get(self, query: dict[str, str], *, path: str = "") -> tuple[int, bytes]:
        async with self._client.get(self.url + path, params=query) as response:
            return response.status, await response.read()

    async def post(self, body: Any, *, secret: str | None = APP_SECRET) -> int:
        """Post a webhook, signed; the status of the answer."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {}
        if secret is not None:
            signature = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
            headers = {"X-Hub-Signature-256": f"sha256={signature}"}
        async with self._client.post(self.url, data=io.BytesIO(raw), headers=headers) as response:
            assert await response.read() == b""
            return response.status


def changes_of(*values: dict[str, Any], phone_number_id: str = NUMBERS[0].phone_number_id) -> dict[str, Any]:
    """A webhook with one change for each value."""
    metadata = {"metadata": {"phone_number_id": phone_number_id}}
    changes = [{"field": "messages", "value": {**metadata, **value}} for value in values]
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": changes}]}


def status_of(
    command_id: str, name: str, *, message_id: str = "", at: str = "1760000000", **more: Any
) -> dict[str, Any]:
    """A status as Meta tells it."""
    return {
        "id": message_id or f"wamid.{command_id}",
        "status": name,
        "timestamp": at,
        "biz_opaque_callback_data": SEALED.write(command_id, NUMBERS[0].phone_number_id),
        **more,
    }


def write_config(folder: Path, url: str, token: str, *, more: str = "") -> Path:
    """A file with both numbers."""
    path = folder / "whatsapp.toml"
    token_file = folder / "token"
    token_file.write_text(token)
    token_file.chmod(0o600)
    text = f'[graph]\nurl = "{url}"\ntimeout_s = 2\n[webhook]\nport = 0\nverify_token = "{VERIFY_TOKEN}"\n'
    for name, number, secret in zip(("main", "second"), NUMBERS, (APP_SECRET, OTHER_SECRET), strict=True):
        text += (
            f'[[number]]\nname = "{name}"\nnumber = "{number.number}"\n'
            f'phone_number_id = "{number.phone_number_id}"\ntoken_file = "token"\napp_secret = "{secret}"\n'
        )
    path.write_text(text + more)
    path.chmod(0o600)
    return path


async def start(
    folder: Path,
    graph: FakeGraph,
    *,
    config: Config | None = None,
    timing: Timing = QUICK,
    recover_s: float = 5,
) -> Office:
    """A process of the driver on the journal of this folder."""
    config = config or read_config(write_config(folder, graph.url, graph.token))
    journal = Journal(folder / "journal.db", horizon_s=1e9, settled_commands_max=10**6)
    journal.commit(Batch(store=[(KEY, CALLBACK_KEY)]))
    clock = SystemClock()
    driver = type("QuickDriver", (WhatsAppCloudDriver,), {"timing": timing})()
    identity = Identity("name", driver.kind, "1", "instance", tuple(driver.capabilities))
    limits = SendingLimits(driver.groups_at_once, driver.group_commands_max)
    engine = Engine(driver, DriverProtocol(identity, journal.state(), limits=limits, clock=clock), journal)
    office = Office(graph, driver, engine)
    settings = {CONFIG.name: config, RECOVER_S.name: recover_s}
    await engine.start(lambda host: Context(host, settings=settings, var_folder=folder, clock=clock))
    await office.connect()
    graph.subscribe(office.url)
    return office


@asynccontextmanager
async def office_with(
    folder: Path, *, rules: Rules | None = None, timing: Timing = QUICK, more: str = ""
) -> AsyncGenerator[Office]:
    """A fake Graph, and a driver that is ready. `more` is written to the second number's table."""
    async with FakeGraph(numbers=NUMBERS, rules=rules or Rules(is_window_open=True), retry_s=0.01) as graph:
        config = read_config(write_config(folder, graph.url, graph.token, more=more))
        office = await start(folder, graph, config=config, timing=timing)
        try:
            await office.until_ready()
            yield office
        finally:
            await office.close()
