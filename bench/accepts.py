"""P1, P2: durable accepts a second through REST, facade to core to database.

wrk keeps 128 connections busy. What it counts as 2xx is compared with the rows in the database. With the device paused
the figure is of accepting alone; else the messages are claimed, sent, reported and delivered meanwhile.
"""

import json
from typing import Any

from bench import wrk
from bench.gateway import RECIPIENT, SENDER, Gateway, running_gateway
from bench.options import Options

WARM_UP_S = 3
DURATION_S = 15


def measure(options: Options, *, paused: bool = True) -> dict[str, Any]:
    """Run and answer the figures. `paused`: messages wait in the queue."""
    with running_gateway(options) as gateway:
        if paused:
            gateway.pause_devices()
        request = request_to(gateway)
        wrk.load(request, WARM_UP_S)
        before, cpu_before = stored(gateway), gateway.cpu_s()
        load = wrk.load(request, options.seconds or DURATION_S)
        rows, cpu = stored(gateway) - before, gateway.cpu_s()
        return {
            "connections": wrk.CONNECTIONS,
            "sending_meanwhile": not paused,
            "accepts_per_s": round(load.per_s),
            "not_2xx": load.refused,
            "rows_stored": rows,
            "answers_2xx": load.accepted,
            "latency_ms": load.latency_ms,
            "cpu_us_per_accept": cpu_us_each(cpu_before, cpu, load.accepted),
            "raw": load.raw,
        }


def request_to(gateway: Gateway) -> wrk.Request:
    """One message, the same each time."""
    body = {"to": RECIPIENT, "message": "Hello from Infini Reach!", "from": SENDER, "channel": "sms"}
    headers = {"Content-Type": "application/json", "X-API-Key": gateway.key}
    return wrk.Request(f"{gateway.rest}/api/v1/messages", headers, json.dumps(body))


def stored(gateway: Gateway) -> int:
    """Messages in the database."""
    return gateway.query("SELECT count(*) FROM message")[0][0]


def cpu_us_each(before: dict[str, float], after: dict[str, float], count: int) -> dict[str, int]:
    """Processor time by role for each of `count` things, in microseconds."""
    return {
        role: round((after[role] - before[role]) / max(count, 1) * 1e6) for role in after if role in before
    }
