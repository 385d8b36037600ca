"""P2: durable accepts a second through REST, facade to core to SQLite with synchronous=FULL.

wrk keeps 128 connections busy. What it counts as 2xx is compared with the rows in the database. With the device paused
the figure is of accepting alone; else the messages are claimed, sent, reported and delivered meanwhile.
"""

import re
import shutil
import subprocess
import tempfile
from typing import Any

from bench.gateway import RECIPIENT, SENDER, Gateway, running_gateway

CONNECTIONS = 128
WARM_UP_S = 3
DURATION_S = 15

_SCRIPT = """
wrk.method = "POST"
wrk.path = "/api/v1/messages"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["X-API-Key"] = "%(key)s"
wrk.body = '{"to":"%(to)s","message":"Hello from Infini Reach!","from":"%(sender)s","channel":"sms"}'
"""


def measure(duration_s: int = DURATION_S, *, paused: bool = True) -> dict[str, Any]:
    """Run and answer the figures. `paused`: messages wait in the queue."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    with running_gateway() as gateway:
        if paused:
            gateway.pause_devices()
        _wrk(gateway, WARM_UP_S)
        before, cpu_before = _messages(gateway), gateway.cpu_s()
        output = _wrk(gateway, duration_s)
        stored, cpu = _messages(gateway) - before, gateway.cpu_s()
        answered = int(_found(r"(\d+) requests in", output))
        refused = int(_found(r"Non-2xx or 3xx responses: (\d+)", output, default="0"))
        accepted = answered - refused
        return {
            "connections": CONNECTIONS,
            "sending_meanwhile": not paused,
            "accepts_per_s": round(accepted / duration_s),
            "not_2xx": refused,
            "rows_stored": stored,
            "answers_2xx": accepted,
            "latency_ms": {p: _ms(_found(rf"(?m)^ +{p}%\s+(\S+)", output)) for p in ("50", "90", "99")},
            "cpu_us_per_accept": {
                role: round((cpu[role] - cpu_before[role]) / max(accepted, 1) * 1e6)
                for role in ("core", "rest")
            },
            "raw": output,
        }


def _messages(gateway: Gateway) -> int:
    return gateway.query("SELECT count(*) FROM message")[0][0]


def _wrk(gateway: Gateway, duration_s: int) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_SCRIPT % {"key": gateway.key, "to": RECIPIENT, "sender": SENDER})
        script.flush()
        command = [
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{duration_s}s",
            "--latency",
            "-s",
            script.name,
            gateway.rest,
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _found(pattern: str, text: str, default: str | None = None) -> str:
    match = re.search(pattern, text)
    if match is None and default is None:
        raise RuntimeError(f"wrk said nothing like {pattern!r}:\n{text}")
    return match[1] if match else str(default)


def _ms(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s)", text).groups()  # pyright: ignore[reportOptionalMemberAccess]
    return round(float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit], 2)
