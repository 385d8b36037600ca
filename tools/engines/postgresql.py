"""A PostgreSQL cluster in a folder of its own.

Owns how it is made and run. PostgreSQL refuses to run as root; started by root it runs as the user postgres, allowed to
pass through folders that are root's alone, so that its data may lie anywhere.
"""

import contextlib
import os
import pwd
import signal
import subprocess
import time
from pathlib import Path

import psycopg

from tools.engines import ports
from tools.engines.processes import POLL_S, EngineFailed, tail

USER = "reach"
OWNER = "postgres"
COMMAND_S = 120
CAPABILITY = "+dac_read_search"


def binaries() -> Path:
    """The folder of the newest PostgreSQL of this machine. Raises EngineFailed."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not folders:
        raise EngineFailed("PostgreSQL is not installed: sudo apt install postgresql")
    return folders[-1]


class Postgresql:
    """A cluster. Durable as in production unless `is_durable` is False, which spares each commit its write."""

    def __init__(self, folder: Path, port: int, *, is_durable: bool = True) -> None:
        self._folder = folder.absolute()
        self._data = self._folder / "data"
        self._is_durable = is_durable
        self.port = port
        self.log = self._folder / "postgresql.log"

    @property
    def pid(self) -> int:
        """Its main process; 0 if it does not run, also if it was killed and left its file behind."""
        try:
            pid = int((self._data / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0])
        except (OSError, ValueError):
            return 0
        return pid if Path(f"/proc/{pid}").exists() else 0

    def url(self, database: str) -> str:
        """The URL of one of its databases."""
        return f"postgresql://{USER}@{ports.HOST}:{self.port}/{database}"

    def start(self) -> None:
        """Make it if it is not there, start it if it does not run; returns when it serves. Raises EngineFailed."""
        if not (self._data / "PG_VERSION").exists():
            self._make()
        if self._run("pg_ctl", "status", "--pgdata", self._data, may_fail=True) != 0:
            command = ("pg_ctl", "start", "--pgdata", self._data, "--log", self.log, "--wait", "--timeout=60")
            self._run(*command, "--options", self._settings())

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` breaks connections off, `immediate` is a crash."""
        self._run("pg_ctl", "stop", "--pgdata", self._data, "--mode", mode, "--wait")

    def kill(self) -> None:
        """Have it crash: it ends at once and recovers at the next start (pg_ctl(1), immediate)."""
        pid = self.pid
        with contextlib.suppress(ProcessLookupError):
            while pid:
                os.kill(pid, signal.SIGQUIT)
                time.sleep(POLL_S)

    def create_database(self, name: str) -> str:
        """Its URL; made if it is not there."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
            if found is None:
                connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)

    def _make(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            owner = pwd.getpwnam(OWNER)
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "--pgdata", self._data, "--username", USER, "--auth=trust", "--encoding=UTF8")

    def _settings(self) -> str:
        settings = {
            "listen_addresses": ports.HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            **({} if self._is_durable else {"fsync": "off", "full_page_writes": "off"}),
        }
        return " ".join(f"-c {name}={value}" for name, value in settings.items())

    def _run(self, program: str, *arguments: object, may_fail: bool = False) -> int:
        command = [*_as_owner(), str(binaries() / program), *map(str, arguments)]
        done = subprocess.run(
            command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            check=False, timeout=COMMAND_S,
        )  # fmt: skip
        if done.returncode and not may_fail:
            raise EngineFailed(f"{program}: {done.stderr.decode(errors='replace')}{tail(self.log)}")
        return done.returncode


def _as_owner() -> list[str]:
    if os.geteuid() != 0:
        return []
    return [
        *("setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--init-groups"),
        *(f"--inh-caps={CAPABILITY}", f"--ambient-caps={CAPABILITY}"),
    ]
