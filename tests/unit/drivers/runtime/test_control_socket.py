"""A control socket answers line by line, its owner alone, and bears whatever is written to it."""

import asyncio
import json
import os
import socket
import stat
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import structlog

from drivers.runtime import control_socket
from drivers.runtime.control_socket import (
    LINE_BYTES_MAX,
    AnswerMissing,
    CarryOut,
    ControlSocket,
    NobodyListens,
    RequestRefused,
    SocketUnusable,
)


@pytest.fixture
def path() -> Iterator[Path]:
    # A socket's path is short, pytest's own folders may be deep.
    with tempfile.TemporaryDirectory(prefix="ir") as folder:
        yield Path(folder) / "var" / "control.sock"


async def echo(request: Any) -> dict[str, Any]:
    """Give back what is asked; "no" is refused."""
    if request == "no":
        raise RequestRefused("not_ready", "Not now.")
    return {"said": request}


class Waiting:
    """Carries out a request for ever."""

    def __init__(self) -> None:
        self.was_asked = asyncio.Event()
        self.was_given_up = asyncio.Event()
        self.may_end = asyncio.Event()

    async def carry_out(self, request: Any) -> dict[str, Any]:
        self.was_asked.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.was_given_up.set()
            raise
        return {}


@asynccontextmanager
async def listening(path: Path, carry_out: CarryOut = echo, **options: Any) -> AsyncGenerator[None]:
    control = ControlSocket(carry_out, **options)
    await control.open(path)
    try:
        yield
    finally:
        await control.close()


async def ask(path: Path, *lines: bytes) -> list[dict[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.writelines(line + b"\n" for line in lines)
        return [json.loads(await reader.readline()) for _ in lines]
    finally:
        writer.close()
        await writer.wait_closed()


async def test_many_requests_on_one_connection_are_answered_in_order(path: Path) -> None:
    async with listening(path):
        assert await ask(path, b"1", b'"no"', b"[2]") == [
            {"ok": True, "said": 1},
            {"ok": False, "code": "not_ready", "error": "Not now."},
            {"ok": True, "said": [2]},
        ]


@pytest.mark.parametrize("line", [b"", b"nonsense", b"\xff\xfe", b"[" * 100_000, b"1" * 100_000])
async def test_line_that_is_no_json_is_refused_and_the_next_one_answered(path: Path, line: bytes) -> None:
    async with listening(path):
        refused, answered = await ask(path, line, b"1")
        assert (refused["ok"], refused["code"]) == (False, "invalid_request")
        assert answered["ok"]


async def test_line_that_is_too_long_ends_the_connection(path: Path) -> None:
    async with listening(path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b" " * (2 * LINE_BYTES_MAX))
        with suppress(ConnectionError):  # the kernel's word for a line that nobody reads any more
            assert await reader.read() == b""
        writer.close()


async def test_many_connections_on_which_nothing_is_asked_keep_nobody_out(path: Path) -> None:
    async with listening(path):
        idle = [await asyncio.open_unix_connection(path) for _ in range(100)]
        assert (await ask(path, b"1"))[0]["ok"]
        for _, writer in idle:
            writer.close()


async def test_connection_on_which_nothing_is_asked_is_closed(path: Path) -> None:
    async with listening(path, idle_s=0.05):
        reader, writer = await asyncio.open_unix_connection(path)
        assert await reader.read() == b""
        writer.close()


async def test_who_hangs_up_gives_up_what_is_not_done_yet(path: Path) -> None:
    waiting = Waiting()
    async with listening(path, waiting.carry_out):
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(b"1\n")
        await waiting.was_asked.wait()
        writer.close()
        await waiting.was_given_up.wait()


async def test_who_only_has_no_further_request_gets_the_answer(path: Path) -> None:
    waiting = Waiting()
    async with listening(path, waiting.carry_out):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"1\n")
        writer.write_eof()
        await waiting.was_asked.wait()
        waiting.may_end.set()
        assert await reader.read() == b'{"ok": true}\n'
        writer.close()


async def test_end_does_not_wait_for_who_is_connected(path: Path) -> None:
    waiting = Waiting()
    async with listening(path, waiting.carry_out):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"1\n")
        await waiting.was_asked.wait()
    assert await reader.read() == b""
    writer.close()
    assert list(path.parent.iterdir()) == []


async def test_only_its_owner_can_use_the_socket(path: Path) -> None:
    async with listening(path):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


async def test_socket_of_a_dead_process_is_replaced_and_that_of_a_living_one_is_not(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with listening(path):
        with pytest.raises(SocketUnusable, match="already"):
            await ControlSocket(echo).open(path)
        assert (await ask(path, b"1"))[0]["ok"]


@pytest.mark.parametrize(("name", "sentence"), [("x" * 120, "longer than 107 bytes"), ("", "cannot be at")])
async def test_path_that_can_be_no_socket_is_named(path: Path, name: str, sentence: str) -> None:
    path.parent.mkdir()
    with pytest.raises(SocketUnusable, match=sentence):
        await ControlSocket(echo).open(path.parent / name)


async def test_driver_that_works_without_its_socket_logs_why_there_is_none(path: Path) -> None:
    log = structlog.get_logger("driver")
    first, second = ControlSocket(echo), ControlSocket(echo)
    with structlog.testing.capture_logs() as logs:
        await first.open_or_log(path, log)
        assert logs == []
        await second.open_or_log(path, log)
        await second.open_or_log(path, log, remedy="set ANOTHER")
    error = f"A process listens at {path} already."
    assert logs == [
        {"event": "control.not_open", "log_level": "error", "error": error, "remedy": remedy}
        for remedy in ("set INFINIREACH_VAR", "set ANOTHER")
    ]
    await second.close()
    assert (await ask(path, b"1"))[0]["ok"]
    await first.close()


async def test_client_gets_the_answer_and_hears_why_there_is_none(path: Path) -> None:
    with pytest.raises(NobodyListens):
        control_socket.ask(path, {}, timeout_s=10)
    async with listening(path):
        answer = await asyncio.to_thread(control_socket.ask, path, {"a": 1}, timeout_s=10)
        assert answer == {"ok": True, "said": {"a": 1}}
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(path))
        mute.listen()
        with pytest.raises(AnswerMissing, match="did not answer: timed out"):
            control_socket.ask(path, {}, timeout_s=0.05)
