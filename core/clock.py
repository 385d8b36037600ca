"""Time as an object, so that expiry, retries and leases can be tested without waiting.

Owns the port and the system's clock. Everything stored is UTC milliseconds since 1970-01-01.
"""

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """What the rest of the core may ask of time."""

    def now_ms(self) -> int:
        """UTC, in milliseconds since the epoch. May jump."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment. Never jumps; for leases, deadlines and durations."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """UTC, in milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Seconds since some fixed moment."""
        return time.monotonic()


def rfc3339(ms: int) -> str:
    """`2024-10-25T10:30:00.123Z`."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


def rfc3339_seconds(ms: int) -> str:
    """`2024-10-25T10:30:00Z`, the form of the documented webhook keys."""
    return f"{_second(ms // 1000)}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """Written once for all that happens in one second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
