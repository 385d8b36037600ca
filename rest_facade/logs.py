"""How the facade logs: JSON lines on stderr.

Owns the set-up of structlog. Lines hold ids, states, counts and durations; never numbers, texts, bodies or keys.
"""

import logging
import sys
from typing import Any

import msgspec
import structlog

LEVELS = ("debug", "info", "warning", "error")
_encode = msgspec.json.Encoder(enc_hook=str).encode


def _role(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event["role"] = "rest"
    return event


def configure(level: str, form: str) -> None:
    """Set logging up for a process that is nothing but a facade. `form`: json or console."""
    number = logging.getLevelNamesMapping()[level.upper()]
    json_lines = form == "json"
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _role,
            structlog.processors.format_exc_info,
            _render_json if json_lines else _render_console(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(stream=sys.stderr, level=max(number, logging.WARNING), format="%(name)s: %(message)s")


def _render_json(_logger: Any, _method: str, event: structlog.typing.EventDict) -> bytes:
    return _encode(event)


def _render_console() -> Any:
    render = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), timestamp_key="at")
    return lambda logger, method, event: str(render(logger, method, event)).encode()
