"""The real driver of WhatsApp's Cloud API as a process of its own, a fake Graph, and a core that is played.

Owns what every test asks afterwards: nothing posted twice, and what Graph took is known in the end.
"""

import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from drivers.runtime import control_socket
from drivers.runtime.contract_kit.core_model import ModelCommand
from drivers.runtime.contract_kit.subject import Rig, Subject
from drivers.whatsapp_cloud.fake_graph import APP_SECRET, FakeGraph, Number, Rules, Taken
from infinireach.driver.v1.command_pb2 import SendCommand, TextContent
from infinireach.driver.v1.fact_pb2 import DeviceChanged
from infinireach.v1.message_pb2 import (
    CHANNEL_WHATSAPP,
    FAILURE_REASON_DEVICE_FAULT,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_RATE_LIMITED,
)
from tests.fakes.first_of import first_of
from tests.fakes.whatsapp_files import DEVICES, whatsapp_toml, write_secret
from tests.integration.modem.faults.nursery import Nursery
from tools.engines.ports import free_port

DRIVER = "drivers.whatsapp_cloud.driver:WhatsAppCloudDriver"
NUMBERS = (Number("+15559876501", "1001"), Number("+15559876502", "1002"))
RECOVER_S = 2
"""For which the driver waits for a status after it was killed."""
RETRIED = {FAILURE_REASON_NO_SERVICE, FAILURE_REASON_DEVICE_FAULT, FAILURE_REASON_RATE_LIMITED}
"""Reasons for which a core gives a message out again."""
WAIT_S = 30.0
"""How long anything may take before the test is given up; no measure of speed."""


class Bench:
    """A driver with two numbers."""

    def __init__(self, graph: FakeGraph, rig: Rig, folder: Path) -> None:
        self.graph = graph
        self.rig = rig
        self.core = rig.core
        self.token_file = folder / "token"
        self._control_path = folder / "whatsapp.sock"
        self._messages = 0
        self.begin()

    def begin(self) -> None:
        """A test begins: whatever was before is not looked at any more."""
        self.command_ids: list[str] = []
        self._changes = len(self.core.device_changes)

    # What a test does.

    def offer(self, text: str = "hello", *, to: str | None = None, device: str = DEVICES[0]) -> str:
        """Have a message sent, each to a user of its own; its command id."""
        self._messages += 1
        command_id = f"message-{self._messages}-1"
        self.command_ids.append(command_id)
        self.core.offer([
            SendCommand(
                command_id=command_id,
                message_id=f"message-{self._messages}",
                device_key=device,
                channel=CHANNEL_WHATSAPP,
                source=NUMBERS[DEVICES.index(device)].number,
                destination=to or f"+1555{self._messages:07d}",
                text=TextContent(body=text, segments=1),
                delivery_report_wanted=True,
            )
        ])
        return command_id

    def write_token(self, token: str) -> None:
        """Put another token into the file, in one step."""
        write_secret(self.token_file, token)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds that the core or the fake tells."""
        await first_of(self.core.until(condition, timeout_s=WAIT_S), self.graph.until(condition))

    async def settled(self, command_id: str) -> None:
        """Wait for the result of a message."""
        await self.until(lambda: self.command(command_id).state != "")

    async def delivered(self, command_id: str) -> None:
        """Wait until a message is delivered."""
        await self.until(lambda: self.command(command_id).state == "delivered")

    async def given_out_until_taken(self, command_id: str) -> str:
        """Give a message out again for as long as it certainly was not sent, as a core does; its last command."""
        await self.settled(command_id)
        while self.command(command_id).state == "failed":
            report = self.command(command_id).reports[-1]
            assert report.failed.reason in RETRIED
            assert not self.taken(command_id)
            command_id = self.offer(to=self.command(command_id).command.destination)
            await self.settled(command_id)
        return command_id

    async def webhooks_are_through(self) -> None:
        """Wait until the driver has taken every webhook."""
        await self.until(lambda: self.graph.callback.waiting == 0)

    # What a test sees.

    def command(self, command_id: str) -> ModelCommand:
        """What the core knows of a message."""
        return self.core.commands[command_id]

    def outcomes(self, command_id: str) -> list[str | None]:
        """What was reported of a message, in order."""
        return [report.WhichOneof("outcome") for report in self.command(command_id).reports]

    def changes(self, device: str = DEVICES[0]) -> Sequence[DeviceChanged]:
        """What the core was told of a device since the test began."""
        changes = self.core.device_changes[self._changes :]
        return [change for change in changes if change.device_key == device]

    def posts(self) -> Counter[str]:
        """How often each command was posted."""
        return Counter((data or "").partition(":")[0] for data in self.graph.posted)

    def counts(self) -> dict[str, int]:
        """What the driver counted of webhooks."""
        return control_socket.ask(self._control_path, {"status": {}}, timeout_s=WAIT_S)["counts"]

    def taken(self, command_id: str) -> list[Taken]:
        """What Graph accepted of a command."""
        return [
            each for each in self.graph.taken if (each.callback_data or "").partition(":")[0] == command_id
        ]

    # What every test ends with.

    async def check(self, *, refused: Sequence[str] = ()) -> None:
        """The next message goes out, nothing was posted twice, and what Graph took is known to be delivered.

        `refused`: messages that Graph has seen and certainly did not take.
        """
        await self.until(lambda: self.rig.window > 0)
        await self.delivered(self.offer("the next message goes out"))
        await self.webhooks_are_through()
        for command_id in self.command_ids:
            await self.settled(command_id)
            assert self.posts()[command_id] <= 1, "posted twice"
            if self.taken(command_id):
                await self.delivered(command_id)
            elif self.command(command_id).state == "failed":
                assert command_id in refused or not self.posts()[command_id], (
                    "posted, and called certainly not sent"
                )
            else:
                assert self.command(command_id).state == "outcome_unknown"


@asynccontextmanager
async def bench(folder: Path, *, secrets: Sequence[str] = (APP_SECRET, APP_SECRET)) -> AsyncGenerator[Bench]:
    """A bench with its driver at work. `secrets` are those of the numbers' apps; the fake is the first one's."""
    port = free_port()
    async with (
        FakeGraph(
            numbers=NUMBERS,
            rules=Rules(is_window_open=True),
            callback_url=f"http://127.0.0.1:{port}/whatsapp",
            retry_s=0.02,
        ) as graph,
        Nursery(DRIVER) as nursery,
    ):
        config, token_file = folder / "whatsapp.toml", folder / "token"
        secret_files = [folder / f"secret-{name}" for name in DEVICES]
        for file, secret in zip(secret_files, secrets, strict=True):
            write_secret(file, secret)
        write_secret(token_file, graph.token)
        write_secret(config, whatsapp_toml(graph, port, token_file, secret_files))
        subject = Subject(
            argv=[sys.executable, "-m", "drivers.whatsapp_cloud"],
            device_key=DEVICES[0],
            channel=CHANNEL_WHATSAPP,
            source=NUMBERS[0].number,
            destination="+15551112222",
            taken=lambda: [each.text for each in graph.taken],
            environment={
                "INFINIREACH_WHATSAPP_CONFIG": str(config),
                "INFINIREACH_WHATSAPP_RECOVER_S": str(RECOVER_S),
            },
        )
        async with nursery.rig(subject, folder) as rig:
            await rig.start()
            yield Bench(graph, rig, folder)
