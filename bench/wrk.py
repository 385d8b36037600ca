"""The load generator: wrk with one thread, and what it says in numbers."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

CONNECTIONS = 128


@dataclass(frozen=True, slots=True)
class Request:
    """The request that is repeated. `url` is whole; a body makes it a POST."""

    url: str
    headers: Mapping[str, str]
    body: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    """What a run brought: answers, those that were not 2xx or 3xx, latency by percentile, wrk's own words."""

    answered: int
    refused: int
    duration_s: float
    latency_ms: dict[str, float]
    raw: str

    @property
    def accepted(self) -> int:
        """Answers 2xx."""
        return self.answered - self.refused

    @property
    def per_s(self) -> float:
        """Answers 2xx a second."""
        return self.accepted / self.duration_s


def load(request: Request, duration_s: int, connections: int = CONNECTIONS) -> Load:
    """Repeat the request on so many connections for so long. Raises SystemExit if wrk is missing."""
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_script(request))
        script.flush()
        command = [program, "-t1", f"-c{connections}", f"-d{duration_s}s", "--latency", "-s", script.name]
        output = subprocess.run([*command, request.url], check=True, capture_output=True, text=True).stdout
    return Load(
        answered=int(_found(r"(\d+) requests in", output)),
        refused=int(_found(r"Non-2xx or 3xx responses: (\d+)", output, default="0")),
        duration_s=_seconds(_found(r"requests in (\S+),", output)),
        latency_ms={p: _ms(_found(rf"(?m)^ +{p}%\s+(\S+)", output)) for p in ("50", "90", "99")},
        raw=output,
    )


def _script(request: Request) -> str:
    lines = [f'wrk.method = "{"POST" if request.body else "GET"}"']
    lines += [f"wrk.headers[{_lua(name)}] = {_lua(value)}" for name, value in request.headers.items()]
    if request.body:
        lines.append(f"wrk.body = {_lua(request.body)}")
    return "\n".join(lines)


def _lua(text: str) -> str:
    """A text as Lua writes it; the same as in JSON for what is in requests."""
    return json.dumps(text)


def _found(pattern: str, text: str, default: str | None = None) -> str:
    match = re.search(pattern, text)
    if match is None and default is None:
        raise RuntimeError(f"wrk said nothing like {pattern!r}:\n{text}")
    return match[1] if match else str(default)


def _ms(text: str) -> float:
    return round(_seconds(text) * 1000, 2)


def _seconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()  # pyright: ignore[reportOptionalMemberAccess]
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}[unit]
