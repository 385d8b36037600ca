"""A whole gateway for a measurement: `infinireach up` in a folder of its own, on free ports.

Owns its start and end, a key without a noticeable rate limit, and what can be asked of it while it runs.
"""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_S_MAX = 60.0
STOP_S_MAX = 10.0
REQUESTS_PER_MINUTE = 1_000_000
SENDER = "+15559876543"
RECIPIENT = "+1234567890"


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway. `key` is the benchmark's own."""

    var: Path
    rest: str
    grpc: str
    key: str
    pids: dict[str, int]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Look into the database beside the running processes."""
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
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return json.loads(answer.read())

    def pause_devices(self) -> None:
        """Have messages wait in their queue."""
        for device in self.call("GET", "/api/v1/devices")["devices"]:
            self.call("PATCH", f"/api/v1/devices/{device['id']}", {"enabled": False})

    def cpu_s(self) -> dict[str, float]:
        """Processor time of each process so far."""
        ticks = os.sysconf("SC_CLK_TCK")
        used = {}
        for role, pid in self.pids.items():
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            used[role] = (int(fields[11]) + int(fields[12])) / ticks
        return used


@contextlib.contextmanager
def running_gateway() -> Generator[Gateway]:
    """Start a gateway, give it, stop it and remove its data."""
    with tempfile.TemporaryDirectory(prefix="infinireach-bench-") as folder:
        var = Path(folder)
        environment = {
            **os.environ,
            "INFINIREACH_VAR": str(var),
            "INFINIREACH_REST_PORT": str(_free_port()),
            "INFINIREACH_GRPC_PORT": str(_free_port()),
            "INFINIREACH_METRICS_PORT": str(_free_port()),
        }
        command = [sys.executable, "-m", "core.cli.main"]
        up = subprocess.Popen([*command, "up", "--quiet"], env=environment, start_new_session=True)
        try:
            run = _wait_until_ready(up, var / "run.json")
            made = subprocess.run(
                [*command, "key", "create", "--tenant", run["tenant"], "--json",
                 "--per-minute", str(REQUESTS_PER_MINUTE)],
                env=environment, check=True, capture_output=True, text=True,
            )  # fmt: skip
            yield Gateway(var, run["rest"], run["grpc"], json.loads(made.stdout)["apiKey"], run["pids"])
        finally:
            up.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                up.wait(STOP_S_MAX)


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


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
