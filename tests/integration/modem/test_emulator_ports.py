"""The ports of an emulated modem: a device file and a TCP port, as pyserial opens them."""

import asyncio
import os
import select
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import serial

from drivers.modem.emulator import Emulator

READ_TIMEOUT_S = 10.0
AWAY_S = 0.05


@pytest.fixture
async def emulator() -> AsyncGenerator[Emulator]:
    """A modem that works."""
    async with Emulator() as made:
        yield made


def opened(port: Path | str) -> serial.SerialBase:
    """A port as a program opens it."""
    return serial.serial_for_url(str(port), baudrate=115200, timeout=READ_TIMEOUT_S)


def told(port: serial.SerialBase, command: str) -> bytes:
    """What a modem says to a command, up to its result."""
    port.write(command.encode() + b"\r")
    return port.read_until(b"OK\r\n")


def told_once(port: Path | str, command: str) -> bytes:
    """The same of a program that opens the port only for it."""
    with opened(port) as connection:
        return told(connection, command)


async def test_a_program_talks_to_the_device_file(emulator: Emulator) -> None:
    port = await emulator.open_pty()
    assert await asyncio.to_thread(told_once, port, "AT") == b"AT\r\r\nOK\r\n"


async def test_the_modem_keeps_its_state_when_its_port_is_opened_again(emulator: Emulator) -> None:
    port = await emulator.open_pty()
    await asyncio.to_thread(told_once, port, "ATE0")
    assert await asyncio.to_thread(told_once, port, "AT") == b"\r\nOK\r\n"


async def test_what_is_said_while_nobody_listens_is_lost(emulator: Emulator) -> None:
    port = await emulator.open_pty()
    await asyncio.to_thread(told_once, port, "ATE0+CNMI=2,1")
    emulator.deliver("Hello")
    await emulator.until(lambda: emulator.modem.stored()["SM"] == [1])
    assert await asyncio.to_thread(told_once, port, "AT") == b"\r\nOK\r\n"


async def test_who_only_listens_hears_what_is_said(emulator: Emulator) -> None:
    port = await emulator.open_pty()
    await asyncio.to_thread(told_once, port, "ATE0+CNMI=2,1")
    with opened(port) as connection:
        emulator.deliver("Hello")
        heard = await asyncio.to_thread(connection.read_until, b"1\r\n")
    assert heard == b'\r\n+CMTI: "SM",1\r\n'


async def test_what_one_program_left_unread_the_next_one_does_not_get(emulator: Emulator) -> None:
    port = await emulator.open_pty()
    await asyncio.to_thread(told_once, port, "ATE0")
    file = os.open(port, os.O_RDWR | os.O_NOCTTY)
    os.write(file, b'AT+COPS=3,2;+CPMS="ME"\r')
    await asyncio.to_thread(select.select, [file], [], [])
    os.close(file)
    # By the time that this is answered the modem has noticed.
    await asyncio.to_thread(told_once, f"socket://127.0.0.1:{await emulator.open_tcp()}", "AT")
    file = os.open(port, os.O_RDWR | os.O_NOCTTY)
    os.write(file, b"AT\r")
    await asyncio.to_thread(select.select, [file], [], [])
    assert os.read(file, 1000) == b"\r\nOK\r\n"
    os.close(file)


async def test_a_program_that_does_not_read_stops_nobody(emulator: Emulator) -> None:
    port, tcp = await emulator.open_pty(), await emulator.open_tcp()
    with opened(port):
        for _ in range(3000):
            emulator.modem.announce("RING" + "x" * 200)
        assert b"OK" in await asyncio.to_thread(told_once, f"socket://127.0.0.1:{tcp}", "AT")


async def test_a_port_disappears_and_comes_back_under_its_name(emulator: Emulator) -> None:
    port = await emulator.open_pty()
    with opened(port) as connection:
        emulator.faults.add("vanish", away_s=AWAY_S, powered=True)
        assert not port.is_symlink()
        with pytest.raises(serial.SerialException):
            await asyncio.to_thread(told, connection, "AT")
    await emulator.until(port.exists)
    assert b"OK" in await asyncio.to_thread(told_once, port, "AT")


async def test_a_port_comes_back_under_another_name(emulator: Emulator) -> None:
    port = await emulator.open_pty()
    emulator.faults.add("vanish", away_s=AWAY_S, moved=True, powered=True)
    moved = port.with_name(port.name + ".2")
    await emulator.until(moved.exists)
    assert not port.is_symlink()
    assert emulator.links == [moved]
    assert b"OK" in await asyncio.to_thread(told_once, moved, "AT")


async def test_a_program_talks_to_the_tcp_port_one_after_the_other(emulator: Emulator) -> None:
    url = f"socket://127.0.0.1:{await emulator.open_tcp()}"
    for _ in range(2):
        assert b"OK" in await asyncio.to_thread(told_once, url, "AT")


async def test_a_second_client_of_a_tcp_port_is_turned_away(emulator: Emulator) -> None:
    number = await emulator.open_tcp()
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    writer.write(b"AT\r")
    await reader.readuntil(b"OK\r\n")
    other_reader, other_writer = await asyncio.open_connection("127.0.0.1", number)
    assert await other_reader.read() == b""
    writer.write(b"AT\r")
    await reader.readuntil(b"OK\r\n")
    other_writer.close()
    writer.close()
    await writer.wait_closed()


async def test_a_tcp_port_disappears_and_comes_back_under_its_number(emulator: Emulator) -> None:
    number = await emulator.open_tcp()
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    writer.write(b"AT\r")
    await reader.readuntil(b"OK\r\n")
    port = await emulator.open_pty()
    emulator.faults.add("vanish", away_s=AWAY_S, powered=True)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()
    await emulator.until(port.exists)
    assert b"OK" in await asyncio.to_thread(told_once, f"socket://127.0.0.1:{number}", "AT")


async def test_nothing_is_left_of_a_modem_that_was_closed() -> None:
    async with Emulator() as emulator:
        port = await emulator.open_pty()
        emulator.faults.add("vanish", away_s=600.0)
    assert not port.parent.exists()
