"""The main job through a phone: `infinireach driver android` and a fake phone, from the published command on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from drivers.runtime import control_socket
from tests.e2e.gateway import NUMBER, READY_S_MAX, STOP_S_MAX, Client, Gateway, eventually, until
from tests.e2e.hooks import hook
from tools.engines.ports import free_port

SMS = b"""{
"to": "+1234567890",
"message": "Hello from Infini Reach!",
"from": "+15559876543",
"channel": "sms"
}"""
SECOND = "+15559876544"
WRITER = "+15551112222"
CLI = [sys.executable, "-P", "-m", "core.cli.main"]


@dataclass(slots=True)
class Office:
    """A gateway, and beside it a phone that is none and the driver for it."""

    gateway: Gateway
    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict[str, subprocess.Popen[bytes]])

    @property
    def socket(self) -> Path:
        """Where the phone is told something."""
        return self.folder / "phone.sock"

    def start_phone(self) -> None:
        """Start the phone and write down what it says that phones.toml needs."""
        port, hook_port = free_port(), free_port()
        line = [sys.executable, "-P", "-m", "drivers.android.fake_smsgate", "--port", str(port)]
        line += ["--number", NUMBER, "--number", SECOND, "--socket", str(self.socket), "--limit", "0"]
        line += ["--radio-s", "0.05", "--report-s", "0.05", "--radio-log", str(self.folder / "radio.log")]
        self._start("phone", line, {})
        said = self.folder / "phone.out"
        deadline = time.monotonic() + READY_S_MAX
        while "Ctrl-C" not in said.read_text(encoding="utf-8"):
            assert self.processes["phone"].poll() is None, said.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, "the phone does not say that it is there"
            time.sleep(0.05)
        phone = said.read_text(encoding="utf-8").split("\n\n")[1]
        config = self.folder / "phones.toml"
        webhook = f'[webhook]\nport = {hook_port}\nurl = "http://127.0.0.1:{hook_port}"'
        config.write_text(f"{phone}\npoll_s = 0.1\n{webhook}\n", encoding="utf-8")
        config.chmod(0o600)

    def start_driver(self) -> None:
        """Start the driver as its owner would."""
        token = self.folder / "driver.token"
        if not token.exists():
            created = self.gateway.command("driver-token", "create", "office", "--json")
            token.write_text(json.loads(created)["token"], encoding="ascii")
            token.chmod(0o600)
        settings = {
            "INFINIREACH_VAR": str(self.folder),
            "INFINIREACH_DRIVER_CORE": self.gateway.run["grpc"],
            "INFINIREACH_DRIVER_TOKEN_FILE": str(token),
            "INFINIREACH_ANDROID_CONFIG": str(self.folder / "phones.toml"),
        }
        self._start("driver", [*CLI, "driver", "android"], settings)

    def kill_driver(self) -> None:
        """End the driver as a power cut would."""
        driver = self.processes.pop("driver")
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait(STOP_S_MAX)

    def stop(self) -> None:
        """End both."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(STOP_S_MAX)

    def tell(self, order: str, **fields: Any) -> dict[str, Any]:
        """Tell the phone something."""
        answer = control_socket.ask(self.socket, {order: fields}, timeout_s=10)
        assert answer["ok"], answer
        return answer

    def parts(self, to: str) -> list[tuple[int, int, int]]:
        """What the network took for a number: SIM, part and parts of each."""
        lines = (self.folder / "radio.log").read_text(encoding="utf-8").splitlines()
        taken = [json.loads(line) for line in lines]
        return [(part["sim"], part["part"], part["parts"]) for part in taken if part["to"] == to]

    def _start(self, name: str, line: list[str], settings: Mapping[str, str]) -> None:
        with (self.folder / f"{name}.out").open("ab") as output:
            self.processes[name] = subprocess.Popen(
                line, env={**os.environ, **settings}, stdout=output, stderr=output
            )


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Generator[Office]:
    """A gateway that sends and receives through a phone."""
    folder = tmp_path_factory.mktemp("office")
    gateway = Gateway(folder / "gateway" / "var", options=("--no-driver",))
    gateway.var.parent.mkdir()
    made = Office(gateway, folder)
    try:
        gateway.start()
        made.start_phone()
        made.start_driver()
        yield made
    finally:
        made.stop()
        gateway.stop()


@pytest.fixture
async def caller(office: Office) -> AsyncGenerator[Client]:
    """A caller with a key of the demo tenant, once the phone is there."""
    async with office.gateway.client() as client:
        await eventually(lambda: phone_is(client, "online"), "the phone is there")
        yield client


async def phone_is(client: Client, status: str) -> bool:
    """Whether the phone has a status."""
    devices = (await client.get("/api/v1/devices"))["devices"]
    return any(device["status"] == status for device in devices if device["name"] == "fake")


async def inbound(client: Client, text: str) -> list[dict[str, Any]]:
    """The messages that came in with this text."""
    page = await client.get("/api/v1/messages?direction=inbound&limit=100")
    return [message for message in page["messages"] if message["message"] == text]


async def test_the_published_command_goes_out_and_its_report_comes_back_as_a_webhook(
    office: Office, caller: Client
) -> None:
    async with hook(caller, ["message.sent", "message.delivered"]) as receiving:
        accepted = (await caller.request("POST", "/api/v1/messages", raw=SMS)).json
        delivered = await receiving.wait_for(accepted["messageId"], "message.delivered")
        assert receiving.names(accepted["messageId"]) == ["message.sent", "message.delivered"]
    receiving.verify(delivered)
    data = json.loads(delivered.body)["data"]
    assert (data["from"], data["to"], data["status"]) == (NUMBER, "+1234567890", "delivered")
    assert office.parts("+1234567890") == [(1, 1, 1)]


async def test_a_long_text_goes_out_in_parts_and_is_delivered_when_all_are(
    office: Office, caller: Client
) -> None:
    message_id = await caller.send(to="+15551230001", message="ä long text 😀 " * 12)
    message = await caller.message_in(message_id, "delivered")
    assert office.parts("+15551230001") == [(1, number, 3) for number in (1, 2, 3)]
    assert message["segments"] == 3


async def test_each_number_of_the_phone_has_its_sim(office: Office, caller: Client) -> None:
    message_id = await caller.send(to="+15551230002", **{"from": SECOND})
    await caller.message_in(message_id, "delivered")
    assert office.parts("+15551230002") == [(2, 1, 1)]
    office.tell("inbound", body="For the second", sim=2, **{"from": WRITER})
    [message] = await eventually(lambda: inbound(caller, "For the second"), "it is listed")
    assert (message["from"], message["to"]) == (WRITER, SECOND)


async def test_what_comes_in_is_told_of_once_though_the_phone_tells_twice(
    office: Office, caller: Client
) -> None:
    async with hook(caller, ["message.inbound"]) as receiving:
        office.tell("fault", name="webhook_doubled")
        office.tell("inbound", body="Are you there?", **{"from": WRITER})
        [message] = await eventually(lambda: inbound(caller, "Are you there?"), "it is listed")
        await receiving.wait_for(message["id"], "message.inbound")
        office.tell("inbound", body="The next one", **{"from": WRITER})
        [later] = await eventually(lambda: inbound(caller, "The next one"), "it is listed")
        await receiving.wait_for(later["id"], "message.inbound")
        assert receiving.names(message["id"]) == ["message.inbound"]
    assert len(await inbound(caller, "Are you there?")) == 1
    assert message["to"] == NUMBER


async def test_a_repeated_external_id_is_sent_once(office: Office, caller: Client) -> None:
    body = {
        "to": "+15551230003",
        "message": "Once",
        "from": NUMBER,
        "channel": "sms",
        "externalId": "order-1",
    }
    ids = {(await caller.request("POST", "/api/v1/messages", body)).json["messageId"] for _ in range(2)}
    assert len(ids) == 1
    await caller.message_in(ids.pop(), "delivered")
    assert office.parts("+15551230003") == [(1, 1, 1)]


async def test_while_the_phone_is_away_messages_wait_and_then_go_once(office: Office, caller: Client) -> None:
    office.tell("fault", name="away")
    message_ids = [await caller.send(to=f"+1555123010{number}") for number in range(3)]
    office.tell("inbound", body="While you were away", **{"from": WRITER})
    await eventually(lambda: phone_is(caller, "degraded"), "the phone is known to be away", within_s=60)
    office.tell("clear")
    for number, message_id in enumerate(message_ids):
        await caller.message_in(message_id, "delivered", within_s=90)
        assert office.parts(f"+1555123010{number}") == [(1, 1, 1)]
    await eventually(lambda: inbound(caller, "While you were away"), "it is listed", within_s=90)


async def test_a_driver_that_is_killed_sends_nothing_twice_and_loses_nothing(
    office: Office, caller: Client
) -> None:
    message_ids = [await caller.send(to=f"+1555123020{number}") for number in range(6)]
    await until(lambda: office.parts("+15551230200"), "the first was sent")
    office.kill_driver()
    office.tell("inbound", body="While nobody listened", **{"from": WRITER})
    office.start_driver()
    for message_id in message_ids:
        await caller.message_in(message_id, "delivered", within_s=60)
    sent = Counter(part for number in range(6) for part in office.parts(f"+1555123020{number}"))
    assert sent == {(1, 1, 1): 6}
    await eventually(lambda: inbound(caller, "While nobody listened"), "it is listed")
    assert len(await inbound(caller, "While nobody listened")) == 1
