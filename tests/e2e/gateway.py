"""The gateway's real processes, and its callers' view of them.

Owns starting and ending `infinireach up`, its command line, the REST client and the bounded waits of these tests.
"""

import asyncio
import io
import json
import os
import secrets
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import aiohttp

from core.vault import new_key_line
from tools.engines.ports import free_port

READY_S_MAX = 60.0
STOP_S_MAX = 20.0
WAIT_S_MAX = 20.0
NUMBER = "+15559876543"
"""The number of the simulated devices, on SMS and on WhatsApp."""

Value = TypeVar("Value")


async def eventually(
    look: Callable[[], Awaitable[Value | None]], what: str, *, within_s: float = WAIT_S_MAX
) -> Value:
    """The first truthy answer of `look`; fails after `within_s`."""
    deadline = time.monotonic() + within_s
    while not (value := await look()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.05)
    return value


async def until(look: Callable[[], Value | None], what: str, *, within_s: float = WAIT_S_MAX) -> Value:
    """The same with a `look` that waits for nothing."""

    async def look_now() -> Value | None:
        return look()

    return await eventually(look_now, what, within_s=within_s)


def new_id() -> str:
    """An id of the right shape that nothing has."""
    return secrets.token_hex(12)


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant and an API key of it with the scope admin."""

    id: str
    name: str
    key: str


@dataclass(slots=True)
class Gateway:
    """One data folder and what runs in it."""

    var: Path
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    options: Sequence[str] = ()
    """More options of `infinireach up`."""
    ports: dict[str, int] = field(default_factory=dict[str, int])
    process: subprocess.Popen[bytes] | None = None
    run: dict[str, Any] = field(default_factory=dict[str, Any])

    def start(self) -> None:
        """Start everything and wait until run.json says that it is ready."""
        for name in ("REST", "GRPC", "METRICS"):
            self.ports.setdefault(name, free_port())
        line = [sys.executable, "-P", "-m", "core.cli.main", "up", "--quiet", *self.options]
        with (self.var.parent / "up.out").open("ab") as output:
            self.process = subprocess.Popen(line, env=self._environment(), stdout=output, stderr=output)
        deadline = time.monotonic() + READY_S_MAX
        while not self._read_run():
            assert self.process.poll() is None, (self.var.parent / "up.out").read_text()
            assert time.monotonic() < deadline, "the gateway is not ready"
            time.sleep(0.05)

    def stop(self) -> None:
        """End everything in order, or at once if it does not end in time."""
        process = self.process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S_MAX)
        self.process = None

    def restart(self) -> None:
        """Stop and start on the same ports and data."""
        self.stop()
        self.start()

    def command(self, *arguments: str) -> str:
        """What a command of `infinireach` prints."""
        line = [sys.executable, "-P", "-m", "core.cli.main", *arguments]
        done = subprocess.run(
            line, env=self._environment(), capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def new_tenant(self, name: str, *, per_minute: int = 1_000_000) -> Tenant:
        """Make a tenant and a key of it."""
        made = json.loads(self.command("tenant", "create", name, "--per-minute", str(per_minute), "--json"))[
            "tenant"
        ]
        return Tenant(made["id"], name, self.new_key(name)["apiKey"])

    def new_key(self, tenant: str, **options: object) -> dict[str, Any]:
        """Make a key by the command line; options as its own, `per_minute=5`."""
        given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        return json.loads(self.command("key", "create", "--tenant", tenant, *given, "--json"))

    def radio(self, *, message_id: str = "") -> list[dict[str, Any]]:
        """What the simulated network took, of all messages or of one."""
        entries: list[dict[str, Any]] = []
        with suppress(FileNotFoundError):
            lines = (self.var / "simulated-radio.log").read_text(encoding="utf-8").splitlines()
            entries = [json.loads(line) for line in lines]
        return [entry for entry in entries if message_id in {"", entry["message_id"]}]

    def log_events(self, role: str, event: str) -> list[dict[str, Any]]:
        """The log lines of one kind of one process."""
        lines = (self.var / "logs" / f"{role}.log").read_text(encoding="utf-8").splitlines()
        return [entry for entry in map(json.loads, lines) if entry["event"] == event]

    def client(self, key: str | None = None) -> "Client":
        """A REST client; with the demo tenant's key unless another is given."""
        return Client(self.run["rest"], self.run["apiKey"] if key is None else key)

    def _read_run(self) -> bool:
        with suppress(OSError, ValueError):
            self.run = json.loads((self.var / "run.json").read_text(encoding="utf-8"))
            return True
        return False

    def _environment(self) -> dict[str, str]:
        ports = {f"INFINIREACH_{name}_PORT": str(port) for name, port in self.ports.items()}
        return {**os.environ, **ports, **self.settings, "INFINIREACH_VAR": str(self.var)}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the REST API."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class Client:
    """A caller of the REST API."""

    def __init__(self, base: str, key: str, *, tls: ssl.SSLContext | None = None) -> None:
        self.base = base
        self.key = key
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=128, ssl=self._tls or True),
            timeout=aiohttp.ClientTimeout(total=30),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request; `body` as JSON, or `raw` bytes."""
        assert self._session is not None
        sent = {"X-API-Key": self.key} if self.key else {}
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            sent["Content-Type"] = "application/json"
        async with self._session.request(
            method,
            self.base + path,
            data=None if raw is None else io.BytesIO(raw),
            headers={**sent, **(headers or {})},
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str) -> Any:
        """The JSON of a GET that succeeds."""
        answer = await self.request("GET", path)
        assert answer.status == 200, answer
        return answer.json

    async def post(self, path: str, body: object, *, status: int = 201) -> Any:
        """The JSON of a POST that is answered with `status`."""
        answer = await self.request("POST", path, body)
        assert answer.status == status, answer
        return answer.json

    async def send(self, **changes: Any) -> str:
        """Post a message; its id."""
        accepted = await self.post("/api/v1/messages", message(**changes))
        return accepted["messageId"]

    async def message_in(self, message_id: str, *statuses: str, within_s: float = WAIT_S_MAX) -> Any:
        """The message as soon as it has one of the statuses."""

        async def look() -> Any:
            found = await self.get(f"/api/v1/messages/{message_id}")
            return found if found["status"] in statuses else None

        return await eventually(look, f"message {message_id} is {statuses}", within_s=within_s)


def on_postgresql(var: Path, url: str) -> dict[str, str]:
    """The settings of a gateway on a PostgreSQL database, with the secrets that `up` makes only beside SQLite."""
    var.mkdir(parents=True)
    for name, line in (("master.key", new_key_line()), ("service.credential", secrets.token_urlsafe(32))):
        (var / name).write_text(f"{line}\n", encoding="ascii")
        (var / name).chmod(0o600)
    return {"INFINIREACH_DATABASE_URL": url, "INFINIREACH_PROFILE": "development"}


def message(**changes: Any) -> dict[str, Any]:
    """The body of a POST of a message; a change to None leaves the field out."""
    values = {"to": "+15551230000", "message": "Hello", "from": NUMBER, "channel": "sms"} | changes
    return {name: value for name, value in values.items() if value is not None}
