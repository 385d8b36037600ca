"""How fast a number may send: in all, and to each recipient (Meta's "Throughput" and "Pair rate limits").

Times are given, not asked for; nothing here waits.
"""

from collections import OrderedDict
from dataclasses import dataclass

PAIR_BURST, PAIR_EVERY_S = 45, 6.0
"""To one recipient one message in six seconds; 45 at once are taken, and have to be made up for."""
PAIR_PENALTY_BASE, PAIR_PENALTIES_MAX = 4, 6
"""After the n-th refusal in a row a recipient is left alone for 4 to the power of n seconds; n is 6 at most."""
RECIPIENTS_MAX = 20_000
"""Recipients that are remembered; the one that was written to longest ago is forgotten first."""
BURST_SHARE = 0.25
"""Share of a second's messages that may go out at once."""


class Rate:
    """A generic cell rate: `per_s` messages a second, `burst` of them at once."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._interval_s = 1 / per_s
        self._tolerance_s = (burst - 1) * self._interval_s
        self._theoretical_at = 0.0

    def wait_s(self, now: float) -> float:
        """Seconds until the next message may go out; 0: now."""
        return max(0.0, self._theoretical_at - self._tolerance_s - now)

    def take(self, now: float) -> float:
        """Count a message; seconds that it has to wait."""
        wait_s = self.wait_s(now)
        self._theoretical_at = max(self._theoretical_at, now) + self._interval_s
        return wait_s


def rate_of_number(messages_per_s: int) -> Rate:
    """The rate of a number as a whole."""
    return Rate(messages_per_s, max(1.0, messages_per_s * BURST_SHARE))


@dataclass(slots=True)
class _Recipient:
    rate: Rate
    refusals: int = 0
    """In a row."""
    not_before: float = 0.0


class Recipients:
    """What is known of those whom a number wrote to lately."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Recipient] = OrderedDict()

    def wait_s(self, recipient: str, now: float) -> float:
        """Seconds for which nothing may go to the recipient; 0: now."""
        known = self._known.get(recipient)
        return 0.0 if known is None else max(known.not_before - now, known.rate.wait_s(now), 0.0)

    def sent(self, recipient: str, now: float) -> None:
        """A message is about to go out."""
        self._of(recipient).rate.take(now)

    def refused(self, recipient: str, now: float) -> float:
        """Meta refused one because of the pair; seconds to leave the recipient alone."""
        known = self._of(recipient)
        known.refusals = min(known.refusals + 1, PAIR_PENALTIES_MAX)
        wait_s = float(PAIR_PENALTY_BASE**known.refusals)
        known.not_before = max(known.not_before, now + wait_s)
        return wait_s

    def accepted(self, recipient: str) -> None:
        """Meta took one."""
        self._of(recipient).refusals = 0

    def _of(self, recipient: str) -> _Recipient:
        known = self._known.get(recipient)
        if known is None:
            known = self._known[recipient] = _Recipient(Rate(1 / PAIR_EVERY_S, PAIR_BURST))
        self._known.move_to_end(recipient)
        if len(self._known) > RECIPIENTS_MAX:
            self._known.popitem(last=False)
        return known
