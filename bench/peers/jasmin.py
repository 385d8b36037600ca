"""Jasmin as a subject: its daemon in an environment of its own, RabbitMQ and Redis.

Its user has no quota. The route leads to an SMPP connector that is not bound: an accepted message waits in a queue of
RabbitMQ, which is declared without durability; the publication is not confirmed before the answer.
"""

import re
import socket
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.peers.rabbitmq import EPMD, SCRIPTS, RabbitMq
from bench.peers.subject import Subject, url
from bench.wrk import Request
from tools.engines.ports import HOST, answers, free_port
from tools.engines.processes import end, launch, wait_until_ready
from tools.engines.redis import Redis

VERSION = "0.11.1"
LOCK = Path("/tmp/jasmind.lock")  # noqa: S108 - where Jasmin has it
HOME = Path(__file__).parents[2] / "var/bench/jasmin"
PASSWORD = "bench"  # noqa: S105 - of a process that lives for a minute on loopback
READY_S = 60.0

_CONFIGURATION = """\
[amqp-broker]
host = 127.0.0.1
port = {amqp}
spec = {specification}

[redis-client]
host = 127.0.0.1
port = {redis}

[router]
bind = 127.0.0.1
port = {router}
store_path = {folder}/store

[client-management]
bind = 127.0.0.1
port = {clients}
store_path = {folder}/store

[http-api]
bind = 127.0.0.1
port = {http}

[smpp-server]
bind = 127.0.0.1
port = {smpp}

[smpp-server-pb]
bind = 127.0.0.1
port = {smpp_control}

[jcli]
bind = 127.0.0.1
port = {console}
authentication = False
"""

_PORTS = ("router", "clients", "http", "smpp", "smpp_control", "console", "smsc")

_SET_UP = (
    ("group -a", "gid bench", "ok"),
    ("user -a", "username bench", f"password {PASSWORD}", "gid bench", "uid bench", "ok"),
    ("smppccm -a", "cid bench", "host 127.0.0.1", "port {smsc}", "ok"),
    ("mtrouter -a", "type DefaultRoute", "connector smppc(bench)", "rate 0.0", "ok"),
)
"""What is said at its console."""


def missing() -> list[str]:
    """Debian packages that this subject lacks."""
    return [] if SCRIPTS.exists() and EPMD.exists() else ["rabbitmq-server"]


def install() -> None:
    """Make its environment, if it is not there: pip fetches it from where pip is configured to."""
    if not (HOME / "bin/jasmind.py").exists():
        subprocess.run([sys.executable, "-m", "venv", HOME], check=True)
        subprocess.run([HOME / "bin/pip", "install", "--quiet", f"jasmin=={VERSION}"], check=True)


@contextmanager
def running(folder: Path) -> Generator[Subject]:
    """Jasmin with its data in `folder`."""
    rabbitmq, redis = RabbitMq(folder / "rabbitmq"), Redis(folder / "redis", free_port())
    try:
        rabbitmq.start()
        redis.start()
        with _daemon(folder, amqp=rabbitmq.port, redis=redis.port) as (process, ports, text):
            yield Subject(
                request=_request(ports["http"]),
                is_accepted=lambda status, body: status == 200 and body.startswith("Success "),
                accepted=rabbitmq.queued,
                pids={"jasmin": process.pid, "rabbitmq": rabbitmq.pid, "redis": redis.pid},
                configuration={
                    "jasmin.cfg": text,
                    "console": "\n".join(" / ".join(part) for part in _SET_UP),
                },
                versions={"jasmin": VERSION, "rabbitmq": rabbitmq.version(), "packages": _packages()},
                durability="in a queue of RabbitMQ that is not durable, publication not confirmed",
            )
    finally:
        redis.stop()
        rabbitmq.stop()


@contextmanager
def _daemon(folder: Path, **engines: int) -> Generator[tuple[subprocess.Popen[bytes], dict[str, int], str]]:
    ports = {name: free_port() for name in _PORTS}
    (specification,) = HOME.glob("lib/*/site-packages/txamqp/specs/standard/amqp0-9-1.stripped.xml")
    text = _CONFIGURATION.format(folder=folder, specification=specification, **ports, **engines)
    file, log = folder / "jasmin.cfg", folder / "jasmin.output"
    file.write_text(text, encoding="ascii")
    (folder / "store").mkdir()
    environment = {"LOG_PATH": str(folder / "log"), "CONFIG_PATH": str(folder), "RESOURCE_PATH": str(folder)}
    command = [str(HOME / "bin/python"), str(HOME / "bin/jasmind.py"), "--config", str(file)]
    process = launch(command, folder=folder, log=log, environment=environment)
    try:
        wait_until_ready(
            "Jasmin", process, lambda: answers(ports["http"]) and answers(ports["console"]),
            log=log, within_s=READY_S,
        )  # fmt: skip
        for lines in _SET_UP:
            _say(ports["console"], [line.format(smsc=ports["smsc"]) for line in lines])
        yield process, ports, text
        LOCK.unlink(
            missing_ok=True
        )  # it is ours, since the daemon served; it stays if the daemon has to be killed
    finally:
        end(process, grace_s=10.0)


def _say(port: int, lines: Sequence[str]) -> None:
    """Type lines at the console, each after its prompt; the first one after the greeting, which has none.

    Raises RuntimeError if the last one is not acknowledged.
    """
    with socket.create_connection((HOST, port), timeout=10) as console:
        heard = _until(console, r"Session ref: \d+\s+$")
        for line in lines:
            console.sendall(f"{line}\r\n".encode())
            heard += _until(console, r"(jcli : |> )$")
    if "Successfully" not in heard:
        raise RuntimeError(f"Jasmin's console did not take {lines}:\n{heard}")


def _until(console: socket.socket, pattern: str) -> str:
    heard = ""
    while not re.search(pattern, heard):
        data = console.recv(4096)
        if not data:
            raise RuntimeError(f"Jasmin's console went away:\n{heard}")
        heard += data.decode(errors="replace")
    return heard


def _request(port: int) -> Request:
    message = {"from": "15559876543", "to": "1234567890", "content": "Hello from Infini Reach!"}
    return Request(url(f"http://127.0.0.1:{port}/send", username="bench", password=PASSWORD, **message), {})


def _packages() -> str:
    done = subprocess.run([HOME / "bin/pip", "freeze"], check=True, capture_output=True, text=True)
    return ", ".join(done.stdout.split())
