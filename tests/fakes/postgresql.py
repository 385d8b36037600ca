"""A real PostgreSQL for tests: a cluster of their own on a free port of loopback.

Owns its life: made when first asked for, stopped and removed at the end of the process. Durable as in production
unless `is_durable` is False, which spares the many tests that never crash it a synchronous write for each commit.
"""

import atexit
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import psycopg

USER = "reach"


def binaries() -> Path:
    """The folder of the newest PostgreSQL of this machine. Raises FileNotFoundError."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not folders:
        raise FileNotFoundError("PostgreSQL is not installed: sudo apt install postgresql")
    return folders[-1]


class Cluster:
    """A cluster in a folder of its own."""

    def __init__(self, *, is_durable: bool) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="infinireach-postgresql-"))
        self.port = _free_port()
        self._as_owner: list[str] = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            owner = pwd.getpwnam("postgres")
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
            self._as_owner = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        self._data = self._folder / "data"
        self._run("initdb", "--pgdata", self._data, "--username", USER, "--auth=trust", "--encoding=UTF8")
        lines = [
            "listen_addresses = '127.0.0.1'",
            f"port = {self.port}",
            "unix_socket_directories = ''",
            "max_connections = 200",
            *([] if is_durable else ["fsync = off", "full_page_writes = off"]),
        ]
        with (self._data / "postgresql.conf").open("a") as file:
            file.write("\n".join(lines) + "\n")
        self.start()

    def url(self, database: str) -> str:
        """The URL of one of its databases."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it serves."""
        log = self._folder / "log"
        self._run("pg_ctl", "start", "--pgdata", self._data, "--log", log, "--wait", "--timeout=30")

    def stop(self, mode: str) -> None:
        """Stop it: `fast` breaks connections off, `immediate` is a crash."""
        self._run("pg_ctl", "stop", "--pgdata", self._data, "--mode", mode, "--wait")

    def create_database(self, name: str) -> str:
        """A new database; its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)

    def remove(self) -> None:
        """Stop it and remove its files."""
        if (self._data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: object) -> None:
        command = [*self._as_owner, str(binaries() / program), *map(str, arguments)]
        done = subprocess.run(
            command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
            timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()


@cache
def shared_cluster() -> Cluster:
    """The cluster of all tests that do not stop it."""
    cluster = Cluster(is_durable=False)
    atexit.register(cluster.remove)
    return cluster


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
