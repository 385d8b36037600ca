"""P6: many driver streams on one core process.

Opens the streams from a few client processes, each stream on a connection of its own as a real driver has it, lets all
of them send heartbeats at the core's default interval, and measures: time to open, memory of the core, its processor
time while nothing happens, and how long a message takes from the POST to the command at a random stream.
"""

import asyncio
import json
import random
import resource
import subprocess
import sys
import time
from typing import Any

from bench import processes
from bench.gateway import RECIPIENT, Gateway, run_command, running_gateway
from bench.latency import percentiles
from bench.options import Options
from bench.stream_client import number_of

STREAMS = 10_000
STREAMS_PER_CLIENT = 2_500
DESCRIPTORS_BESIDE = 1_000
"""File descriptors of the core beyond one for each stream."""

OPEN_S_MAX = 1_200.0
IDLE_S = 30
RATE_PER_S = 50
DURATION_S = 20
GRACE_S = 3.0

Client = asyncio.subprocess.Process


def measure(options: Options) -> dict[str, Any]:
    """Run and answer the figures. Raises SystemExit if this process may not open enough files."""
    streams = options.streams or STREAMS
    _allow_files(streams + DESCRIPTORS_BESIDE)
    with running_gateway(options) as gateway:
        return asyncio.run(_measure(gateway, streams, options.seconds or DURATION_S))


async def _measure(gateway: Gateway, streams: int, duration_s: int) -> dict[str, Any]:
    made = run_command(gateway.settings, "driver-token", "create", "--tenant", gateway.tenant, "--json")
    core = gateway.pids["core"]
    rss_before, cpu_before = processes.rss_bytes(core), gateway.cpu_s()
    clients = await _start_clients(gateway.grpc, json.loads(made)["token"], streams)
    try:
        begun = time.monotonic()
        for client in clients:
            await _line(client)
        open_s = time.monotonic() - begun
        rss_open, cpu_open = processes.rss_bytes(core), gateway.cpu_s()
        await asyncio.sleep(IDLE_S)
        rss_idle, cpu_idle = processes.rss_bytes(core), gateway.cpu_s()
        posted = await _post(gateway, streams, duration_s)
        rss_end, cpu_end = processes.rss_bytes(core), gateway.cpu_s()
        seen = [await _end(client) for client in clients]
    finally:
        for client in clients:
            if client.returncode is None:
                client.kill()
                await client.wait()
    arrivals = {message_id: at for each in seen for message_id, at in each["arrivals"]}
    waits = [
        (arrivals[message_id] - at) * 1000 for message_id, at in posted.items() if message_id in arrivals
    ]
    return {
        "streams": streams,
        "ended_by_themselves": sum(each["ended"] for each in seen),
        "open_s": round(open_s, 1),
        "opened_per_s": round(streams / open_s),
        "rss_mb": {
            "before": rss_before >> 20, "open": rss_open >> 20, "idle": rss_idle >> 20, "end": rss_end >> 20,
        },
        "rss_kb_per_stream": round((rss_idle - rss_before) / streams / 1024, 1),
        "cpu_ms_per_stream_opened": _share(cpu_before, cpu_open, streams, 1e3),
        "cpu_percent_idle": _share(cpu_open, cpu_idle, IDLE_S, 100),
        "cpu_percent_sending": _share(cpu_idle, cpu_end, duration_s + GRACE_S, 100),
        "heartbeats": sum(each["heartbeats"] for each in seen),
        "rate_per_s": RATE_PER_S,
        "posted": len(posted),
        "arrived": len(waits),
        "post_to_stream_ms": percentiles(waits),
    }  # fmt: skip


def _share(before: dict[str, float], after: dict[str, float], of: float, factor: float) -> dict[str, float]:
    return {role: round((after[role] - before[role]) / of * factor, 2) for role in after}


async def _start_clients(address: str, token: str, streams: int) -> list[Client]:
    clients: list[Client] = []
    for first in range(0, streams, STREAMS_PER_CLIENT):
        count = min(STREAMS_PER_CLIENT, streams - first)
        command = [sys.executable, "-P", "-m", "bench.stream_client", address, str(first), str(count)]
        client = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=64 << 20
        )
        assert client.stdin is not None
        client.stdin.write(f"{token}\n".encode())
        clients.append(client)
    return clients


async def _line(client: Client) -> dict[str, Any]:
    assert client.stdout is not None
    async with asyncio.timeout(OPEN_S_MAX):
        line = await client.stdout.readline()
    if not line:
        raise RuntimeError("a client process ended")
    return json.loads(line)


async def _end(client: Client) -> dict[str, Any]:
    assert client.stdin is not None
    client.stdin.close()
    seen = await _line(client)
    client.kill()
    await client.wait()
    return seen


async def _post(gateway: Gateway, streams: int, duration_s: int) -> dict[str, float]:
    """Post at a steady rate, each message from a random driver's number; message id and when its POST began."""
    rng = random.Random(1)
    posted: dict[str, float] = {}
    async with gateway.session() as session:

        async def post() -> None:
            message = {
                "to": RECIPIENT, "message": "Hello", "from": number_of(rng.randrange(streams)), "channel": "sms",
            }  # fmt: skip
            began = time.time()
            async with session.post("/api/v1/messages", json=message) as answer:
                body = await answer.json()
            posted[body["messageId"]] = began

        start = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(RATE_PER_S * duration_s):
                await asyncio.sleep(max(0.0, start + number / RATE_PER_S - time.monotonic()))
                group.create_task(post())
    await asyncio.sleep(GRACE_S)
    return posted


def _allow_files(wanted: int) -> None:
    """Have this process, and what it starts, open so many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SystemExit(f"This needs {wanted} open files, and {hard} are allowed: ulimit -n, as root")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
