"""Which facts are sent, which are acknowledged, and which few of them are in memory.

Part of the protocol, so no I/O. Memory is bounded: what does not fit stays in the journal and is asked for with
`wanted` when it is its turn.
"""

from collections import deque

from infinireach.driver.v1.fact_pb2 import Fact

READY_FACTS_MAX = 4000
"""Facts in memory that wait to be sent; later ones are read from the journal."""
FRAME_FACTS_MAX = 1000
"""Facts in one frame (fact.proto)."""
FACT_OVERHEAD_BYTES = 16
"""Bytes of a fact's tag, length and number in its frame, at most."""


class FactWindow:
    """The end of the fact log as one stream sees it."""

    def __init__(self, *, acknowledged: int, last: int) -> None:
        self.acknowledged = acknowledged
        """Every fact up to this one is committed in the core."""
        self.last = last
        """The newest fact in the journal."""
        self._sent = acknowledged
        self._ready: deque[Fact] = deque()

    def append(self, facts: list[Fact]) -> None:
        """Facts that were journalled now, with the numbers that follow `last`."""
        if not facts:
            return
        follows = self._sent + len(self._ready) == self.last
        self.last = facts[-1].sequence
        if follows and len(self._ready) < READY_FACTS_MAX:
            self._ready.extend(facts)

    def acknowledge(self, sequence: int) -> bool:
        """The core has every fact up to `sequence`; False if that is no news."""
        if sequence <= self.acknowledged:
            return False
        self.acknowledged = min(sequence, self.last)
        self._skip_to(self.acknowledged)
        return True

    def resume_after(self, sequence: int) -> None:
        """A new stream: send again everything after `sequence`."""
        sent = max(sequence, self.acknowledged)
        if sent != self._sent:
            self._ready.clear()
        self._sent = sent

    def wanted(self) -> int | None:
        """The number after which facts are to be read from the journal; None if there is nothing to read."""
        return self._sent if not self._ready and self._sent < self.last else None

    def loaded(self, facts: list[Fact]) -> None:
        """Facts from the journal. Those that came too late, because a new stream began, are left out."""
        if facts and not self._ready and facts[0].sequence == self._sent + 1:
            self._ready.extend(facts)

    def has_ready(self) -> bool:
        """True if facts in memory wait to be sent, though the window may be full."""
        return bool(self._ready)

    def take(self, *, unacknowledged_max: int, bytes_max: int) -> list[Fact]:
        """The facts of the next frame, at least one if there is one and the window allows it."""
        facts: list[Fact] = []
        count_max = min(FRAME_FACTS_MAX, unacknowledged_max - (self._sent - self.acknowledged))
        size = 0
        while self._ready and len(facts) < count_max:
            size += self._ready[0].ByteSize() + FACT_OVERHEAD_BYTES
            if facts and size > bytes_max:
                break
            facts.append(self._ready.popleft())
        self._sent += len(facts)
        return facts

    def _skip_to(self, sequence: int) -> None:
        """Facts that were acknowledged before they were sent on this stream need not be sent."""
        while self._sent < sequence and self._ready:
            self._ready.popleft()
            self._sent += 1
        self._sent = max(self._sent, sequence)
