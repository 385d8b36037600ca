"""Ports: whether they are free, which are, and who holds one. Knows no service."""

import errno
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

RELEASE_S = 1.0
"""How long processes that were killed a moment ago may take to let go of their ports."""
_POLL_S = 0.05
_LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A port that will be listened on, and the environment variable that moves it."""

    purpose: str
    host: str
    port: int
    variable: str


def problems(endpoints: list[Endpoint], *, patience_s: float) -> list[str]:
    """Why these cannot all be listened on within `patience_s`: a sentence for each fault, with its remedy."""
    found = []
    seen: dict[int, Endpoint] = {}
    for endpoint in endpoints:
        if other := seen.get(endpoint.port):
            found.append(
                f"Port {endpoint.port} is set for both {other.purpose} and {endpoint.purpose}. "
                f"Change {endpoint.variable}."
            )
        elif problem := _lasting_problem(endpoint, patience_s):
            found.append(problem)
        seen[endpoint.port] = endpoint
    return found


def _lasting_problem(endpoint: Endpoint, patience_s: float) -> str:
    deadline = time.monotonic() + patience_s
    while True:
        problem = _problem(endpoint)
        if not problem or time.monotonic() >= deadline:
            return problem
        time.sleep(_POLL_S)


def _problem(endpoint: Endpoint) -> str:
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((endpoint.host, endpoint.port))
        except OSError as error:
            where = f"Port {endpoint.port} on {endpoint.host}, for {endpoint.purpose},"
            if error.errno == errno.EADDRINUSE:
                remedy = f"Stop it or choose another port with {endpoint.variable}."
                return f"{where} is taken{_by(holder(endpoint.port))}. {remedy}"
            return f"{where} cannot be used: {error.strerror}. Choose another with {endpoint.variable}."
    return ""


def free_port(host: str) -> int:
    """A port that nobody uses at the moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _by(process: tuple[int, str] | None) -> str:
    return f" by {process[1]} (process {process[0]})" if process else ""


def holder(port: int) -> tuple[int, str] | None:
    """Process id and command of whoever listens on a port, where the kernel lets us see it (proc(5))."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(os.readlink(descriptor) in sockets for descriptor in (folder / "fd").iterdir()):
                words = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
                command = b" ".join(words).decode(errors="replace")
                return int(folder.name), command[:80]
    return None


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
                    inodes.add(columns[9])
    return inodes
