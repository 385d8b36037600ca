"""How the facade logs: JSON lines on stderr.

Owns the set-up of structlog, the sink, and the one line that every request writes. Lines hold ids, states, counts
and durations; never numbers, texts, bodies or keys.

Request lines go past structlog's processors and, like all lines, into a buffer that is written a few times a
second: a line of its own costs as much as parsing the request.
"""

import asyncio
import atexit
import contextlib
import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, BinaryIO, Protocol

import msgspec
import structlog

from rest_facade.auth import Caller

ROLE = "rest"
FLUSH_S = 0.1
BUFFER_BYTES_MAX = 65_536

_encode = msgspec.json.Encoder(enc_hook=str).encode


class LineSink:
    """Collects lines and writes them together: after `FLUSH_S`, at `BUFFER_BYTES_MAX`, at exit, or when told."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lines: list[bytes] = []
        self._bytes = 0
        self._flush_is_due = False

    def msg(self, line: bytes) -> None:
        """Take a line without its end. Outside an event loop it is written at once."""
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes >= BUFFER_BYTES_MAX:
            self.flush()
        elif not self._flush_is_due:
            self._schedule()

    debug = info = warning = error = critical = msg

    def flush(self) -> None:
        """Write what was collected. What cannot be written is dropped: a request must not fail for its log line."""
        self._flush_is_due = False
        if self._lines:
            text = b"\n".join([*self._lines, b""])
            self._lines.clear()
            self._bytes = 0
            with contextlib.suppress(OSError):
                self._stream.write(text)
                self._stream.flush()

    def _schedule(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
        else:
            self._flush_is_due = True
            loop.call_later(FLUSH_S, self.flush)


class RequestLog(Protocol):
    """Writes the line of one request."""

    def __call__(
        self, caller: Caller, request_id: str, /, *, route: str, status: int, duration_s: float
    ) -> None:
        """Write it."""
        ...


def configure(level: str, form: str) -> LineSink:
    """Set logging up for a process that is nothing but a facade. `form`: json or console."""
    number = logging.getLevelNamesMapping()[level.upper()]
    sink = LineSink(sys.stderr.buffer)
    atexit.register(sink.flush)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _add_role,
            structlog.processors.format_exc_info,
            _render_json if form == "json" else _console_renderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(stream=sys.stderr, level=max(number, logging.WARNING), format="%(name)s: %(message)s")
    return sink


def request_log(level: str, form: str, sink: LineSink) -> RequestLog:
    """What writes the line of every request: nothing above `info`, bytes for machines, structlog for people."""
    if logging.getLevelNamesMapping()[level.upper()] > logging.INFO:
        return _write_nothing
    if form != "json":
        return _write_with_structlog

    def write_json(caller: Caller, request_id: str, *, route: str, status: int, duration_s: float) -> None:
        facts = _facts(caller, request_id, route=route, status=status, duration_s=duration_s)
        facts |= {
            "event": "request",
            "level": "info",
            "at": datetime.now(UTC),
            "role": ROLE,
        }
        sink.msg(_encode(facts))

    return write_json


def _write_nothing(_caller: Caller, _request_id: str, *, route: str, status: int, duration_s: float) -> None:
    return


def _write_with_structlog(
    caller: Caller, request_id: str, *, route: str, status: int, duration_s: float
) -> None:
    structlog.get_logger("rest_facade").info(
        "request", **_facts(caller, request_id, route=route, status=status, duration_s=duration_s)
    )


def _facts(caller: Caller, request_id: str, *, route: str, status: int, duration_s: float) -> dict[str, Any]:
    return {
        "route": route,
        "status": status,
        "duration_ms": round(duration_s * 1000, 2),
        "request_id": request_id,
        "tenant_id": caller.tenant_id,
        "key_id": caller.key_id,
    }


def _add_role(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["role"] = ROLE
    return event


def _render_json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> bytes:
    return _encode(event)


def _console_renderer() -> Any:
    render = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), timestamp_key="at")
    return lambda logger, method, event: str(render(logger, method, event)).encode()
