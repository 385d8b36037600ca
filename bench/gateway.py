"""A whole gateway for a measurement: `infinireach up` in a folder of its own, on free ports; or one that runs already.

Owns its start and end, its database, a key without a noticeable rate limit, and what can be asked of it while it runs.
"""

import contextlib
import json
import os
import signal
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psycopg

from bench import processes
from bench.options import Options
from tools.engines.kafka import Kafka
from tools.engines.ports import free_port
from tools.engines.postgresql import Postgresql

START_S_MAX = 60.0
STOP_S_MAX = 10.0
REQUESTS_PER_MINUTE = 1_000_000
SENDER = "+15559876543"
RECIPIENT = "+1234567890"
COMMAND = (sys.executable, "-P", "-m", "core.cli.main")


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway. `key` is the benchmark's own; `settings` is what its processes were told."""

    var: Path
    rest: str
    grpc: str
    key: str
    pids: dict[str, int]
    tenant: str
    senders: tuple[str, ...] = (SENDER,)
    """The numbers of its simulated phones."""
    settings: dict[str, str] = field(default_factory=dict)
    ca: str = ""
    """File with the certificate to trust, where `rest` speaks TLS."""

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Look into the database beside the running processes."""
        if url := self.settings.get("INFINIREACH_DATABASE_URL"):
            with psycopg.connect(url) as connection:
                return connection.execute(sql.encode()).fetchall()
        uri = f"file:{self.var / 'infinireach.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10)) as connection:
            return connection.execute(sql).fetchall()

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One request to the API with the benchmark's key."""
        request = urllib.request.Request(  # noqa: S310 - our own loopback address
            self.rest + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-API-Key": self.key, "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, context=self._tls()) as answer:  # noqa: S310
            return json.loads(answer.read())

    def session(self) -> aiohttp.ClientSession:
        """A client of the API with the benchmark's key."""
        connector = aiohttp.TCPConnector(ssl=self._tls() or True)
        return aiohttp.ClientSession(self.rest, headers={"X-API-Key": self.key}, connector=connector)

    def _tls(self) -> ssl.SSLContext | None:
        return ssl.create_default_context(cafile=self.ca) if self.ca else None

    def pause_devices(self) -> None:
        """Have messages wait in their queue."""
        for device in self.call("GET", "/api/v1/devices")["devices"]:
            self.call("PATCH", f"/api/v1/devices/{device['id']}", {"enabled": False})

    def cpu_s(self) -> dict[str, float]:
        """Processor time of each role so far."""
        return processes.cpu_s(self.pids)

    def radio_lines(self) -> list[dict[str, Any]]:
        """What simulated phones put on the air: `time`, `message_id`, …"""
        logs = sorted(self.var.rglob("simulated-radio*.log"))
        return [json.loads(line) for log in logs for line in log.read_text(encoding="utf-8").splitlines()]


@contextlib.contextmanager
def running_gateway(options: Options, *, modems: Path | None = None) -> Generator[Gateway]:
    """Give the gateway that the options name; one that is started for this is stopped and its data removed.

    `modems`: a modems.toml to send with, in place of the simulated phone.
    """
    if options.run_json is not None:
        yield _existing(options.run_json, options.key)
        return
    with contextlib.ExitStack() as stack:
        var = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="infinireach-bench-")))
        settings = {
            "INFINIREACH_VAR": str(var / "gateway"),
            "INFINIREACH_PROFILE": "development",
            "INFINIREACH_REST_PORT": str(free_port()),
            "INFINIREACH_GRPC_PORT": str(free_port()),
            "INFINIREACH_METRICS_PORT": str(free_port()),
        }
        pids: dict[str, int] = {}
        if options.database == "postgresql":
            database = Postgresql(var / "postgresql", free_port())
            database.start()
            stack.callback(database.remove)
            settings["INFINIREACH_DATABASE_URL"] = database.create_database("reach")
            pids["postgresql"] = database.pid
            run_command(settings, "secrets")
        if options.kafka:
            kafka = Kafka(var / "kafka", free_port(), free_port())
            kafka.start()
            stack.callback(kafka.stop)
            settings["INFINIREACH_KAFKA_SERVERS"] = kafka.servers
            pids["kafka"] = kafka.pid
        with_modems = () if modems is None else ("--modem", str(modems))
        yield stack.enter_context(_started(var / "gateway", settings, pids, with_modems))


def run_command(settings: dict[str, str], *arguments: str) -> str:
    """One `infinireach …` beside a gateway with these settings; what it printed."""
    done = subprocess.run(
        [*COMMAND, *arguments], env={**os.environ, **settings}, check=True, capture_output=True, text=True
    )
    return done.stdout


@contextlib.contextmanager
def _started(
    var: Path, settings: dict[str, str], pids: dict[str, int], arguments: tuple[str, ...]
) -> Generator[Gateway]:
    up = subprocess.Popen(
        [*COMMAND, "up", "--quiet", *arguments], env={**os.environ, **settings}, start_new_session=True
    )
    try:
        run = _wait_until_ready(up, var / "run.json")
        rate = ("--per-minute", str(REQUESTS_PER_MINUTE))
        made = json.loads(run_command(settings, "key", "create", "--tenant", run["tenant"], "--json", *rate))
        pids = {**run["pids"], **pids}
        yield Gateway(var, run["rest"], run["grpc"], made["apiKey"], pids, run["tenant"], settings=settings)
    finally:
        up.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            up.wait(STOP_S_MAX)


def _existing(file: Path, key: str) -> Gateway:
    run = json.loads(file.read_text(encoding="utf-8"))
    return Gateway(
        file.parent,
        run.get("restTls") or run["rest"],
        run["grpc"],
        key or run["apiKey"],
        run["pids"],
        run["tenant"],
        senders=tuple(device["number"] for device in run["devices"] if device["number"]),
        ca=run.get("ca", ""),
    )


def _wait_until_ready(up: subprocess.Popen[bytes], file: Path) -> dict[str, Any]:
    deadline = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline:
        if up.poll() is not None:
            raise RuntimeError(f"the gateway ended with status {up.returncode}")
        if file.exists():
            run = json.loads(file.read_text(encoding="utf-8"))
            if {"core", "rest", "driver"} <= set(run["pids"]):
                return run
        time.sleep(0.1)
    raise RuntimeError(f"the gateway was not ready within {START_S_MAX:.0f} s")
