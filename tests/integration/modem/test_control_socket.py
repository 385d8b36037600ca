"""The control socket of the driver tells how its modems are, asks the network, and lets a PIN be tried again."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from drivers.modem.control import SOCKET_NAME
from drivers.modem.emulator import Emulator
from drivers.modem.emulator.inbound import Kind
from drivers.modem.emulator.sim import Sim
from tests.fakes.core_stub import StubCore
from tests.integration.modem.at_work import NUMBER, Scene, at_work, config, quick_emulator


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with quick_emulator() as emulator:
        yield emulator


@pytest.fixture
async def scene(core: StubCore, folder: Path, emulator: Emulator) -> AsyncIterator[Scene]:
    async with at_work(core, folder, config(await emulator.open_pty(), balance_ussd="*100#")) as scene:
        await scene.told("")
        yield scene


async def ask(folder: Path, request: object) -> dict[str, Any]:
    reader, writer = await asyncio.open_unix_connection(folder / SOCKET_NAME)
    try:
        line = request if isinstance(request, bytes) else json.dumps(request).encode()
        writer.write(line + b"\n")
        return json.loads(await reader.readline())
    finally:
        writer.close()
        await writer.wait_closed()


async def test_status_tells_everything_about_a_modem(scene: Scene, folder: Path, emulator: Emulator) -> None:
    answer = await ask(folder, {"status": {}})
    (modem,) = answer["modems"]
    assert answer["ok"]
    assert modem["name"] == "alpha"
    assert (modem["state"], modem["reason"], modem["window"]) == ("online", "", 3)
    assert modem["imei"] == "350000000000016"
    assert modem["iccid"] == emulator.modem.sim.iccid
    assert modem["operator"]
    assert modem["signal_percent"] > 0
    assert (modem["parts_today"], modem["resets"]) == (0, 0)
    assert modem["balance_ussd"] == "*100#"
    assert NUMBER not in json.dumps(answer)


async def test_status_counts_what_came_in_and_what_became_of_it(
    scene: Scene, folder: Path, emulator: Emulator
) -> None:
    emulator.deliver("Hello")
    emulator.deliver(kind=Kind.SILENT)
    emulator.deliver("x" * 200)
    await scene.core.until(lambda: len(scene.core.inbound) == 2)
    await scene.goes_out()
    answer = await ask(folder, {"status": {}})
    (modem,) = answer["modems"]
    assert modem["counts"].items() >= {"message": 1, "segment": 2, "dropped_silent": 1}.items()
    assert answer["counts"]["segments"]["whole"] == 1
    assert answer["counts"]["reports"]["delivered"] == 1


async def test_network_is_asked_through_the_modem(scene: Scene, folder: Path) -> None:
    answer = await ask(folder, {"ussd": {"device": "alpha", "code": "*100#"}})
    assert answer["ok"]
    assert answer["text"]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"no json", "invalid_request"),
        ({}, "invalid_request"),
        ([], "invalid_request"),
        ({"ussd": {"device": "alpha"}}, "invalid_request"),
        ({"ussd": {"device": "alpha", "code": 'x"\r'}}, "invalid_request"),
        ({"ussd": {"device": "beta", "code": "*100#"}}, "unknown_device"),
        ({"unlock": {"device": "beta"}}, "unknown_device"),
    ],
)
async def test_what_cannot_be_done_is_said(scene: Scene, folder: Path, request_: object, code: str) -> None:
    answer = await ask(folder, request_)
    assert not answer["ok"]
    assert answer["code"] == code
    assert answer["error"]


async def test_socket_is_its_owners_alone(scene: Scene, folder: Path) -> None:
    assert stat.S_IMODE((folder / SOCKET_NAME).stat().st_mode) == 0o600


async def test_socket_is_gone_with_the_driver_even_while_somebody_is_connected(
    core: StubCore, folder: Path, emulator: Emulator
) -> None:
    async with at_work(core, folder, config(await emulator.open_pty())):
        reader, writer = await asyncio.open_unix_connection(folder / SOCKET_NAME)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    assert not (folder / SOCKET_NAME).exists()


async def test_modem_that_is_away_says_why_it_cannot_ask(core: StubCore, folder: Path) -> None:
    async with at_work(core, folder, config(folder / "none")) as scene:
        await scene.told("port_missing")
        for request in {"ussd": {"device": "alpha", "code": "*100#"}}, {"unlock": {"device": "alpha"}}:
            answer = await ask(folder, request)
            assert answer["code"] == "not_ready"
            assert "port_missing" in answer["error"]


async def test_person_unlocks_a_modem_whose_pin_was_refused(core: StubCore, folder: Path) -> None:
    sim = Sim(NUMBER, pin="4321")
    async with quick_emulator(sim=sim) as emulator:
        configured = config(await emulator.open_pty(), pin="1111")
        async with at_work(core, folder, configured) as scene:
            await scene.told("pin_refused")
            sim.pin = "1111"
            assert (await ask(folder, {"unlock": {"device": "alpha"}}))["ok"]
            await scene.goes_out()
