"""How many parts a phone may send now: Android counts those of an app over half an hour.

Owns the count, which outlives the process: Android's does too. Does no I/O; whoever takes parts keeps `written`.
"""

import json

PERIOD_S = 1800.0


class Pace:
    """Parts of the last half hour, against a limit."""

    def __init__(self, limit: int, written: bytes | None, *, now_s: float) -> None:
        """`written` is what an earlier process kept. What it says of the future is a clock that was set, and goes."""
        self._limit = limit
        self._taken: list[tuple[float, int]] = [
            (at, parts) for at, parts in json.loads(written or b"[]") if at <= now_s
        ]

    def wait_s(self, parts: int, *, now_s: float) -> float:
        """Seconds until so many parts may go; 0: now. A message of more parts than the limit goes alone."""
        self._taken = [entry for entry in self._taken if now_s - PERIOD_S < entry[0] <= now_s]
        excess = sum(taken for _, taken in self._taken) + min(parts, self._limit) - self._limit
        for at, taken in self._taken:
            if excess <= 0:
                break
            excess -= taken
            if excess <= 0:
                return at + PERIOD_S - now_s
        return 0.0

    def take(self, parts: int, *, now_s: float) -> None:
        """So many parts go now."""
        self._taken.append((now_s, parts))

    def exhaust(self, *, now_s: float) -> None:
        """Android itself says that its limit is reached: as if all had been taken now."""
        self.take(self._limit, now_s=now_s)

    def written(self) -> bytes:
        """What the next process is to know."""
        return json.dumps(self._taken).encode()
