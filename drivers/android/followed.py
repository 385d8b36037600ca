"""One message in a phone whose fate is open: what is known of it, and how that is kept. Does no I/O."""

import asyncio
import json
from dataclasses import dataclass, field

from drivers.android.states import DELIVERED, MessageState

MARK_CHARACTERS_MAX = 64


@dataclass(slots=True)
class Followed:
    """One message in the phone."""

    command_id: str
    parts: int
    at_s: float
    """When it was handed over, in seconds since 1970 by our clock: what is kept of that."""
    since: float
    """The same, monotonic: what its age is told by."""
    wants_report: bool
    is_reported_sent: bool = False
    deliveries: set[str] = field(default_factory=set[str])
    """A mark of each delivered part, as webhooks told of them; never more than parts."""
    is_in_hand: bool = False
    """A send or a recovery has it, which asks for news when it wants them and reports itself."""
    news: "asyncio.Future[MessageState | None] | None" = None
    """What that waits for; None in it: the phone does not know it."""
    look_at: float = 0.0
    """Monotonic."""

    @property
    def is_delivered(self) -> bool:
        """Whether webhooks told that all its parts arrived."""
        return len(self.deliveries) >= self.parts

    def part_delivered(self, mark: str) -> None:
        """A part arrived; the same mark again is the same part."""
        if not self.is_delivered:
            self.deliveries.add(mark[:MARK_CHARACTERS_MAX])

    def tell(self, state: MessageState | None) -> None:
        """Hand news to whoever has it in hand and waits for them."""
        if self.news is not None and not self.news.done():
            self.news.set_result(state)

    def known(self) -> MessageState | None:
        """What is known of it without asking the phone; None: nothing."""
        return MessageState(DELIVERED) if self.is_delivered else None

    def written(self) -> bytes:
        """As it is kept."""
        values = [self.parts, self.at_s, self.wants_report, self.is_reported_sent, sorted(self.deliveries)]
        return json.dumps(values).encode()


def read_followed(command_id: str, written: bytes, *, now: float, wall_s: float) -> Followed:
    """What an earlier process kept. A time in the future was now: a clock was set back."""
    parts, at_s, wants_report, is_reported_sent, deliveries = json.loads(written)
    since = now - max(0.0, wall_s - at_s)
    return Followed(command_id, parts, at_s, since, wants_report, is_reported_sent, set(deliveries))
