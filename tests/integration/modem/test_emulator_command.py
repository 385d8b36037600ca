"""Many emulated modems in one process, and the socket through which they are told something."""

import asyncio
import socket
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from drivers.modem.codec import submit_pdus
from drivers.modem.emulator.command import Options, run
from drivers.modem.emulator.script import ScriptInvalid
from drivers.runtime import control_socket
from drivers.runtime.control_socket import SOCKET_PATH_BYTES_MAX, SocketUnusable

MODEMS = 64
PARTS = 5


@asynccontextmanager
async def running(options: Options) -> AsyncGenerator[list[str]]:
    """An emulator in this process: the lines that it says once it is there."""
    lines: list[str] = []
    ready = asyncio.Event()

    def say(line: str) -> None:
        lines.append(line)
        if len(lines) == options.modems:
            ready.set()

    task = asyncio.create_task(run(options, say=say), name="emulator")
    waiting = asyncio.create_task(ready.wait(), name="ready")
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        if task.done():
            await task
        yield lines
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, SocketUnusable, ScriptInvalid):
            await task


async def told(options: Options, order: dict[str, Any]) -> dict[str, Any]:
    """The answer through the socket."""
    return await asyncio.to_thread(control_socket.ask, options.socket_path, order, timeout_s=10.0)


async def send_parts(url: str) -> None:
    """Send a few messages through a modem, as fast as it takes them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    pdu = submit_pdus("Hello", destination="+15551230000", reference=0, wants_report=True)[0]
    for _ in range(PARTS):
        writer.write(f"AT+CMGS={pdu.tpdu_octets}\r".encode())
        await reader.readuntil(b"> ")
        writer.write(f"{pdu.hex}\x1a".encode())
        await reader.readuntil(b"OK\r\n")
    writer.close()
    await writer.wait_closed()


def names_in(folder: Path) -> set[str]:
    """What is in a folder."""
    return {path.name for path in folder.iterdir()}


async def test_many_modems_work_at_once_and_each_is_its_own(tmp_path: Path) -> None:
    options = Options(folder=tmp_path, modems=MODEMS, tcp_port=0, radio_s=0.0)
    async with running(options) as lines:
        modems = [line.split() for line in lines]
        assert modems[0][:2] == ["modem1", "+15559876543"]
        assert modems[63][:2] == ["modem64", "+15559876606"]
        assert {Path(path).name for _, _, path, _ in modems} < names_in(tmp_path)
        await asyncio.gather(*(send_parts(url) for _, _, _, url in modems))
        state = await told(options, {"state": {}})
        assert state["network"]["parts"] == MODEMS * PARTS
        for key in ("name", "number", "imei", "iccid"):
            assert len({modem[key] for modem in state["modems"]}) == MODEMS
    assert names_in(tmp_path) == set()


async def test_sims_can_want_a_pin(tmp_path: Path) -> None:
    options = Options(folder=tmp_path, pin="1234")
    async with running(options):
        [modem] = (await told(options, {"state": {}}))["modems"]
        assert (modem["sim"], modem["registration"]) == ("SIM PIN", "none")


async def test_the_socket_is_its_owners_and_bears_nonsense(tmp_path: Path) -> None:
    options = Options(folder=tmp_path, control_socket=tmp_path / "control.sock")
    async with running(options):
        assert stat.S_IMODE(options.socket_path.stat().st_mode) == 0o600
        reader, writer = await asyncio.open_unix_connection(options.socket_path)
        writer.write(b"nonsense\n\xff\n[]\n" + b"[" * 100_000 + b"\n")
        for _ in range(4):
            assert (await reader.readline()).startswith(b'{"ok": false')
        writer.close()
        await writer.wait_closed()


async def test_the_socket_of_a_dead_process_is_replaced_and_that_of_a_living_one_is_not(
    tmp_path: Path,
) -> None:
    options = Options(folder=tmp_path)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(options.socket_path))
    async with running(options):
        with pytest.raises(SocketUnusable, match="already"):
            async with running(options):
                pass
        assert (await told(options, {"state": {}}))["ok"]


async def test_a_path_that_is_too_long_for_a_socket_is_said_so(tmp_path: Path) -> None:
    options = Options(folder=tmp_path, control_socket=tmp_path / ("x" * SOCKET_PATH_BYTES_MAX))
    with pytest.raises(SocketUnusable, match="longer than"):
        async with running(options):
            pass


async def test_a_script_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    script = tmp_path / "faults.jsonl"
    script.write_text("nonsense\n")
    with pytest.raises(ScriptInvalid, match="Line 1"):
        async with running(Options(folder=tmp_path, script=script)):
            pass


async def test_a_script_runs_by_itself(tmp_path: Path) -> None:
    script = tmp_path / "faults.jsonl"
    script.write_text('{"fault": {"name": "no_signal"}}\n')
    options = Options(folder=tmp_path / "modems", script=script)
    async with running(options):
        [modem] = (await told(options, {"state": {}}))["modems"]
        assert modem["faults"] == [{"name": "no_signal"}]
