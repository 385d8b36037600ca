"""How long to wait before the next try to reach the core. Knows nothing of why the last one failed."""

import random

FIRST_DELAY_S = 0.1
DELAY_MAX_S = 10.0
GROWTH = 1.4
"""Slow enough that a core which was away for three seconds is found within two more."""
JITTER = 0.5
"""Share of the delay that is left to chance, so that many drivers do not come back as one."""
LONG_DELAY_S = 10.0
"""The least delay where trying again soon cannot help."""


class Backoff:
    """Growing delays, from FIRST_DELAY_S to DELAY_MAX_S."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._delay_s = FIRST_DELAY_S

    def reset(self) -> None:
        """The last stream was a good one: begin again with the shortest delay."""
        self._delay_s = FIRST_DELAY_S

    def next_delay_s(self, *, at_least_s: float = 0.0) -> float:
        """The delay before the next try."""
        delay_s = max(self._delay_s, at_least_s)
        self._delay_s = min(self._delay_s * GROWTH, DELAY_MAX_S)
        return delay_s * (1 - JITTER * self._chance.random())
