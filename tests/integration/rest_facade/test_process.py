"""The facade as a process of its own."""

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from tests.integration.rest_facade.conftest import MESSAGE
from tests.integration.rest_facade.stub_core import StubCore
from tests.integration.rest_facade.stub_world import CREDENTIAL
from tools.engines.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
Run = Callable[..., Awaitable[Process]]


@pytest.fixture
async def run(core: StubCore, tmp_path: Path) -> AsyncIterator[Run]:
    """Starts `python -m rest_facade` with variables of the test's own."""
    processes: list[Process] = []

    async def begin(**variables: str) -> Process:
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}:{ROOT / 'proto'}",
            "INFINIREACH_CORE_ADDRESS": f"127.0.0.1:{core.port}",
            "INFINIREACH_SERVICE_CREDENTIAL": CREDENTIAL,
            "INFINIREACH_REST_PORT": "0",
            "INFINIREACH_VAR": str(tmp_path),
            **variables,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-m", "rest_facade", env=environment, stderr=PIPE
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def event_of(process: Process, name: str) -> dict[str, str]:
    """The next log event of that name."""
    assert process.stderr is not None
    async for line in process.stderr:
        event: dict[str, str] = json.loads(line)
        if event["event"] == name:
            return event
    raise AssertionError(f"the process ended without {name}")


async def test_process_serves_and_ends_cleanly_with_its_requests_answered(run: Run, core: StubCore) -> None:
    process = await run()
    base = "http://" + (await event_of(process, "rest.ready"))["rest"]
    async with aiohttp.ClientSession(base, headers={"X-API-Key": "key-of-a"}) as session:
        async with session.get("/readyz") as response:
            assert response.status in {200, 503}
        core.world.gate.clear()
        post = asyncio.create_task(session.post("/api/v1/messages", json=MESSAGE))
        await asyncio.wait_for(core.world.batch_arrived.wait(), 30)
        process.send_signal(signal.SIGTERM)
        await event_of(process, "rest.stopping")
        core.world.gate.set()
        response = await post
        assert response.status == 201
        response.close()
    assert await process.wait() == 0


async def test_log_holds_no_number_text_or_key(run: Run) -> None:
    process = await run()
    base = "http://" + (await event_of(process, "rest.ready"))["rest"]
    canaries = {**MESSAGE, "message": "canary-text", "to": "+19998887766", "externalId": "canary-external"}
    async with aiohttp.ClientSession(base) as session:
        for key in ("key-of-a", "canary-key"):
            for body in (canaries, {**canaries, "channel": "canary-channel"}):
                async with session.post(
                    "/api/v1/messages", json=body, headers={"X-API-Key": key}
                ) as response:
                    await response.read()
    process.send_signal(signal.SIGTERM)
    assert process.stderr is not None
    written = (await process.stderr.read()).decode()
    assert '"status":201' in written
    assert '"status":401' in written
    for canary in ("canary", "9998887766", "key-of-a", "15559876543", CREDENTIAL):
        assert canary not in written
    assert await process.wait() == 0


async def test_taken_port_is_one_clear_line_and_a_failure(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = await run(INFINIREACH_REST_PORT=str(port))
        assert process.stderr is not None
        written = (await process.stderr.read()).decode()
    assert await process.wait() == 2
    settings, problem = written.splitlines()
    assert '"event":"settings"' in settings
    assert problem == f"cannot listen on 127.0.0.1:{port}: Address already in use"


async def test_unusable_settings_are_all_named_and_a_failure(run: Run) -> None:
    process = await run(INFINIREACH_REST_PORT="http", INFINIREACH_REST_PROXIES="-1")
    assert process.stderr is not None
    written = (await process.stderr.read()).decode()
    assert await process.wait() == 2
    assert "INFINIREACH_REST_PORT" in written
    assert "INFINIREACH_REST_PROXIES" in written
    assert "Traceback" not in written


async def test_metrics_are_served_on_their_own_port(run: Run) -> None:
    port = free_port()
    process = await run(INFINIREACH_REST_METRICS_PORT=str(port))
    base = "http://" + (await event_of(process, "rest.ready"))["rest"]
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{base}/healthz") as response:
            assert response.status == 200
        async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
            metrics = await response.text()
    assert 'infinireach_rest_request_seconds_count{route="GET /healthz",status="200"} 1.0' in metrics
    assert "infinireach_rest_waiting_messages 0.0" in metrics
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


async def test_told_to_stop_it_says_so_serves_on_and_ends_at_the_second_signal(run: Run) -> None:
    process = await run(INFINIREACH_REST_STOP_DELAY_S="300")
    base = "http://" + (await event_of(process, "rest.ready"))["rest"]
    async with aiohttp.ClientSession(base, headers={"X-API-Key": "key-of-a"}) as session:
        async with session.post("/api/v1/messages", json=MESSAGE) as response:
            assert (response.status, response.headers["Connection"]) == (201, "keep-alive")
        process.send_signal(signal.SIGTERM)
        while True:
            async with session.get("/readyz") as response:
                if response.status == 503:
                    break
        for method, path, status in (
            ("POST", "/api/v1/messages", 201),
            ("GET", "/healthz", 200),
            ("GET", "/readyz", 503),
            ("GET", "/nowhere", 404),
        ):
            async with session.request(method, path, json=MESSAGE if method == "POST" else None) as response:
                assert (response.status, response.headers["Connection"]) == (status, "close")
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


def peak_bytes(process: Process) -> int:
    """The most memory that a process has had so far."""
    [line] = [
        line
        for line in Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines()
        if line.startswith("VmHWM:")
    ]
    return int(line.split()[1]) * 1024


async def test_of_bodies_whose_callers_have_no_key_nothing_is_kept(run: Run) -> None:
    process = await run()
    host, _, port = (await event_of(process, "rest.ready"))["rest"].rpartition(":")
    before = peak_bytes(process)
    head = b"POST /api/v1/messages HTTP/1.1\r\nHost: a\r\n"
    most = 15 * 1024 * 1024
    chunk = b"%x\r\n%b\r\n" % (most, bytes(most))

    async def send_all_but_the_end(framing: bytes, body: bytes) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(head + framing + b"\r\n\r\n" + body)
        await writer.drain()
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 401")
        await reader.read()
        writer.close()

    await asyncio.gather(
        *(send_all_but_the_end(b"Content-Length: %d" % (most + 1), bytes(most)) for _ in range(8)),
        *(send_all_but_the_end(b"Transfer-Encoding: chunked", chunk) for _ in range(8)),
    )
    assert peak_bytes(process) - before < 4 * most
