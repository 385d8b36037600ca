"""What time it is, for what comes in to a phone: two clocks may be wrong, and neither may lose or repeat messages.

Owns which clock is believed. While the phone's and ours agree, the phone's is: it has its network's time, as the
messages have. From then on time passes by the monotonic clock, so that a clock that jumps changes nothing. Does no I/O.
"""

from drivers.runtime.clock import Clock

AGREE_S = 3600.0
"""Two clocks that differ by more do not agree."""


class PhoneTime:
    """The time at one phone, in seconds since 1970."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._noted_s = 0.0
        # What to add to the monotonic clock.
        self._phone: float | None = None
        self._agreed: float | None = None

    @property
    def has_agreed(self) -> bool:
        """Whether both clocks agreed once since the process began."""
        return self._agreed is not None

    def note(self, at_s: float) -> None:
        """An earlier process believed this time, so it has passed."""
        self._noted_s = at_s

    def told(self, phone_s: float, *, wall_s: float) -> None:
        """The phone's clock, and ours at the same moment."""
        self._phone = phone_s - self._clock.monotonic()
        if abs(phone_s - wall_s) <= AGREE_S:
            self._agreed = self._phone

    def phone_s(self) -> float:
        """What the phone itself takes for the time; ours before it told."""
        return self.wall_s() if self._phone is None else self._phone + self._clock.monotonic()

    def wall_s(self) -> float:
        """Our own clock."""
        return self._clock.wall_ns() / 1e9

    def believed_s(self) -> float:
        """What time it is. Of two clocks that never agreed it is the phone's, unless that is surely behind."""
        if self._agreed is not None:
            return self._agreed + self._clock.monotonic()
        phone_s, wall_s = self.phone_s(), self.wall_s()
        return wall_s if phone_s < self._noted_s <= wall_s else phone_s
