"""Identifiers: 24 lower-case hexadecimal digits, time-ordered; attempts named after their message.

Owns their form. Knows nothing of storage.
"""

import re
import secrets
import threading
import uuid

_ID = re.compile(r"[0-9a-f]{24}")
_COMMAND_ID = re.compile(r"([0-9a-f]{24})-([1-9][0-9]{0,5})")

RANDOM_BITS = 48
"""Random low bits of an id; the 48 bits above are milliseconds."""

STEP_BITS = 20
"""Within a millisecond ids rise by a random step of up to 2^20, so that they stay ordered and hard to guess."""


class IdSource:
    """Makes ids that rise strictly within the process; safe to call from any thread."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def new(self, now_ms: int) -> str:
        """A new id for something that happens at `now_ms`."""
        with self._lock:
            if now_ms <= self._last >> RANDOM_BITS:
                fresh = self._last + 1 + secrets.randbits(STEP_BITS)
            else:
                fresh = (now_ms << RANDOM_BITS) | secrets.randbits(RANDOM_BITS)
            self._last = fresh
        return f"{fresh:024x}"


new_id = IdSource().new


def first_id(at_ms: int) -> str:
    """The lowest id that something at `at_ms` or later can have."""
    return f"{max(at_ms, 0) << RANDOM_BITS:024x}"


def new_uuid() -> str:
    """A random UUID in its usual form; for devices and drivers."""
    return str(uuid.uuid4())


def is_id(text: str) -> bool:
    """Whether `text` has the form of an id."""
    return _ID.fullmatch(text) is not None


def command_id(message_id: str, attempt: int) -> str:
    """The id of one attempt at a message: `<message id>-<attempt>`, attempt from 1."""
    return f"{message_id}-{attempt}"


def parse_command_id(text: str) -> tuple[str, int] | None:
    """The message id and attempt that `text` names; None if it has another form."""
    match = _COMMAND_ID.fullmatch(text)
    return (match[1], int(match[2])) if match else None
