"""Whether a core answers at all, as the calls made of it tell: one that hangs keeps its connection.

Owns when a core is put aside and when it is time to look whether it is back. Makes no call and waits for nothing.
"""

from collections.abc import Callable

MISSED_MAX = 2
"""Deadlines in a row without an answer in between, after which a core is put aside."""

ASIDE_S = 5.0
"""How long it is left alone then."""

CHECK_EVERY_S = 1.0
"""How often it is asked afterwards, until it answers."""


class Standing:
    """Good at first; aside after missed deadlines; good again after a check that was answered."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._missed = 0
        self._check_at_s: float | None = None

    @property
    def is_aside(self) -> bool:
        """Whether calls should go elsewhere, if there is an elsewhere."""
        return self._check_at_s is not None

    @property
    def check_in_s(self) -> float:
        """Seconds until the core should be asked whether it is back; only while it is aside."""
        assert self._check_at_s is not None, "nobody is asked who is not aside"
        return max(0.0, self._check_at_s - self._now_s())

    def answered(self) -> None:
        """A call got an answer, be it an error. What answers late is still aside until it is asked."""
        self._missed = 0

    def missed(self) -> bool:
        """A call's deadline passed; answers whether the core is put aside by it."""
        self._missed += 1
        if self.is_aside or self._missed < MISSED_MAX:
            return False
        self._check_at_s = self._now_s() + ASIDE_S
        return True

    def checked(self, *, is_back: bool) -> None:
        """The core was asked."""
        self._missed = 0
        self._check_at_s = None if is_back else self._now_s() + CHECK_EVERY_S
