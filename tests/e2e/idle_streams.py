"""Drivers whose streams carry nothing but heartbeats, through the edge as it is in production.

Owns what counts as undisturbed: the same session all the time, and a message that goes out on it at the end.

python -m tests.e2e.idle_streams --seconds 600
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.e2e.gateway import Client, eventually
from tests.e2e.kills.load import Api
from tests.e2e.kills.many import ManyProcesses

STOP_S_MAX = 20.0
TOKEN_NUMBER = "+15559876550"
SESSIONS = "SELECT name, epoch FROM driver WHERE connected ORDER BY name"


@dataclass(frozen=True, slots=True)
class Figures:
    """How long streams were idle, and the numbers of the drivers' sessions before and after."""

    idle_s: float
    before: dict[str, int]
    after: dict[str, int]


@contextmanager
def driver_by_token(port: int, token: str, number: str, folder: Path, authority: Path) -> Generator[None]:
    """A simulated driver of its own that comes in with a token through the edge."""
    folder.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "INFINIREACH_VAR": str(folder),
        "INFINIREACH_DRIVER_CORE": f"localhost:{port}",
        "INFINIREACH_DRIVER_CA_FILE": str(authority),
        "INFINIREACH_DRIVER_TOKEN": token,
        "INFINIREACH_DRIVER_NAME": "behind-the-edge",
        "INFINIREACH_SIMULATED_DEVICES": json.dumps([{"key": "phone", "number": number}]),
        "INFINIREACH_SIMULATED_DELAY_S": "0",
    }
    line = [sys.executable, "-P", "-m", "drivers.simulated"]
    with (folder / "driver.log").open("ab") as log:
        process = subprocess.Popen(line, env=environment, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(STOP_S_MAX)


async def stay_open(many: ManyProcesses, folder: Path, *, idle_s: float) -> Figures:
    """Leave the drivers by certificate and one by token alone for so long; each then sends on the stream it had."""
    run = many.run()
    api = Api.of(run)
    async with Client(api.url, api.key, tls=api.trust()) as client:
        made = await client.post("/api/v1/driver-tokens", {"name": "behind-the-edge"})
        token, authority = made["driverToken"]["token"], Path(run["ca"])
        with driver_by_token(many.edge_token_port(), token, TOKEN_NUMBER, folder / "driver", authority):
            numbers = [phone.number for phone in many.phones()] + [TOKEN_NUMBER]
            await eventually(lambda: _all_online(client, numbers), "all are online", within_s=60)
            before = await _sessions(many)
            began = time.monotonic()
            await asyncio.sleep(idle_s)
            idle_s = round(time.monotonic() - began, 1)
            for number in numbers:
                sent = await client.send(**{"from": number})
                await client.message_in(sent, "delivered")
            after = await _sessions(many)
    assert before == after
    return Figures(idle_s, before, after)


async def _all_online(client: Client, numbers: list[str]) -> bool:
    devices = (await client.get("/api/v1/devices"))["devices"]
    online = {
        address["number"]
        for device in devices
        if device["status"] == "online"
        for address in device["numbers"]
    }
    return set(numbers) <= online


async def _sessions(many: ManyProcesses) -> dict[str, int]:
    return dict(await asyncio.to_thread(many.query, SESSIONS))


def main() -> None:
    """Start a gateway of its own, leave it alone, print the figures as JSON."""
    parser = argparse.ArgumentParser(description="Whether idle streams of drivers stay open at the edge.")
    parser.add_argument("--seconds", type=float, default=600.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="infinireach-idle-") as folder:
        figures = asyncio.run(_run(Path(folder), options.seconds))
    sys.stdout.write(json.dumps(asdict(figures), indent=2) + "\n")


async def _run(folder: Path, idle_s: float) -> Figures:
    many = ManyProcesses(folder / "var")
    try:
        await many.start()
        return await stay_open(many, folder, idle_s=idle_s)
    finally:
        await many.remove()


if __name__ == "__main__":
    main()
