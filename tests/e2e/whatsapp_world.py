"""A gateway, the driver of WhatsApp's Cloud API and a fake Graph, for the tests that go all the way.

Everything of ours is a process of its own; only Graph is in the tests' own, so that they can look at it and spoil it.
"""

import json
import os
import signal
import subprocess
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.cli.roles import command_of
from drivers.runtime import control_socket
from drivers.whatsapp_cloud.fake_graph import FakeGraph, Number, Taken, Template
from tests.e2e.gateway import STOP_S_MAX, WAIT_S_MAX, Client, Gateway, eventually, until
from tests.e2e.hooks import Hook
from tests.fakes.whatsapp_files import DEVICES, whatsapp_toml, write_secret
from tools.engines.ports import free_port

NUMBERS = (Number("+15559870001", "1001"), Number("+15559870002", "1002"))
"""Of the devices; the second one may write to groups."""
NUMBER = NUMBERS[0].number
SENT, DELIVERED, READ = "message.sent", "message.delivered", "message.read"


@dataclass(slots=True)
class World:
    """A gateway, a driver and a Graph."""

    gateway: Gateway
    graph: FakeGraph
    token_file: Path
    config: Path
    driver: subprocess.Popen[bytes] | None = None
    _users: int = 0

    def start_driver(self) -> None:
        """Run the driver as a person would."""
        environment = {
            **os.environ,
            "INFINIREACH_VAR": str(self.gateway.var),
            "INFINIREACH_DRIVER_CORE": self.gateway.run["grpc"],
            "INFINIREACH_WHATSAPP_CONFIG": str(self.config),
            "INFINIREACH_WHATSAPP_RECOVER_S": "2",
        }
        with (self.gateway.var / "logs" / "whatsapp.log").open("ab") as log:
            self.driver = subprocess.Popen(
                command_of("core.cli.main", "driver", "whatsapp-cloud"),
                env=environment,
                stdout=log,
                stderr=log,
            )

    def stop_driver(self) -> None:
        """End the driver in order."""
        if self.driver is not None:
            self.driver.terminate()
            self.driver.wait(STOP_S_MAX)

    def kill(self, *, is_core: bool = False) -> None:
        """kill -9 of the driver, or of the core, which comes back by itself."""
        if is_core:
            os.kill(json.loads((self.gateway.var / "run.json").read_text())["pids"]["core"], signal.SIGKILL)
            return
        assert self.driver is not None
        self.driver.kill()
        self.driver.wait(STOP_S_MAX)

    def user(self) -> str:
        """A number that nobody wrote to yet."""
        self._users += 1
        return f"+1555777{self._users:04d}"

    async def users_who_wrote(self, count: int) -> list[str]:
        """Users whom anything may be sent to for a day."""
        users = [self.user() for _ in range(count)]
        for user in users:
            self.graph.inbound(user, text="Hello?")
        await self.webhooks_are_through()
        return users

    async def webhooks_are_through(self) -> None:
        """Wait until the driver has taken every webhook."""
        await self.graph.until(lambda: self.graph.callback.waiting == 0)

    def taken(self, user: str) -> list[Taken]:
        """What Graph accepted for a user."""
        return [each for each in self.graph.taken if each.recipient.id == user.lstrip("+")]

    def check_logs(self, *words: str) -> None:
        """No log shows one of these, nor a secret of this world."""
        secrets = [*words, self.graph.token, self.graph.credentials.app_secret]
        for path in sorted((self.gateway.var / "logs").iterdir()):
            text = path.read_text(encoding="utf-8")
            assert text or path.name != "whatsapp.log", "the driver wrote no log"
            for secret in secrets:
                assert secret not in text, f"{path.name} shows {secret}"

    def counters(self) -> dict[str, int]:
        """What the driver counted of webhooks."""
        path = self.gateway.var / "whatsapp.sock"
        return control_socket.ask(path, {"status": {}}, timeout_s=10)["counts"]


@asynccontextmanager
async def whatsapp_world(folder: Path) -> AsyncGenerator[World]:
    """A gateway and a driver at work."""
    port = free_port()
    config, token_file, secret_file = folder / "whatsapp.toml", folder / "token", folder / "secret"
    async with AsyncExitStack() as stack:
        gateway = Gateway(folder / "var")
        stack.callback(gateway.stop)
        gateway.start()
        graph = await stack.enter_async_context(
            FakeGraph(
                numbers=NUMBERS,
                templates=[Template("order", "de", parameters=2)],
                callback_url=f"http://127.0.0.1:{port}/whatsapp",
                retry_s=0.05,
            )
        )
        write_secret(token_file, graph.token)
        write_secret(secret_file, graph.credentials.app_secret)
        write_secret(config, whatsapp_toml(graph, port, token_file, [secret_file] * len(NUMBERS)))
        made = World(gateway, graph, token_file, config)
        stack.callback(made.stop_driver)
        made.start_driver()
        async with gateway.client() as client:
            await device_is(client, "online")
        yield made


async def device_is(client: Client, status: str, *, name: str = DEVICES[0], reason: str | None = None) -> Any:
    """A device, as soon as it is as wanted."""

    async def look() -> Any:
        for device in (await client.get("/api/v1/devices"))["devices"]:
            if (device["name"], device["status"]) == (name, status):
                return device if reason in {None, device["statusReason"]} else None
        return None

    return await eventually(look, f"{name} is {status} ({reason})", within_s=40)


async def send(client: Client, to: str, text: str | None = "Hello", **changes: Any) -> str:
    """Post a WhatsApp message; its id."""
    values = {"to": to, "message": text, "from": NUMBER, "channel": "whatsapp"} | changes
    return (await client.post("/api/v1/messages", {k: v for k, v in values.items() if v is not None}))[
        "messageId"
    ]


async def read(client: Client, message_id: str, *, within_s: float = WAIT_S_MAX) -> Any:
    """A message, as soon as its recipient has read it."""

    async def look() -> Any:
        found = await client.get(f"/api/v1/messages/{message_id}")
        return found if found.get("readAt") else None

    return await eventually(look, f"{message_id} is read", within_s=within_s)


async def inbound(receiving: Hook, sender: str, *, count: int = 1) -> list[dict[str, Any]]:
    """What the webhooks told of a user's messages, as soon as there are so many."""

    def look() -> list[dict[str, Any]] | None:
        told = [json.loads(request.body)["data"] for request in receiving.receiver.requests]
        found = [data for data in told if data["from"] == sender]
        return found if len(found) >= count else None

    return await until(look, f"{count} messages come in")
