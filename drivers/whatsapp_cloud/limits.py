"""How fast a number may send: in all, and to each recipient (Meta's "Throughput" and "Pair rate limits").

Times are given, not asked for; nothing here waits.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

PAIR_BURST, PAIR_EVERY_S = 45, 6.0
"""To one recipient one message in six seconds; 45 at once are taken, and have to be made up for."""
PAIR_PENALTY_BASE, PAIR_PENALTIES_MAX = 4, 6
"""After the n-th refusal in a row a recipient is left alone for 4 to the power of n seconds; n is 6 at most."""
RECIPIENTS_MAX = 20_000
"""Recipients that are remembered; the one that was written to longest ago is forgotten first."""
LINE_MAX = 1000
"""Messages to one recipient that are put off and whose order is known; further ones are behind all of them."""
LINE_KEEP_S = 60.0
"""For which one that does not come again when it is its turn keeps back those behind it."""
TURN_S = 1.0
"""Seconds by which messages are put off one after the other where Meta sets no pace."""
TOLERANCE_S = 0.05
"""One that comes so little too early is not put off again."""
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
    line: dict[str, tuple[int, float]] = field(default_factory=dict[str, tuple[int, float]])
    """Messages that are put off: their place, and when it is their turn."""

    def ahead(self, place: int, now: float) -> int:
        """How many in the line come before that place. Those that have not come for long are forgotten."""
        for message_id in [each for each, (_, due) in self.line.items() if due + LINE_KEEP_S < now]:
            del self.line[message_id]
        return sum(other < place for other, _ in self.line.values())


class Recipients:
    """What is known of those whom a number wrote to lately."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Recipient] = OrderedDict()
        self._places = 0

    def place(self, recipient: str, message_id: str) -> int:
        """The place of a message that comes now, or that it had when it was put off: the first has the smallest."""
        known = self._known.get(recipient)
        if known is not None and message_id in known.line:
            return known.line[message_id][0]
        self._places += 1
        return self._places

    def wait_s(self, recipient: str, now: float, *, place: int | None = None) -> float:
        """Seconds for which no message of this place may go to the recipient; 0: now. None: one that is first."""
        known = self._known.get(recipient)
        if known is None:
            return 0.0
        wait_s = max(known.not_before - now, known.rate.wait_s(now), 0.0)
        wait_s = 0.0 if wait_s < TOLERANCE_S else wait_s
        ahead = 0 if place is None else known.ahead(place, now)
        return wait_s + ahead * (PAIR_EVERY_S if wait_s else TURN_S)

    def put_off(self, recipient: str, message_id: str, now: float, *, place: int) -> float:
        """Let a message wait behind those that were put off before; seconds after which it may come again."""
        known = self._of(recipient)
        wait_s = self.wait_s(recipient, now) and self.wait_s(recipient, now, place=place)
        wait_s = wait_s or TURN_S * (1 + known.ahead(place, now))
        if message_id in known.line or len(known.line) < LINE_MAX:
            known.line[message_id] = (place, now + wait_s)
        return wait_s

    def come(self, recipient: str, message_id: str) -> None:
        """It is its turn, so it keeps nobody back any more."""
        if known := self._known.get(recipient):
            known.line.pop(message_id, None)

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
