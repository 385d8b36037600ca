"""How many parts a phone may send now: Android counts those of an app over half an hour.

Owns the count, which outlives the process: Android's does too. It is kept by the wall's clock and counted by a
monotonic one, so a clock that is set while the process runs changes nothing. Does no I/O; whoever takes parts keeps
`written`.
"""

import json
from dataclasses import dataclass

PERIOD_S = 1800.0


@dataclass(slots=True, eq=False)
class _Taken:
    """Parts that went."""

    at: float
    """Monotonic."""
    parts: int
    key: str
    """Of the message; empty: nobody gives these back."""


class Pace:
    """Parts of the last half hour, against a limit. `now` is monotonic everywhere, `wall_s` seconds since 1970."""

    def __init__(self, limit: int, written: bytes | None, *, now: float, wall_s: float) -> None:
        """`written` is what an earlier process kept. What it says of the future was now: a clock was set back."""
        self._limit = limit
        self._taken = [
            _Taken(now - max(0.0, wall_s - at_s), parts, key)
            for at_s, parts, key in json.loads(written or b"[]")
        ]

    def wait_s(self, parts: int, *, now: float) -> float:
        """Seconds until so many parts may go; 0: now. A message of more parts than the limit goes alone."""
        self._taken = [each for each in self._taken if now - PERIOD_S < each.at]
        excess = sum(each.parts for each in self._taken) + min(parts, self._limit) - self._limit
        for each in self._taken:
            if excess <= 0:
                break
            excess -= each.parts
            if excess <= 0:
                return each.at + PERIOD_S - now
        return 0.0

    def take(self, parts: int, *, now: float, key: str = "") -> None:
        """So many parts go now."""
        self._taken.append(_Taken(now, parts, key))

    def give_back(self, key: str) -> None:
        """Nothing of this message went out."""
        self._taken = [each for each in self._taken if each.key != key]

    def exhaust(self, *, now: float) -> None:
        """Android itself says that its limit is reached: as if all had been taken now."""
        self.take(self._limit, now=now)

    def written(self, *, now: float, wall_s: float) -> bytes:
        """What the next process is to know."""
        return json.dumps([[wall_s - (now - each.at), each.parts, each.key] for each in self._taken]).encode()
