"""P3: accept, driver, delivered, signed webhook answered; messages a second.

Messages are offered as fast as the gateway takes them, bounded to WINDOW undelivered ones, so that the figure is what
the whole path sustains and not the depth of a queue.
"""

import asyncio
import subprocess
import sys
import time
from typing import Any

import aiohttp

from bench.accepts import cpu_us_each
from bench.gateway import RECIPIENT, Gateway, running_gateway
from bench.options import Options

WARM_UP_S = 3.0
DURATION_S = 30.0
WINDOW = 2_000
BATCH = 20
"""Messages in one POST to /messages/batch: the client must not be what is measured."""


def measure(options: Options, *, events: tuple[str, ...] = ("message.delivered",)) -> dict[str, Any]:
    """Run and answer the figures."""
    with running_gateway(options) as gateway:
        return asyncio.run(_measure(gateway, float(options.seconds or DURATION_S), events))


async def _measure(gateway: Gateway, duration_s: float, events: tuple[str, ...]) -> dict[str, Any]:
    sink = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.counting_sink", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert sink.stdin is not None
    assert sink.stdout is not None
    port = int(await sink.stdout.readline())
    gateway.call("POST", "/api/v1/webhooks", {"url": f"http://127.0.0.1:{port}/hook", "events": list(events)})

    async def arrived() -> int:
        sink.stdin.write(b"\n")  # pyright: ignore[reportOptionalMemberAccess]
        return int(await sink.stdout.readline()) // len(events)  # pyright: ignore[reportOptionalMemberAccess]

    posted = 0
    async with gateway.session() as session:
        marks: list[tuple[float, int, dict[str, float]]] = []
        begun = time.monotonic()
        for until in (begun + WARM_UP_S, begun + WARM_UP_S + duration_s):
            while time.monotonic() < until:
                if posted - await arrived() < WINDOW:
                    await asyncio.gather(*(_post(session, gateway.senders) for _ in range(4)))
                    posted += 4 * BATCH
                else:
                    await asyncio.sleep(0.02)
            marks.append((time.monotonic(), await arrived(), gateway.cpu_s()))
        last = time.monotonic() + 60
        while await arrived() < posted and time.monotonic() < last:  # noqa: ASYNC110 - the sink only answers
            await asyncio.sleep(0.05)
        total = await arrived()
    sink.stdin.close()
    await sink.wait()
    (from_s, from_count, from_cpu), (to_s, to_count, to_cpu) = marks
    delivered = to_count - from_count
    return {
        "events": list(events),
        "messages_per_s": round(delivered / (to_s - from_s)),
        "webhooks_per_s": round(delivered * len(events) / (to_s - from_s)),
        "posted": posted,
        "told_by_webhook": total,
        "cpu_us_per_message": cpu_us_each(from_cpu, to_cpu, delivered),
    }


async def _post(session: aiohttp.ClientSession, senders: tuple[str, ...]) -> None:
    message = {"to": RECIPIENT, "message": "Hello from Infini Reach!", "channel": "sms"}
    messages = [{**message, "from": senders[n % len(senders)]} for n in range(BATCH)]
    async with session.post("/api/v1/messages/batch", json={"messages": messages}) as answer:
        body = await answer.json()
        if answer.status >= 300 or not body["success"]:
            raise RuntimeError(f"{answer.status}: {body}")
