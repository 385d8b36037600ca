"""P4: how long things take at a constant rate of arrival (open model: a slow answer does not slow the load).

Three figures: the answer to a POST; from the POST to the command at the radio; from the commit of an event to the first
byte of its webhook at the receiver.
"""

import asyncio
import itertools
import time
from datetime import datetime
from typing import Any

from aiohttp import web

from bench.gateway import RECIPIENT, Gateway, running_gateway
from bench.options import Options

RATE_PER_S = 50
DURATION_S = 20
GRACE_S = 3.0


def measure(options: Options) -> dict[str, Any]:
    """Run and answer the figures, in milliseconds."""
    with running_gateway(options) as gateway:
        return asyncio.run(_measure(gateway, RATE_PER_S, options.seconds or DURATION_S))


async def _measure(gateway: Gateway, rate_per_s: int, duration_s: int) -> dict[str, Any]:
    answers: dict[str, float] = {}
    began: dict[str, float] = {}
    webhooks: list[float] = []

    async def hook(request: web.Request) -> web.Response:
        arrived = time.time()
        data = (await request.json())["data"]
        if data.get("messageId") in began:
            committed = gateway_time(data["sentAt"] if data["status"] == "sent" else data["deliveredAt"])
            webhooks.append((arrived - committed) * 1000)
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    senders = itertools.cycle(gateway.senders)
    async with gateway.session() as session:
        events = ["message.sent", "message.delivered"]
        async with session.post(
            "/api/v1/webhooks", json={"url": f"http://127.0.0.1:{port}/hook", "events": events}
        ):
            pass

        async def post() -> None:
            message = {"to": RECIPIENT, "message": "Hello", "from": next(senders), "channel": "sms"}
            started = time.time()
            async with session.post("/api/v1/messages", json=message) as answer:
                body = await answer.json()
            answers[body["messageId"]] = (time.time() - started) * 1000
            began[body["messageId"]] = started

        start = time.monotonic()
        tasks = []
        for number in range(rate_per_s * duration_s):
            await asyncio.sleep(max(0.0, start + number / rate_per_s - time.monotonic()))
            tasks.append(asyncio.create_task(post()))
        await asyncio.gather(*tasks)
        await asyncio.sleep(GRACE_S)
    await runner.cleanup()
    to_radio = [
        (line["time"] - began[line["message_id"]]) * 1000
        for line in gateway.radio_lines()
        if line["message_id"] in began
    ]
    return {
        "rate_per_s": rate_per_s,
        "post_ms": percentiles(list(answers.values())),
        "post_to_radio_ms": percentiles(to_radio),
        "event_to_webhook_ms": percentiles(webhooks),
        "posted": len(answers),
        "webhooks": len(webhooks),
    }


def gateway_time(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 time."""
    return datetime.fromisoformat(text).timestamp()


def percentiles(values: list[float]) -> dict[str, float]:
    """The usual three, and the number of values."""
    ordered = sorted(values) or [float("nan")]
    at = {name: ordered[min(int(len(ordered) * share), len(ordered) - 1)] for name, share in _SHARES.items()}
    return {name: round(value, 1) for name, value in at.items()}


_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
