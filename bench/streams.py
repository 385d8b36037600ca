"""P6: many driver streams on one core process.

Opens the streams from a few client processes, each stream on a connection of its own as a real driver has it, lets all
of them send heartbeats at the core's default interval, and measures: time to open, memory of the core, its processor
time while nothing happens, and how long a message takes from the POST to the command at a random stream. Then half of
the streams break and come back at once, while messages go to the other half.
"""

import asyncio
import json
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
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
    refused: Counter[str] = Counter()
    clients = await _start_clients(gateway.grpc, json.loads(made)["token"], streams)
    try:
        begun = time.monotonic()
        for client in clients:
            await _line(client)
        open_s = time.monotonic() - begun
        rss_open, cpu_open = processes.rss_bytes(core), gateway.cpu_s()
        await asyncio.sleep(IDLE_S)
        rss_idle, cpu_idle = processes.rss_bytes(core), gateway.cpu_s()
        posted = await _post(gateway, streams, asyncio.sleep(duration_s), refused)
        rss_end, cpu_end = processes.rss_bytes(core), gateway.cpu_s()
        again = await _reopen_half(gateway, clients, streams, refused)
        rss_again = processes.rss_bytes(core)
        seen = [await _end(client) for client in clients]
        times = gateway.query("SELECT id, created_ms, claimed_ms FROM message WHERE claimed_ms IS NOT NULL")
    finally:
        for client in clients:
            if client.returncode is None:
                client.kill()
                await client.wait()
    arrivals = {message_id: at for each in seen for message_id, at in each["arrivals"]}
    stages = _stages(posted, arrivals, times)
    waits, waits_again = _waits(posted, arrivals), _waits(again.posted, arrivals)
    return {
        "streams": streams,
        "ended_by_themselves": dict(sum((Counter(each["ended"]) for each in seen), Counter[str]())),
        "open_s": round(open_s, 1),
        "opened_per_s": round(streams / open_s),
        "rss_mb": {
            "before": rss_before >> 20, "open": rss_open >> 20, "idle": rss_idle >> 20, "end": rss_end >> 20,
            "again": rss_again >> 20,
        },
        "rss_kb_per_stream": round((rss_idle - rss_before) / streams / 1024, 1),
        "cpu_ms_per_stream_opened": _share(cpu_before, cpu_open, streams, 1e3),
        "cpu_percent_idle": _share(cpu_open, cpu_idle, IDLE_S, 100),
        "cpu_percent_sending": _share(cpu_idle, cpu_end, duration_s + GRACE_S, 100),
        "heartbeats": sum(each["heartbeats"] for each in seen),
        "rate_per_s": RATE_PER_S,
        "posted": len(posted),
        "arrived": len(waits),
        "posts_refused": dict(refused),
        "post_to_stream_ms": percentiles(waits),
        "of_that_ms": stages,
        "at_once": {
            "streams": again.streams, "open_s": round(again.open_s, 1),
            "opened_per_s": round(again.streams / again.open_s),
            "turned_away": sum(each["turned_away"] for each in seen),
            "posted_meanwhile": len(again.posted), "arrived": len(waits_again),
            "post_to_other_streams_ms": percentiles(waits_again) if waits_again else {},
        },
    }  # fmt: skip


def _waits(posted: dict[str, float], arrivals: dict[str, float]) -> list[float]:
    """Milliseconds from POST to stream of what arrived."""
    return [(arrivals[message_id] - at) * 1000 for message_id, at in posted.items() if message_id in arrivals]


def _stages(
    posted: dict[str, float], arrivals: dict[str, float], times: Sequence[tuple[Any, ...]]
) -> dict[str, dict[str, float]]:
    """Where the time from POST to stream went: until the accept, the claim, the arrival; to the millisecond."""
    seen = [each for each in times if each[0] in posted and each[0] in arrivals]
    return {
        "to_accept": percentiles([created - posted[message_id] * 1000 for message_id, created, _ in seen]),
        "to_claim": percentiles([float(claimed - created) for _, created, claimed in seen]),
        "to_stream": percentiles([arrivals[message_id] * 1000 - claimed for message_id, _, claimed in seen]),
    }


def _share(before: dict[str, float], after: dict[str, float], of: float, factor: float) -> dict[str, float]:
    return {role: round((after[role] - before[role]) / of * factor, 2) for role in after}


async def _start_clients(address: str, token: str, streams: int) -> list[Client]:
    clients: list[Client] = []
    for first in range(0, streams, _per_client(streams)):
        count = min(_per_client(streams), streams - first)
        command = [sys.executable, "-P", "-m", "bench.stream_client", address, str(first), str(count)]
        client = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=64 << 20
        )
        assert client.stdin is not None
        client.stdin.write(f"{token}\n".encode())
        clients.append(client)
    return clients


def _per_client(streams: int) -> int:
    """How many streams a client process holds; there are two of them or more."""
    return min(STREAMS_PER_CLIENT, -(-streams // 2))


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


async def _post(
    gateway: Gateway, drivers: int, until: Awaitable[object], refused: Counter[str]
) -> dict[str, float]:
    """Post at a steady rate, each message from the number of a random one of the first so many drivers; message id and
    when its POST began."""
    rng = random.Random(1)
    posted: dict[str, float] = {}
    end = asyncio.ensure_future(until)
    async with gateway.session() as session:

        async def post() -> None:
            message = {
                "to": RECIPIENT, "message": "Hello", "from": number_of(rng.randrange(drivers)), "channel": "sms",
            }  # fmt: skip
            began = time.time()
            async with session.post("/api/v1/messages", json=message) as answer:
                body = await answer.json()
                if answer.status == HTTPStatus.CREATED:
                    posted[body["messageId"]] = began
                else:
                    refused[f"{answer.status} {body.get('error', '')}"] += 1

        start, number = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            while not end.done():
                await asyncio.sleep(max(0.0, start + number / RATE_PER_S - time.monotonic()))
                group.create_task(post())
                number += 1
    await end
    await asyncio.sleep(GRACE_S)
    return posted


@dataclass(frozen=True, slots=True)
class _Again:
    """What happened while streams came back at once."""

    streams: int
    open_s: float
    posted: dict[str, float]


async def _reopen_half(
    gateway: Gateway, clients: Sequence[Client], streams: int, refused: Counter[str]
) -> _Again:
    """Break the streams of the second half of the clients off and have them come back, all at once."""
    leaving = clients[len(clients) // 2 :]
    staying = len(clients) // 2 * _per_client(streams)
    open_s: list[float] = []

    async def reopen() -> None:
        for client in leaving:
            assert client.stdin is not None
            client.stdin.write(b"\n")
        open_s.extend([(await _line(client))["open_s"] for client in leaving])

    posted = await _post(gateway, staying, reopen(), refused)
    return _Again(streams - staying, max(open_s), posted)


def _allow_files(wanted: int) -> None:
    """Have this process, and what it starts, open so many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SystemExit(f"This needs {wanted} open files, and {hard} are allowed: ulimit -n, as root")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
