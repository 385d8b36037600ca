"""A gateway whose processes are killed: `infinireach up`, and what the runs need of any gateway.

Owns its start and end, what can be done to it, and a read-only look into its database.
"""

import asyncio
import contextlib
import json
import os
import random
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psycopg

from core.vault import new_key_line
from tests.fakes.postgresql import Cluster

DATABASE = "reach"
READY_S_MAX = 60.0
STOP_S_MAX = 15.0
ROLES = {"core": b"core", "rest": b"rest_facade", "driver": b"drivers.simulated"}
"""The module that each of `infinireach up` runs."""

FREEZE_S = (0.5, 3.0)
"""How long a process that is stopped instead of killed stays so."""


@dataclass(frozen=True, slots=True)
class Phone:
    """A simulated phone: its number, and the socket through which it takes messages in."""

    number: str
    control: Path


class Harmed(Protocol):
    """A gateway that can be harmed and looked into."""

    async def start(self) -> None:
        """Start it and wait until it says that everything is ready."""
        ...

    async def stop(self) -> None:
        """End it in order."""
        ...

    async def harm(self, rng: random.Random) -> list[str]:
        """Do one thing to it that it must bear; answers to what."""
        ...

    def run(self) -> dict[str, Any]:
        """What run.json says; empty while it is not there."""
        ...

    def phones(self) -> list[Phone]:
        """What sends."""
        ...

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the gateway's database."""
        ...

    def radio(self) -> list[dict[str, Any]]:
        """What the simulated networks took, one entry for each handing over."""
        ...

    def fault_of_database(self) -> str:
        """What is wrong with its files; empty if nothing is."""
        ...


@dataclass(slots=True)
class Gateway:
    """`infinireach up` in `var`, with its database there or in a PostgreSQL."""

    var: Path
    cluster: Cluster | None = None
    ports: dict[str, int] = field(default_factory=dict[str, int])
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it says that everything is ready."""
        for name in ("REST", "GRPC", "METRICS"):
            self.ports.setdefault(name, _free_port())
        environment = {
            **os.environ,
            **self._database(),
            "INFINIREACH_VAR": str(self.var),
            **{f"INFINIREACH_{name}_PORT": str(port) for name, port in self.ports.items()},
        }
        command = (sys.executable, "-m", "core.cli.main", "up", "--quiet")
        self.process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        async with asyncio.timeout(READY_S_MAX):
            while not set(ROLES) <= set(self.run().get("pids", {})):
                assert self.process.returncode is None, f"up ended with status {self.process.returncode}"
                await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """End it in order."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(STOP_S_MAX):
                await self.process.wait()

    async def harm(self, rng: random.Random) -> list[str]:
        """One process dies mostly, two, the supervisor, PostgreSQL; or a process stands still."""
        kinds = {"one": 85, "two": 8, "up": 2, "freeze": 5, "database": 5 if self.cluster else 0}
        match rng.choices(list(kinds), list(kinds.values()))[0]:
            case "database":
                await self._crash_database()
                return ["database"]
            case "up":
                await self._kill_supervisor()
                return ["up"]
            case "freeze":
                return await freeze(self.var, rng.choice(list(ROLES)), rng)
            case kind:
                return kill(self.var, rng.sample(list(ROLES), 2 if kind == "two" else 1))

    async def _kill_supervisor(self) -> None:
        """End `up` itself at once; its children must not outlive it. Then start it again."""
        assert self.process is not None
        self.process.kill()
        await self.process.wait()
        (self.var / "run.json").unlink(missing_ok=True)
        await self.start()

    def run(self) -> dict[str, Any]:
        """What run.json says; empty while it is not there."""
        return read_run(self.var)

    def phones(self) -> list[Phone]:
        """What sends."""
        return [Phone("+15559876543", self.var / "simulated.sock")]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the gateway's database."""
        if self.cluster is not None:
            with psycopg.connect(self.cluster.url(DATABASE)) as connection:
                return connection.execute(sql.encode()).fetchall()
        uri = f"file:{self.var / 'infinireach.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=20)) as connection:
            return connection.execute(sql).fetchall()

    async def _crash_database(self) -> None:
        """End PostgreSQL as a power cut does, and start it again."""
        assert self.cluster is not None
        await asyncio.to_thread(self.cluster.stop, "immediate")
        await asyncio.to_thread(self.cluster.start)

    def fault_of_database(self) -> str:
        """What is wrong with its files; empty if nothing is."""
        if self.cluster is not None:
            return ""  # it checks itself whenever it starts after a crash
        ((answer,),) = self.query("PRAGMA integrity_check")
        return "" if answer == "ok" else str(answer)

    def _database(self) -> dict[str, str]:
        """The settings for a database that is not in the data folder; keys are then not made by themselves."""
        if self.cluster is None:
            return {}
        if not (self.var / "master.key").exists():
            self.cluster.create_database(DATABASE)
            for name, line in (
                ("master.key", new_key_line()),
                ("service.credential", secrets.token_urlsafe(32)),
            ):
                (self.var / name).write_text(f"{line}\n", encoding="ascii")
                (self.var / name).chmod(0o600)
        return {
            "INFINIREACH_DATABASE_URL": self.cluster.url(DATABASE),
            "INFINIREACH_PROFILE": "development",  # webhooks go to loopback
        }

    def radio(self) -> list[dict[str, Any]]:
        """What the simulated network took, one entry for each handing over."""
        return read_radio(self.var / "simulated-radio.log")


def read_run(var: Path) -> dict[str, Any]:
    """run.json of a data folder; empty while it is not there."""
    with contextlib.suppress(OSError, ValueError):
        return json.loads((var / "run.json").read_text(encoding="utf-8"))
    return {}


def read_radio(log: Path) -> list[dict[str, Any]]:
    """The entries of a simulated network's log."""
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def kill(var: Path, roles: Sequence[str]) -> list[str]:
    """Kill the processes that have these roles now; answers which there were."""
    return [role for role in roles if _signal(var, role, signal.SIGKILL)]


async def freeze(var: Path, role: str, rng: random.Random) -> list[str]:
    """Have a process stand still for a while."""
    if not _signal(var, role, signal.SIGSTOP):
        return []
    await asyncio.sleep(rng.uniform(*FREEZE_S))
    _signal(var, role, signal.SIGCONT)
    return [f"{role} frozen"]


def _signal(var: Path, role: str, number: signal.Signals) -> bool:
    """Whether there is a process with this role at the moment, and it has the signal."""
    pid = read_run(var).get("pids", {}).get(role, 0)
    with contextlib.suppress(ProcessLookupError):
        if pid and _is_ours(pid, role):
            os.kill(pid, number)
            return True
    return False


def _is_ours(pid: int, role: str) -> bool:
    """Whether the process is what run.json said when it was written: ids are used again."""
    module = {**ROLES, "deliver": b"core.cli.main"}[role.partition("-")[0]]
    with contextlib.suppress(OSError):
        return module in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
