"""Ports of every kind: a terminal, a socket, RFC 2217, a loop; opened for one alone, lost, stalled and closed."""

import asyncio
import contextlib
import os
import pty
import socket
import stat
import subprocess
import sys
import threading
import tty
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import serial
import serial.rfc2217

from drivers.modem.link import port as port_module
from drivers.modem.link import port_errors
from drivers.modem.link.device_thread import DeviceThread
from drivers.modem.link.port import (
    Port,
    PortBusy,
    PortFailed,
    PortLost,
    PortMissing,
    PortStalled,
    open_port,
)
from tests.fakes.modem_peer import ModemPeer, on_socket, on_terminal

Carrier = Callable[[ModemPeer], AbstractAsyncContextManager[str]]
CARRIERS = [pytest.param(on_terminal, id="terminal"), pytest.param(on_socket, id="socket")]
WITHIN_S = 20.0
HANG_UP = b"hang up"
HOLD = """
import os, sys
from pathlib import Path
Path("/proc/self/comm").write_text(sys.argv[2])
port = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
print("held", flush=True)
sys.stdin.read()
"""

UNTRACEABLE = [f"spy:///dev/null{rest}" for rest in ("", "?file=", "?file=/none/x", "?file=/dev/null")]


async def read_exactly(port: Port, octets: int) -> bytes:
    data = b""
    async with asyncio.timeout(WITHIN_S):
        while len(data) < octets:
            data += await port.read()
    return data


async def until_lost(port: Port) -> PortLost:
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                await port.read()
            except PortLost as error:
                return error


def times_open(url: str) -> int:
    """How often this process has a terminal open."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found += str(descriptor.readlink()) == url
    return found


def reader_threads(url: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"modem port reader {url}"]


@contextlib.contextmanager
def terminal_server() -> Generator[str]:
    """A server of RFC 2217, as `ser2net` is, in front of a device that says what it hears."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve_rfc2217, args=(listener,), daemon=True).start()
        yield f"rfc2217://127.0.0.1:{listener.getsockname()[1]}"


def serve_rfc2217(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    device: Any = serial.serial_for_url("loop://", timeout=0)
    writer: Any = SimpleNamespace(write=connection.sendall)
    manager = serial.rfc2217.PortManager(device, writer)
    with contextlib.suppress(OSError):
        while HANG_UP not in (data := connection.recv(1024)):
            device.write(b"".join(manager.filter(data)))
            connection.sendall(b"".join(manager.escape(device.read(4096))))
    connection.close()
    device.close()


# What goes through.


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_every_octet_goes_through_in_both_directions(carrier: Carrier) -> None:
    every_octet = bytes(range(256)) * 20
    peer = ModemPeer({"AT+X": every_octet})
    async with carrier(peer) as url:
        port = await open_port(url)
        await port.write(b"AT+X\r")
        assert await read_exactly(port, len(every_octet)) == every_octet
        await port.write(b"\xff\x00\x11\x13\r")
        await peer.until_heard("\xff\x00\x11\x13")
        await port.close()


@pytest.mark.filterwarnings("ignore:set(Daemon|Name).. is deprecated:DeprecationWarning")  # pyserial's own
async def test_every_octet_goes_through_a_terminal_server() -> None:
    with terminal_server() as url:
        port = await open_port(url)
        every_octet = bytes(range(256))
        await port.write(every_octet)
        assert await read_exactly(port, len(every_octet)) == every_octet
        await port.close()


@pytest.mark.filterwarnings("ignore:set(Daemon|Name).. is deprecated:DeprecationWarning")  # pyserial's own
async def test_a_terminal_server_that_hangs_up_is_noticed() -> None:
    with terminal_server() as url:
        port = await open_port(url)
        await port.write(HANG_UP)
        await until_lost(port)
        await port.close()


async def test_the_loop_of_pyserial_is_a_port_too() -> None:
    port = await open_port("loop://")
    await port.write(b"hello")
    assert await read_exactly(port, 5) == b"hello"
    await port.close()


@pytest.mark.filterwarnings("ignore:.*trace.txt")  # pyserial leaves the file to the garbage collector
@pytest.mark.parametrize("is_there", [False, True])
async def test_a_spy_shows_what_goes_over_a_terminal_to_its_owner_alone(
    tmp_path: Path, *, is_there: bool
) -> None:
    trace = tmp_path / "trace.txt"
    if is_there:
        trace.touch(0o644)
    async with on_terminal(ModemPeer({"AT": b"OK\r\n"})) as name:
        port = await open_port(f"spy://{name}?file={trace}")
        await port.write(b"AT\r")
        assert await read_exactly(port, 4) == b"OK\r\n"
        await port.close()
    assert "41 54 0D" in trace.read_text()
    assert stat.S_IMODE(trace.stat().st_mode) == 0o600


async def test_what_nobody_fetches_waits_in_the_device_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(port_module, "CHUNKS_WAITING_MAX", 2)
    peer = ModemPeer()
    async with on_socket(peer) as url:
        port = await open_port(url)
        await port.write(b"AT\r")
        await peer.until_heard("AT")
        data = os.urandom(200_000)
        peer.say(data)
        assert await read_exactly(port, len(data)) == data
        await port.close()


# Opening.


async def test_a_port_is_for_one_alone() -> None:
    async with on_terminal(ModemPeer()) as name:
        port = await open_port(name)
        with pytest.raises(PortBusy):
            await open_port(name)
        await port.close()
        again = await open_port(name)
        await again.close()


@pytest.mark.parametrize("process_name", ["ModemManager", "minicom"])
async def test_who_has_the_port_is_named(process_name: str) -> None:
    async with on_terminal(ModemPeer()) as name:
        with held(name, process_name):
            first = await open_port(name) if process_name != "ModemManager" else None
            with pytest.raises(PortBusy, match=process_name) as busy:
                await open_port(name)
            if first is not None:
                await first.close()
    assert ("ID_MM_DEVICE_IGNORE" in busy.value.remedy) == (process_name == "ModemManager")


@contextlib.contextmanager
def held(name: str, process_name: str) -> Generator[None]:
    """Another process of this name has the terminal open."""
    with subprocess.Popen(
        [process_name, "-c", HOLD, name, process_name],
        executable=sys.executable,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield
        process.communicate()


def test_modem_manager_is_suspected_where_it_runs_and_nobody_may_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(port_errors, "is_running", lambda name: name == "ModemManager")
    assert "may have the port" in port_errors.busy("/dev/ttyUSB0", "").sentence
    assert "may have" not in port_errors.busy("/dev/ttyUSB0", "minicom").sentence


async def test_a_port_that_is_not_there_is_missing(tmp_path: Path) -> None:
    for url in [str(tmp_path / "ttyUSB0"), f"socket://127.0.0.1:{unused_port()}"]:
        with pytest.raises(PortMissing) as missing:
            await open_port(url)
        assert url in missing.value.sentence


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.mark.parametrize("url", ["/dev/null", "unknown://x", "socket://127.0.0.1", "/", *UNTRACEABLE])
async def test_what_can_be_no_port_fails_with_a_sentence(url: str) -> None:
    with pytest.raises(PortFailed) as failed:
        await open_port(url)
    assert failed.value.sentence.endswith(".")
    assert failed.value.remedy


@pytest.mark.parametrize("number", [13, 1])
def test_a_port_of_another_group_fails_with_the_remedy(number: int) -> None:
    error = port_errors.opening_failed("/dev/ttyUSB0", serial.SerialException(number, "denied"))
    assert isinstance(error, PortFailed)
    assert "dialout" in error.remedy


async def test_an_opening_that_takes_too_long_fails_and_its_port_is_closed_when_it_opens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_open, was_closed = threading.Event(), threading.Event()

    class Slow:
        def close(self) -> None:
            was_closed.set()

    def open_slowly(*_: object) -> Slow:
        may_open.wait(WITHIN_S)
        return Slow()

    monkeypatch.setattr(port_module, "_open_device", open_slowly)
    with pytest.raises(PortFailed, match="did not open"):
        await open_port("/dev/slow", open_timeout_s=0.02)
    may_open.set()
    assert await asyncio.to_thread(was_closed.wait, WITHIN_S)


# Losing and closing.


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_hang_up_is_noticed_and_the_port_closed_at_once(carrier: Carrier) -> None:
    peer = ModemPeer({"AT": b"OK\r\n"})
    async with carrier(peer) as url:
        port = await open_port(url)
        [reader] = reader_threads(url)
        await port.write(b"AT\r")
        assert await read_exactly(port, 4) == b"OK\r\n"
        peer.hang_up()
        await until_lost(port)
        await asyncio.to_thread(reader.join, WITHIN_S)
        assert not reader.is_alive()
        assert times_open(url) == 0
        with pytest.raises(PortLost):
            await port.write(b"AT\r")
        await port.close()


async def test_what_came_before_the_loss_can_still_be_read() -> None:
    peer = ModemPeer({"AT": b"OK\r\n"})
    async with on_terminal(peer) as name:
        port = await open_port(name)
        [reader] = reader_threads(name)
        await port.write(b"AT\r")
        await asyncio.wait_for(news_of(port).wait(), WITHIN_S)
        peer.hang_up()
        await asyncio.to_thread(reader.join, WITHIN_S)
        assert await port.read() == b"OK\r\n"
        await until_lost(port)
        await port.close()


def news_of(port: Port) -> asyncio.Event:
    return vars(port)["_has_news"]


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_closing_wakes_who_reads_and_frees_the_port(carrier: Carrier) -> None:
    async with carrier(ModemPeer()) as url:
        times = times_open(url)
        port = await open_port(url)
        [reader] = reader_threads(url)
        reading = asyncio.ensure_future(port.read())
        await asyncio.sleep(0)
        await port.close()
        with pytest.raises(PortLost):
            await reading
        await asyncio.to_thread(reader.join, WITHIN_S)
        assert not reader.is_alive()
        assert times_open(url) == times
        await port.close()


async def test_a_device_that_takes_nothing_stalls_and_does_not_get_it_later() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    name = os.ttyname(slave)
    port = await open_port(name, write_timeout_s=0.1)
    with pytest.raises(PortStalled):
        await port.write(b"AT+STALE\r" * 100_000)
    await asyncio.to_thread(os.read, master, 1_000_000)
    await port.write(b"AT\r")
    received = b""
    while not received.endswith(b"AT\r"):
        received += await asyncio.to_thread(os.read, master, 1_000_000)
    await port.close()
    os.close(slave)
    os.close(master)


async def test_a_short_write_does_not_overtake_a_long_one_that_nobody_waits_for() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    port = await open_port(os.ttyname(slave))
    long = b"x" * 100_000
    writing = asyncio.ensure_future(port.write(long))
    received = await asyncio.to_thread(os.read, master, 1)
    writing.cancel()
    following = asyncio.ensure_future(port.write(b"AT\r"))
    async with asyncio.timeout(WITHIN_S):
        while not received.endswith(b"AT\r"):
            received += await asyncio.to_thread(os.read, master, len(long))
    assert received == long + b"AT\r"
    await following
    await port.close()
    os.close(slave)
    os.close(master)


async def test_closing_does_not_wait_for_a_write_that_stalls() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    port = await open_port(os.ttyname(slave), write_timeout_s=1000)
    writing = asyncio.ensure_future(port.write(b"x" * 1_000_000))
    async with asyncio.timeout(WITHIN_S):
        await asyncio.to_thread(os.read, master, 1)
        await port.close()
        await asyncio.wait([writing])
    assert not writing.exception() or isinstance(writing.exception(), PortLost)
    os.close(slave)
    os.close(master)


async def test_closing_does_not_hang_on_a_device_that_does_not_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(port_module, "CLOSE_TIMEOUT_S", 0.05)
    lets_go = threading.Event()

    class Stuck:
        timeout = None

        def read(self, octets: int) -> bytes:
            lets_go.wait(WITHIN_S)
            return b""

        def close(self) -> None:
            lets_go.wait(WITHIN_S)

    port = Port("/dev/stuck", Stuck(), DeviceThread("stuck"))
    await port.close()
    assert not lets_go.is_set()
    lets_go.set()
