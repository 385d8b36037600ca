"""The fake Graph as a command: it runs until a signal, and has files that the driver can be pointed at.

Parses no arguments and prints nothing itself.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from drivers.fake_kit.serving import listen, stop_signal
from drivers.whatsapp_cloud.fake_graph.acceptance import Rules
from drivers.whatsapp_cloud.fake_graph.checking import Template
from drivers.whatsapp_cloud.fake_graph.graph import NUMBER, Credentials, FakeGraph
from drivers.whatsapp_cloud.fake_graph.notices import Number
from drivers.whatsapp_cloud.fake_graph.orders import Orders

SOCKET_NAME = "graph.sock"
CONFIG_NAME, TOKEN_NAME, SECRET_NAME = "whatsapp.toml", "token", "app-secret"
PORT = 8085
CALLBACK_URL = "http://127.0.0.1:8087/whatsapp"
WEBHOOKS_AT_ONCE = 8


@dataclass(slots=True, frozen=True)
class Options:
    """How it is to be."""

    folder: Path
    """For the control socket, and for whatsapp.toml with the token and the application's secret beside it."""
    port: int = PORT
    """On 127.0.0.1; 0: any that is free."""
    numbers: Sequence[Number] = (NUMBER,)
    templates: Sequence[Template] = ()
    callback_url: str = CALLBACK_URL
    credentials: Credentials = field(default_factory=Credentials)
    rules: Rules | None = None
    control_socket: Path | None = None
    """None: `graph.sock` in the folder."""

    @property
    def socket_path(self) -> Path:
        """Where the control socket is."""
        return self.control_socket or self.folder / SOCKET_NAME


def serve(options: Options, *, say: Callable[[str], None]) -> None:
    """Run until SIGTERM or SIGINT. `say` gets the text and the place of a whatsapp.toml once it listens.

    Raises SocketUnusable or OSError if it cannot be.
    """
    asyncio.run(run(options, say=say))


async def run(options: Options, *, say: Callable[[str], None]) -> None:
    """As `serve`, in a loop that runs already."""
    stopped = stop_signal()
    token_path, secret_path = options.folder / TOKEN_NAME, options.folder / SECRET_NAME
    async with AsyncExitStack() as stack:
        graph = FakeGraph(
            numbers=options.numbers,
            templates=options.templates,
            rules=options.rules,
            callback_url=options.callback_url,
            credentials=options.credentials,
            port=options.port,
        )
        graph.callback.at_once = WEBHOOKS_AT_ONCE
        orders = Orders(graph, token_changed=lambda token: write_secret(token_path, token))
        await listen(stack, options.socket_path, orders.carry_out)
        await stack.enter_async_context(graph)
        write_secret(token_path, graph.token)
        write_secret(secret_path, graph.credentials.app_secret)
        text = configuration(graph, token_path.absolute(), secret_path.absolute())
        config_path = options.folder.absolute() / CONFIG_NAME
        write_secret(config_path, text)
        say(f"# INFINIREACH_WHATSAPP_CONFIG={config_path}\n{text}")
        await stopped.wait()


def write_secret(path: Path, secret: str) -> None:
    """Write a file that only its owner can read, in one step, so that nobody reads half of it."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as opened:
        opened.write(f"{secret}\n")
    beside.replace(path)


def configuration(graph: FakeGraph, token_path: Path, secret_path: Path) -> str:
    """The whatsapp.toml with which the driver talks to this fake."""
    callback = urlsplit(graph.callback.url)
    lines = [
        "[graph]",
        f'url = "{graph.url}"',
        "",
        "[webhook]",
        f'host = "{callback.hostname}"',
        f"port = {callback.port or 80}",
        f'path = "{callback.path or "/"}"',
        f'verify_token = "{graph.credentials.verify_token}"',
    ]
    for place, number in enumerate(graph.numbers.values(), start=1):
        lines += [
            "",
            "[[number]]",
            f'name = "whatsapp{place}"',
            f'number = "{number.number}"',
            f'phone_number_id = "{number.phone_number_id}"',
            f'token_file = "{token_path}"',
            f'app_secret_file = "{secret_path}"',
        ]
    return "\n".join(lines)
