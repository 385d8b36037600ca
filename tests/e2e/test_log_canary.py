"""No log of a busy gateway shows whom its users write to, what they write, or what opens it."""

import asyncio
import json
import random
from pathlib import Path

import pytest

from infinireach.v1.devices_service_pb2 import ListDevicesRequest
from tests.e2e.gateway import Client, Gateway, eventually, message, new_id
from tests.e2e.hooks import hook
from tests.e2e.played_driver import hello, played_driver
from tests.e2e.rpcs import rpcs

CANARY = "sunflower-93b1"
NUMBERS = [f"+1555{number:07d}" for number in random.Random(7).sample(range(10**7), 40)]


async def _send(owner: Client) -> None:
    """Messages that go well, that fail in every way, and requests that are refused."""
    texts = [message(to=number, message=f"{CANARY} {number}", externalId=new_id()) for number in NUMBERS]
    fates = [message(to=f"+1500555000{fate}", message=CANARY) for fate in range(10)]
    bad = [
        message(to=f"{NUMBERS[0]}x{CANARY}"),
        message(**{"from": NUMBERS[1]}),
        message(message=CANARY * 999),
    ]
    await asyncio.gather(
        *(owner.request("POST", "/api/v1/messages", body) for body in (*texts, *fates, *bad)),
        owner.request("POST", "/api/v1/messages/batch", {"messages": [*texts, *bad]}),
        owner.request("POST", "/api/v1/messages", raw=f'{{"to": "{NUMBERS[2]}", "{CANARY}'.encode()),
        owner.request("GET", f"/api/v1/messages?to=%2B{NUMBERS[0][1:]}&cursor={CANARY}"),
        owner.request("GET", f"/api/v1/{CANARY}/%2B{NUMBERS[0][1:]}"),
        owner.request("POST", "/api/v1/webhooks", {"url": f"http://127.0.0.1:9/{CANARY}"}),
    )
    last = await owner.send(to=NUMBERS[0], message=CANARY)
    await owner.message_in(last, "delivered")


async def _break(running: Gateway, owner: Client, token: str) -> None:
    """Credentials that do not work, a stream that breaks, and a message that comes in."""
    for key in (f"irk_{CANARY}", owner.key[:-2] + "zz"):
        async with running.client(key) as stranger, rpcs(running.run["grpc"], key) as calls:
            await stranger.request("GET", "/api/v1/devices")
            assert (await calls.call("ListDevices", ListDevicesRequest())).code == "UNAUTHENTICATED"
    async with played_driver(running.run["grpc"], token, [hello(), hello()]) as driver:
        await driver.end()
    running.command(
        *("simulate", "inbound", "--from", NUMBERS[3], "--to", "+15559876543", "--body", CANARY),
    )

    async def came() -> bool:
        return bool((await owner.get(f"/api/v1/messages?from=%2B{NUMBERS[3][1:]}"))["messages"])

    await eventually(came, "the message came in")


@pytest.fixture
def secrets_on_disk(running: Gateway) -> list[str]:
    """What the gateway keeps in files for itself."""
    names = ("driver.token", "service.credential", "demo.key")
    secrets = [(running.var / name).read_text(encoding="utf-8").strip() for name in names]
    keys = (running.var / "master.key").read_text(encoding="utf-8").split()
    return [*secrets, *(part for key in keys for part in key.split(":") if len(part) > 16)]


async def test_no_log_shows_a_number_a_text_a_key_a_token_or_a_secret(
    running: Gateway, owner: Client, other: Client, secrets_on_disk: list[str]
) -> None:
    token = (await other.post("/api/v1/driver-tokens", {"name": CANARY}))["driverToken"]["token"]
    async with hook(owner) as receiving:
        await _send(owner)
        await _break(running, owner, token)
    logs = {path.name: path.read_text(encoding="utf-8") for path in _logs(running)}
    assert {"core.log", "rest.log", "driver.log"} <= set(logs)
    forbidden = [CANARY, owner.key, other.key, token, receiving.secret, *secrets_on_disk]
    forbidden += [number.lstrip("+") for number in (*NUMBERS, "+15559876543", "+15005550000")]
    forbidden += [secret[-32:] for secret in (owner.key, other.key, token)]
    for name, text in logs.items():
        shown = [value for value in forbidden if value in text]
        assert shown == [], f"{name} shows {shown}"
        for line in text.splitlines():
            assert isinstance(json.loads(line), dict), f"{name} has a line that is no JSON object"


def _logs(running: Gateway) -> list[Path]:
    return [path for path in (running.var / "logs").rglob("*") if path.is_file()]
