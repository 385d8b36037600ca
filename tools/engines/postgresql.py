"""A PostgreSQL cluster in a folder of its own.

Owns how it is made and run, and who may use it: one role with a generated password, who makes databases and owns them.
Nobody can connect as its superuser.

PostgreSQL refuses to run as root; started by root it runs as the user postgres and has no right that this user has not.
Where that user cannot get to the folder, the folder is a link to one in the user's home.
"""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from core.cli.run_file import write_private
from tools.engines import ports
from tools.engines.processes import POLL_S, EngineFailed, tail

USER = "reach"
OWNER = "postgres"
COMMAND_S = 120
PASSABLE = 0o711
"""The mode of a folder into which others may not look, and through which PostgreSQL's user may pass."""


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
        self._is_durable = is_durable
        self.port = port
        self.log = self._folder / "postgresql.log"
        self.password_file = self._folder / "password"

    @property
    def pid(self) -> int:
        """Its main process; 0 if it does not run, also if it was killed and left its file behind."""
        try:
            pid = int((self._data / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0])
        except (OSError, ValueError):
            return 0
        return pid if Path(f"/proc/{pid}").exists() else 0

    def url(self, database: str) -> str:
        """The URL of one of its databases, with the password. Raises EngineFailed if it was not made yet."""
        try:
            password = self.password_file.read_text(encoding="ascii").strip()
        except OSError as error:
            raise EngineFailed(f"{self.password_file}: {error.strerror}") from None
        return f"postgresql://{USER}:{password}@{ports.HOST}:{self.port}/{database}"

    def start(self) -> None:
        """Make it if it is not there, start it if it does not run; returns when it serves. Raises EngineFailed."""
        if not self.password_file.exists():
            self._make()
        if self._run("pg_ctl", "status", "--pgdata", self._data, may_fail=True) != 0:
            command = ("pg_ctl", "start", "--pgdata", self._data, "--wait", "--timeout=60")
            self._run(*command, "--log", self._place / self.log.name, "--options", self._settings())

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

    def remove(self) -> None:
        """Kill it and remove its files."""
        self.kill()
        shutil.rmtree(self._place, ignore_errors=True)
        if self._folder.is_symlink():
            self._folder.unlink()

    def create_database(self, name: str) -> str:
        """Its URL; made if it is not there."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
            if found is None:
                connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)

    def administer(self, *statements: str) -> None:
        """Execute statements as the superuser; only while it does not run. Raises EngineFailed."""
        command = ("postgres", "--single", "-D", self._data, "-c", "exit_on_error=on", "postgres")
        self._run(*command, stdin="".join(f"{statement}\n" for statement in statements))

    @property
    def _place(self) -> Path:
        """Where the folder really is."""
        return self._folder.resolve()

    @property
    def _data(self) -> Path:
        return self._place / "data"

    def _make(self) -> None:
        if self._data.exists():
            raise EngineFailed(
                f"{self._data} was begun and not finished, or made when everybody on this machine could connect to it. "
                f"Remove {self._folder} to have it made anew."
            )
        self._make_folder()
        self._run(
            *("initdb", "--pgdata", self._data, "--username", OWNER, "--encoding=UTF8"),
            *("--auth-local=reject", "--auth-host=reject"),
        )
        entry = f"host all {USER} {ports.HOST}/32 scram-sha-256\n"
        (self._data / "pg_hba.conf").write_text(entry, encoding="ascii")
        password = secrets.token_urlsafe(24)
        self.administer(
            "SET password_encryption = 'scram-sha-256'",
            f"CREATE ROLE {USER} LOGIN CREATEDB PASSWORD '{password}'",
        )
        write_private(self.password_file, f"{password}\n")

    def _make_folder(self) -> None:
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        if os.geteuid() != 0:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            return
        owner = pwd.getpwnam(OWNER)
        if not self._folder.exists():
            if _can_be_passed(self._folder.parent):
                self._folder.mkdir(mode=0o700)
            else:
                self._folder.unlink(missing_ok=True)  # a link to what is gone
                self._folder.symlink_to(tempfile.mkdtemp(prefix="infinireach-", dir=owner.pw_dir))
        os.chown(self._place, owner.pw_uid, owner.pw_gid)

    def _settings(self) -> str:
        settings = {
            "listen_addresses": ports.HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            **({} if self._is_durable else {"fsync": "off", "full_page_writes": "off"}),
        }
        return " ".join(f"-c {name}={value}" for name, value in settings.items())

    def _run(self, program: str, *arguments: object, stdin: str = "", may_fail: bool = False) -> int:
        command = [*_as_owner(), str(binaries() / program), *map(str, arguments)]
        done = subprocess.run(
            command, cwd="/", input=stdin.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            check=False, timeout=COMMAND_S,
        )  # fmt: skip
        if done.returncode and not may_fail:
            raise EngineFailed(f"{program}: {done.stderr.decode(errors='replace')}{tail(self.log)}")
        return done.returncode


def _as_owner() -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--init-groups"]


def _can_be_passed(folder: Path) -> bool:
    """Whether everybody on this machine can get to what lies in this folder and may be seen by them."""
    resolved = folder.resolve()
    return all(each.stat().st_mode & stat.S_IXOTH for each in (resolved, *resolved.parents))
