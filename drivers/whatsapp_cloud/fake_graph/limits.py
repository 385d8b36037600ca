"""How much Graph takes: so many messages a second of a number, and so many to one user (Meta's "Throughput").

To the same user one message in six seconds; a burst of 45 is taken, and has to be waited for afterwards.
"""

from collections import OrderedDict

from drivers.whatsapp_cloud.fake_graph.clock import Clock
from drivers.whatsapp_cloud.fake_graph.refusals import Refused

MESSAGES_PER_S = 80.0
PAIR_BURST, PAIR_EVERY_S = 45.0, 6.0
PAIRS_MAX = 100_000
"""Pairs that are remembered; the one that was written to longest ago goes first."""


class Bucket:
    """Holds up to `most` and gets `per_s` more each second."""

    def __init__(self, most: float, per_s: float, now: float) -> None:
        self._most = most
        self._per_s = per_s
        self._held = most
        self._at = now

    def take(self, now: float) -> bool:
        """Whether there was one to take."""
        self._held = min(self._most, self._held + (now - self._at) * self._per_s)
        self._at = now
        if self._held < 1:
            return False
        self._held -= 1
        return True


class Limits:
    """The limits of one number."""

    def __init__(self, clock: Clock, *, messages_per_s: float, pair_burst: float) -> None:
        self._clock = clock
        self._messages_per_s = messages_per_s
        self._pair_burst = pair_burst
        self._all = Bucket(messages_per_s, messages_per_s, clock.monotonic())
        self._pairs: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, recipient: str) -> None:
        """Count a message to somebody. Raises Refused."""
        now = self._clock.monotonic()
        if not self._all.take(now):
            raise Refused(130429, "Cloud API message throughput has been reached.")
        pair = self._pairs.pop(recipient, None) or Bucket(self._pair_burst, 1 / PAIR_EVERY_S, now)
        self._pairs[recipient] = pair
        if len(self._pairs) > PAIRS_MAX:
            self._pairs.popitem(last=False)
        if not pair.take(now):
            raise Refused(
                131056,
                "Too many messages were sent from this phone number to the same phone number in a short time.",
            )
