"""The right port is found among real ones, a modem behind it is set up, and nothing is reset on the way."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.modem.conditions import NotReady, Reason
from drivers.modem.config import ModemConfig
from drivers.modem.emulator import Emulator
from drivers.modem.emulator.general_commands import Equipment
from drivers.modem.life.finder import Finder, PortClaims, connect
from drivers.modem.life.known_port import KnownPort
from drivers.modem.setup.reception import read_reception
from drivers.modem.setup.sim import SimGate
from drivers.modem.setup.start_up import StartUp
from drivers.modem.timing import Timing
from drivers.runtime.clock import SystemClock
from tests.unit.drivers.modem.memory_host import MemoryHost

TIMING = Timing().scaled(50)
IMEI = "350000000000016"
OTHER_IMEI = "350000000000024"


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator() as emulator:
        yield emulator


def finder(
    port: str | Path,
    *,
    claims: PortClaims | None = None,
    imei: str = "",
    timing: Timing = TIMING,
    host: MemoryHost | None = None,
) -> Finder:
    config = ModemConfig("alpha", str(port), "+15559876543", imei=imei)
    context = (host or MemoryHost()).context()
    return Finder(
        config,
        timing,
        SystemClock(),
        connect=connect,
        claims=claims or PortClaims(),
        known=KnownPort(context, config),
        on_unsolicited=lambda unsolicited: None,
    )


async def reason_why_not(finder: Finder) -> Reason:
    with pytest.raises(NotReady) as caught:
        await finder.find()
    return caught.value.condition.reason


async def test_emulated_modem_is_set_up_over_a_pty_and_over_tcp(emulator: Emulator) -> None:
    host = MemoryHost()
    context = host.context()
    for port in str(await emulator.open_pty()), f"socket://127.0.0.1:{await emulator.open_tcp()}":
        one = finder(port)
        found = await one.find()
        try:
            assert found.answers
            config = ModemConfig("alpha", port, "+15559876543")
            gate = SimGate(context, config, TIMING)
            set_up = await StartUp(context, config, TIMING, gate).carry_out(found.connection)
            reception = await read_reception(found.connection, TIMING)
        finally:
            await one.close(found)
        assert set_up.line.imei == IMEI
        assert set_up.line.iccid == emulator.modem.sim.iccid
        assert set_up.notification is not None
        assert set_up.notification.messages == 1
        assert set_up.notification.reports == 2
        assert "SM" in set_up.line.stores
        assert set_up.knows_smsc
        assert not set_up.number_differs
        assert reception.is_registered
        assert reception.signal_percent > 0


async def test_missing_port_is_named(tmp_path: Path) -> None:
    assert await reason_why_not(finder(tmp_path / "none")) is Reason.PORT_MISSING
    assert await reason_why_not(finder(tmp_path / "none*")) is Reason.PORT_MISSING
    assert await reason_why_not(finder("socket://127.0.0.1:1")) is Reason.PORT_MISSING


async def test_port_that_cannot_be_one_is_named() -> None:
    assert await reason_why_not(finder("nonsense://x")) is Reason.PORT_FAILED


async def test_port_of_another_program_is_named_with_its_remedy(emulator: Emulator) -> None:
    port = await emulator.open_pty()
    one = finder(port)
    found = await one.find()
    try:
        with pytest.raises(NotReady) as caught:
            await finder(port).find()
    finally:
        await one.close(found)
    assert caught.value.condition.reason is Reason.PORT_BUSY
    assert str(port) in caught.value.condition.remedy("alpha")


async def test_port_is_free_for_others_after_it_was_closed(emulator: Emulator) -> None:
    port = await emulator.open_pty()
    claims = PortClaims()
    for _ in range(3):
        one = finder(port, claims=claims)
        await one.close(await one.find())


async def test_port_of_another_modem_of_the_same_process_is_left_alone(
    emulator: Emulator, tmp_path: Path
) -> None:
    port = await emulator.open_pty()
    alias = tmp_path / "alias"
    alias.symlink_to(port)
    claims = PortClaims()
    one = finder(port, claims=claims)
    found = await one.find()
    try:
        assert await reason_why_not(finder(alias, claims=claims)) is Reason.PORT_MISSING
    finally:
        await one.close(found)


async def test_silent_port_is_told_and_not_reset(emulator: Emulator) -> None:
    emulator.faults.add("wrong_port")
    one = finder(await emulator.open_pty())
    found = await one.find()
    await one.close(found)
    assert not found.answers


async def test_right_one_of_several_ports_is_found(tmp_path: Path) -> None:
    """A stick whose first port answers nothing, another modem, and the one that is meant."""
    async with (
        Emulator() as silent,
        Emulator(equipment=Equipment(imei=OTHER_IMEI)) as other,
        Emulator() as meant,
    ):
        for place, emulator in enumerate((silent, other, meant)):
            await emulator.open_pty(tmp_path / f"port{place}")
        silent.faults.add("wrong_port")
        one = finder(tmp_path / "port*", imei=IMEI)
        found = await one.find()
        await one.close(found)
        assert found.url == os.fspath(tmp_path / "port2")
        assert await reason_why_not(finder(tmp_path / "port*", imei="350000000000099")) is Reason.WRONG_MODEM


async def test_port_where_the_modem_answered_last_is_its_port_while_nobody_answers(tmp_path: Path) -> None:
    host = MemoryHost()
    async with Emulator() as silent, Emulator() as meant:
        for place, emulator in enumerate((silent, meant)):
            await emulator.open_pty(tmp_path / f"port{place}")
        silent.faults.add("wrong_port")
        meant.faults.add("wrong_port")
        one = finder(tmp_path / "port*", imei=IMEI, host=host)
        assert await reason_why_not(one) is Reason.NOT_ANSWERING
        config = ModemConfig("alpha", str(tmp_path / "port*"), "+15559876543")
        await KnownPort(host.context(), config).keep(os.fspath(tmp_path / "port1"))
        one = finder(tmp_path / "port*", imei=IMEI, host=host)
        found = await one.find()
        await one.close(found)
        assert found.url == os.fspath(tmp_path / "port1")
        assert not found.answers


async def test_port_that_is_lost_as_soon_as_it_is_open_counts_as_missing() -> None:
    def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        # pyserial takes its time to close a socket, which the channel must not take for a modem that is stuck.
        one = finder(f"socket://127.0.0.1:{port}", timing=replace(TIMING, barrier_s=5.0, boot_s=30.0))
        assert await reason_why_not(one) is Reason.PORT_MISSING


async def test_modem_that_still_boots_is_waited_for(emulator: Emulator) -> None:
    emulator.faults.add("hang", seconds=TIMING.boot_s / 2)
    one = finder(await emulator.open_pty())
    found = await one.find()
    await one.close(found)
    assert found.answers


async def test_prompt_that_a_dead_process_left_is_cleared(emulator: Emulator) -> None:
    port = await emulator.open_pty()
    one = finder(port)
    found = await one.find()
    await one.close(found)
    emulator.modem.hear(b"AT+CMGS=20\r")
    again = await one.find()
    await one.close(again)
    assert again.answers
    assert not emulator.network.parts


def test_time_scale_makes_every_wait_shorter() -> None:
    assert Timing().scaled(2).health_s == Timing().health_s / 2
    assert replace(Timing().scaled(2), health_s=60.0).scaled(1).boot_s == Timing().boot_s / 2
