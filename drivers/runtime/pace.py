"""How often a busy driver commits: a transaction and the frames behind it cost the same for one message as for
fifty, so under load they are spaced out, and what arrives meanwhile joins the next one.
"""

SPACING_S = 0.005
"""Seconds between transactions under load. About what a disk takes that really syncs."""
BURST = 4
"""Transactions in a row that are not spaced out: one message alone waits for nothing."""


class Pace:
    """A generic cell rate: BURST at once, then one each SPACING_S."""

    def __init__(self) -> None:
        self._theoretical_at = 0.0

    def wait_s(self, now: float) -> float:
        """Seconds to wait before a transaction that is due now; it is counted by this call."""
        self._theoretical_at = max(self._theoretical_at, now) + SPACING_S
        return max(0.0, self._theoretical_at - now - BURST * SPACING_S)
