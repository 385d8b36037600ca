"""A gateway of many processes whose processes and engines are killed: `make engines`, `make run-full`.

Owns its start and end and what can be done to it.
"""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import psycopg

from tests.e2e.kills.gateway import Phone, freeze, kill, read_radio, read_run
from tools.engines import assembly, supervisor
from tools.engines.plan import EACH
from tools.engines.ports import HOST
from tools.full.estate import NUMBERS, Estate

ENGINES_S_MAX = 200.0
READY_S_MAX = 90.0
STOP_S_MAX = 60.0


class ManyProcesses:
    """Two of each role on engines of their own, all in `var`."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """The data folder of the gateway itself."""
        return assembly.gateway_folder(self.var)

    @property
    def log(self) -> Path:
        """What `run-full` says."""
        return self.var / "full.log"

    @property
    def roles(self) -> list[str]:
        """The names of its processes."""
        return [name for name in self.run()["pids"] if name != "up"]

    async def start(self) -> None:
        """Start the engines and the gateway; returns when it says that everything is ready."""
        await self._command("tools.engines", "start")
        self._process = self._launch()
        async with asyncio.timeout(READY_S_MAX):
            while not self.run():
                assert self._process.poll() is None, self.log.read_text(encoding="utf-8")
                await asyncio.sleep(0.1)

    def _launch(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tools.full", "run", "--var", str(self.var)]
        with self.log.open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    async def stop(self) -> None:
        """End the gateway in order; the engines go on."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(self._process.wait, STOP_S_MAX)

    async def remove(self) -> None:
        """End everything; what PostgreSQL has elsewhere goes too."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S_MAX)
            self._process.kill()
            self._process.wait()
        await self._command("tools.engines", "stop")
        await asyncio.to_thread(assembly.postgresql(self.var).remove)

    async def restart_rolling(self) -> None:
        """Have one process after the other restarted; returns when the last one is ready."""
        before, restarts = self.run()["pids"], self._restarts()
        os.kill(before["up"], signal.SIGUSR1)
        while self._restarts() == restarts:  # noqa: ASYNC110 - a file is looked at
            await asyncio.sleep(0.2)
        after = self.run()["pids"]
        assert set(before) == set(after)
        assert not {pid for name, pid in before.items() if name != "up"} & set(after.values())

    def _restarts(self) -> int:
        return self.log.read_text(encoding="utf-8").count("All have been restarted.")

    @contextlib.asynccontextmanager
    async def without(self, engine: str) -> AsyncGenerator[None]:
        """Kill an engine and have it stay away for the block."""
        watcher = supervisor.state(assembly.engines_folder(self.var))["supervisor"]
        os.kill(watcher, signal.SIGSTOP)
        try:
            assert self.kill_engine(engine)
            yield
        finally:
            os.kill(watcher, signal.SIGCONT)

    async def harm(self, rng: random.Random) -> list[str]:
        """One process dies mostly, two, an engine; or a process stands still."""
        kinds = {"one": 82, "two": 8, "freeze": 4, "postgresql": 2, "kafka": 2, "redis": 2}
        match rng.choices(list(kinds), list(kinds.values()))[0]:
            case "postgresql" | "kafka" | "redis" as name:
                return [name] if self.kill_engine(name) else []
            case "freeze":
                return await freeze(self.folder, rng.choice(self.roles), rng)
            case kind:
                return kill(self.folder, rng.sample(self.roles, 2 if kind == "two" else 1))

    def kill_engine(self, name: str) -> bool:
        """Kill an engine, which its supervisor starts again; whether it ran. PostgreSQL crashes as a whole."""
        if name == "postgresql":
            assembly.postgresql(self.var).kill()
            return True
        pid = self.engine_pid(name)
        with contextlib.suppress(ProcessLookupError):
            if pid:
                os.kill(pid, signal.SIGKILL)
                return True
        return False

    def engine_pid(self, name: str) -> int:
        """The process of an engine that serves, a moment late; 0 if there was none. A new one has another."""
        return (
            supervisor.state(assembly.engines_folder(self.var)).get("engines", {}).get(name, {}).get("pid", 0)
        )

    def run(self) -> dict[str, Any]:
        """What run.json says; empty while it is not there."""
        return read_run(self.folder)

    def facade_urls(self) -> list[str]:
        """Where the facades are behind the edge."""
        ports = assembly.addresses(self.var).ports
        return [f"http://{HOST}:{ports[f'rest-{n}']}" for n in range(1, EACH + 1)]

    def edge_token_port(self) -> int:
        """Where drivers with a token come in at the edge."""
        return assembly.addresses(self.var).ports["edge-driver-token"]

    def command(self, *arguments: str) -> str:
        """What a command of `infinireach` prints."""
        settings = Estate(self.folder, assembly.addresses(self.var)).shared()
        line = [sys.executable, "-P", "-m", "core.cli.main", *arguments]
        done = subprocess.run(
            line, env={**os.environ, **settings}, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def phones(self) -> list[Phone]:
        """What sends."""
        return [
            Phone(number, self.folder / Estate.socket_name(n)) for n, number in enumerate(NUMBERS, start=1)
        ]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the gateway's database."""
        with psycopg.connect(assembly.addresses(self.var).database_url) as connection:
            return connection.execute(sql.encode()).fetchall()

    def radio(self) -> list[dict[str, Any]]:
        """What the simulated networks took, one entry for each handing over."""
        logs = [self.folder / Estate.radio_log_name(n) for n in range(1, len(NUMBERS) + 1)]
        return [entry for log in logs if log.exists() for entry in read_radio(log)]

    def fault_of_database(self) -> str:
        """Nothing: PostgreSQL checks itself whenever it starts after a crash."""
        return ""

    async def _command(self, module: str, command: str) -> None:
        done = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, command, "--var", str(self.var)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        _, said = await asyncio.wait_for(done.communicate(), ENGINES_S_MAX)
        assert done.returncode == 0, said.decode(errors="replace")
