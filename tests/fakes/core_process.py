"""A core in a process of its own, on the database of its data folder unless told otherwise, on free ports.

Owns its start, its end and the bounded wait in between. Knows no assertion on what it serves.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tools.engines.ports import free_port

READY_S_MAX = 60.0
SERVICE_CREDENTIAL = "service-credential-of-the-facade"


@dataclass
class CoreProcess:
    """The process and where it listens."""

    var: Path
    settings: dict[str, str]
    port: int = field(default_factory=free_port)
    internal_port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    name: str = "core"
    process: subprocess.Popen[bytes] | None = None

    @property
    def public(self) -> str:
        """host:port of the public listener."""
        return f"localhost:{self.port}"

    @property
    def internal(self) -> str:
        """host:port of the internal listener."""
        return f"localhost:{self.internal_port}"

    @property
    def log(self) -> str:
        """Everything that it has said."""
        return (self.var / f"{self.name}.log").read_text(encoding="utf-8")

    def start(self) -> None:
        """Start it and wait until it serves."""
        environment = {
            **os.environ,
            "INFINIREACH_VAR": str(self.var),
            "INFINIREACH_GRPC_PORT": str(self.port),
            "INFINIREACH_INTERNAL_PORT": str(self.internal_port),
            "INFINIREACH_METRICS_PORT": str(self.metrics_port),
            "INFINIREACH_SERVICE_CREDENTIAL": SERVICE_CREDENTIAL,
            **self.settings,
        }
        line = [sys.executable, "-P", "-m", "core"]
        with (self.var / f"{self.name}.log").open("wb") as log:
            self.process = subprocess.Popen(line, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_S_MAX
        while '"core.ready"' not in self.log:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, "the core is not ready"
            time.sleep(0.02)

    def tell_to_stop(self) -> None:
        """Send SIGTERM."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        assert self.process is not None
        return self.process.wait(READY_S_MAX)

    def kill(self) -> None:
        """End it at once; nothing happens if it has ended."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(READY_S_MAX)


@contextmanager
def core_process(var: Path, **settings: str) -> Generator[CoreProcess]:
    """A core that runs while the block does; settings by variable without the prefix."""
    var.mkdir(exist_ok=True)
    core = CoreProcess(var, {f"INFINIREACH_{name}": value for name, value in settings.items()})
    try:
        core.start()
        yield core
    finally:
        core.kill()
