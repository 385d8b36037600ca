"""A Redis server in a folder of its own. It keeps nothing: what facades count there is worth a minute."""

import shutil
import subprocess
from pathlib import Path

from tools.engines import ports
from tools.engines.processes import EngineFailed, end, launch, wait_until_ready

READY_S = 30.0
STOP_S = 10.0


class Redis:
    """One server on a port of loopback."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self.port = port
        self.log = folder / "redis.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://{ports.HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        """Its process; 0 if it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def start(self) -> None:
        """Start it; returns when it takes connections. Raises EngineFailed."""
        program = shutil.which("redis-server")
        if program is None:
            raise EngineFailed("Redis is not installed: sudo apt install redis-server")
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = {"port": str(self.port), "bind": ports.HOST, "save": "", "dir": str(self._folder)}
        command = [program, *(word for name, value in settings.items() for word in (f"--{name}", value))]
        self._process = launch(command, folder=self._folder, log=self.log)
        wait_until_ready(
            "Redis", self._process, lambda: ports.answers(self.port), log=self.log, within_s=READY_S
        )

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            end(self._process, grace_s=STOP_S)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            end(self._process, grace_s=0)
