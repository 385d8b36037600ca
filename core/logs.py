"""How log events are written: one line each on stderr, JSON for machines or coloured text for people.

Owns the set-up of structlog and of the standard library's loggers that dependencies use. Last before writing,
every event passes `mask_secrets`: keys, tokens, numbers and texts of messages are not for logs, whoever does.
"""

import contextlib
import logging
import re
import sys
from collections.abc import Callable
from typing import Any, Literal

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Renderer = Callable[[WrappedLogger, str, EventDict], bytes]

MASK = "***"
SECRET_NAMES = frozenset({
    "api_key", "apikey", "authorization", "cookie", "credential", "key", "master_key", "password", "secret",
    "service_credential", "token", "x_api_key",
})  # fmt: skip
PERSONAL_NAMES = frozenset({
    "address", "body", "destination", "from", "message_body", "msisdn", "number", "phone_number", "recipient",
    "sender", "source", "text", "to",
})  # fmt: skip
REPEATERS = ("aiokafka",)
"""Libraries that say the same several times a second while a server is away; who uses them says it once."""

_MASKED_NAMES = SECRET_NAMES | PERSONAL_NAMES
_SECRET_IN_TEXT = re.compile(r"\b(?:irk|ird|whsec)_[A-Za-z0-9+/=_-]{6,}|(?<=://)[^/@\s]+:[^/@\s]+(?=@)")


def mask_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace what must not be logged: by the field's name, and credentials anywhere in a text."""
    for name, value in event.items():
        if name.lower() in _MASKED_NAMES:
            event[name] = MASK
        elif isinstance(value, str) and ("_" in value or "://" in value):
            event[name] = _SECRET_IN_TEXT.sub(MASK, value)
    return event


def configure(role: str, *, level: str, form: Literal["json", "console"]) -> None:
    """Set logging up for the process; `role` stands in every line. `level`: as the standard library's."""
    number = logging.getLevelNamesMapping()[level.upper()]
    before: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _constant("role", role),
    ]
    after: list[Processor] = [structlog.processors.format_exc_info, mask_secrets]
    render = _renderer(form)
    structlog.configure(
        processors=[*before, *after, render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: _LineLogger(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    _configure_dependencies(before, after, render, max(number, logging.WARNING))


class _LineLogger(structlog.BytesLogger):
    """Writes lines; one that cannot be written is dropped, since no call may fail for its log line."""

    def msg(self, message: bytes) -> None:
        with contextlib.suppress(OSError):
            super().msg(message)

    debug = info = warning = error = critical = fatal = exception = msg


def _constant(name: str, value: str) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event[name] = value
        return event

    return add


def _renderer(form: Literal["json", "console"]) -> Renderer:
    """The last step: the line's bytes."""
    if form == "console":
        render = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), timestamp_key="at")
        return lambda logger, method, event: str(render(logger, method, event)).encode()
    encode: Callable[[Any], bytes] = msgspec.json.Encoder(enc_hook=str).encode
    return lambda _logger, _method, event: encode(event)


def _configure_dependencies(
    before: list[Processor], after: list[Processor], render: Renderer, level: int
) -> None:
    """Write the libraries' warnings in the same form; no operator needs what is below that."""
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *before],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *after,
            lambda logger, method, event: render(logger, method, event).decode(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    for name in REPEATERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
