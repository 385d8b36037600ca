"""An Envoy that runs the edge's bootstrap on this machine.

Owns its files, its start and its orderly end. What is in the bootstrap is envoy_bootstrap's business.
"""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.engines.envoy_bootstrap import Bootstrap, Place, rendered, secrets
from tools.engines.ports import HOST
from tools.engines.processes import POLL_S, EngineFailed, end, launch, wait_until_ready

PROGRAM = Path(sys.executable).with_name("envoy")
READY_S = 30.0
STOP_S = 10.0
ADMIN_S = 5.0


class Envoy:
    """One Envoy. `folder` gets envoy.json, which is the bootstrap, sds with where the certificates are, and envoy.log
    with Envoy's own lines and its access log.

    `change` may alter the bootstrap before it is written, for example shorten its times. `drain_s` is how long
    running requests and streams have before `stop` breaks them off.
    """

    def __init__(
        self,
        folder: Path,
        place: Place,
        *,
        change: Callable[[Bootstrap], object] | None = None,
        concurrency: int = 1,
        drain_s: float = 5.0,
    ) -> None:
        self.folder = folder.absolute()
        self.place = place
        self.log = self.folder / "envoy.log"
        self._change = change
        self._concurrency = concurrency
        self._drain_s = drain_s
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process; 0 if it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def start(self) -> None:
        """Write, validate and run the bootstrap; returns when Envoy serves. Raises EngineFailed."""
        secrets_folder = self.folder / "sds"
        secrets_folder.mkdir(parents=True, exist_ok=True)
        for name, content in secrets(self.place).items():
            (secrets_folder / name).write_text(
                json.dumps(content, indent=1), encoding="utf-8"
            )  # JSON is YAML
        bootstrap = rendered(self.place, secrets_folder)
        if self._change is not None:
            self._change(bootstrap)
        file = self.folder / "envoy.json"
        file.write_text(json.dumps(bootstrap, indent=1), encoding="utf-8")
        validate(file)
        line = [
            *(str(PROGRAM), "-c", str(file), "--disable-hot-restart", "--log-level", "warning"),
            *("--concurrency", str(self._concurrency), "--file-flush-interval-msec", "50"),
            *("--drain-time-s", str(max(1, round(self._drain_s))), "--drain-strategy", "immediate"),
        ]
        self._process = launch(line, folder=self.folder, log=self.log)
        wait_until_ready("Envoy", self._process, self._is_ready, log=self.log, within_s=READY_S)

    def stop(self) -> None:
        """Tell callers to go elsewhere, let what runs end for `drain_s`, then end the process."""
        if self._process is None:
            return
        try:
            self.drain()
            deadline = time.monotonic() + self._drain_s
            while self.requests_active() and time.monotonic() < deadline:
                time.sleep(POLL_S)
        except OSError:
            pass  # it does not answer any more
        end(self._process, grace_s=STOP_S)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            end(self._process, grace_s=0)

    def drain(self) -> None:
        """Ask every caller to connect anew elsewhere; what comes meanwhile is still served. Raises OSError."""
        self.admin("/drain_listeners?graceful", method="POST")

    def requests_active(self) -> int:
        """Requests and streams that are being served. Raises OSError."""
        values = self.stats("downstream_rq_active")
        return sum(value for name, value in values.items() if ".admin." not in name)

    def access_entries(self) -> list[dict[str, Any]]:
        """The access log so far; a request is written after its end, at the latest 50 ms later."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def stats(self, pattern: str) -> dict[str, int]:
        """Counters and gauges whose names match a regular expression. Raises OSError."""
        found = json.loads(self.admin(f"/stats?format=json&filter={pattern}"))["stats"]
        return {entry["name"]: entry["value"] for entry in found if "name" in entry}

    def admin(self, path: str, *, method: str = "GET") -> str:
        """What the admin interface answers. Raises OSError."""
        url = f"http://{HOST}:{self.place.ports.admin}{path}"
        request = urllib.request.Request(url, method=method)
        with urllib.request.urlopen(request, timeout=ADMIN_S) as answer:  # noqa: S310 - loopback
            return answer.read().decode()

    def _is_ready(self) -> bool:
        try:
            return self.admin("/ready").startswith("LIVE")
        except OSError:
            return False


def validate(file: Path) -> str:
    """Let Envoy check a bootstrap without running it; what it remarks. Raises EngineFailed."""
    if not PROGRAM.exists():
        raise EngineFailed("Envoy is not installed: make dev")
    line = [str(PROGRAM), "--mode", "validate", "-c", str(file), "--log-level", "warning"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=READY_S, check=False)
    if done.returncode != 0:
        raise EngineFailed(f"Envoy refuses {file}:\n{done.stderr}")
    return done.stderr
