"""What the protocol asks the journal to write, and what the journal answers: plain data between the two.

Knows neither SQLite nor gRPC, so that a simulation can hold a batch back, commit it or lose it.
"""

from dataclasses import dataclass, field
from typing import Protocol

from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.driver.v1.fact_pb2 import CommandReport, Fact


class Waiter(Protocol):
    """Somebody who waits for a write."""

    def journalled(self, sequence: int) -> None:
        """It is on disk; `sequence` is the fact's number, 0 where no fact was written."""

    def refused(self, error: Exception) -> None:
        """It is not on disk and nobody will try again."""


@dataclass(slots=True)
class PendingFact:
    """A fact without its number yet; the journal gives numbers as it commits."""

    fact: Fact
    settles: str = ""
    """The command whose result this is; empty for all other facts."""
    identity: str = ""
    """The network's own identity of an inbound message. The same identity again is not written again."""
    waiter: Waiter | None = None
    refusable: bool = False
    """The network still has it: if the journal cannot be written, refuse it instead of keeping it in memory."""
    store: list[tuple[str, bytes | None]] = field(default_factory=list[tuple[str, bytes | None]])
    """Changes of the driver's own store that are written with it, and refused with it."""


@dataclass(slots=True, frozen=True)
class SegmentMark:
    """How far one segment of a started command got."""

    command_id: str
    segment: int
    """From 1."""
    taken: bool = False
    """False: handing over begins now. True: the network took it."""
    reference: str = ""
    """The network's reference, once taken; before that, what the driver needs to go on."""


@dataclass(slots=True)
class Notes:
    """Marks and changes of the driver's own store of which the network will tell again: if the journal cannot be
    written they are refused instead of kept in memory."""

    waiter: Waiter
    segments: list[SegmentMark] = field(default_factory=list[SegmentMark])
    store: list[tuple[str, bytes | None]] = field(default_factory=list[tuple[str, bytes | None]])


@dataclass(slots=True)
class Batch:
    """One transaction of the journal: all that waits."""

    acknowledged: int = 0
    """Facts up to this number are committed in the core and can go; 0: no news."""
    hold: list[SendCommand] = field(default_factory=list[SendCommand])
    start: list[str] = field(default_factory=list[str])
    """Commands that are about to be handed over; some of them may be in `hold` of the same batch."""
    release: list[str] = field(default_factory=list[str])
    """Commands that were started and provably never handed over: held again."""
    forget: list[str] = field(default_factory=list[str])
    """Held commands that the core has settled already."""
    facts: list[PendingFact] = field(default_factory=list[PendingFact])
    segments: list[SegmentMark] = field(default_factory=list[SegmentMark])
    store: list[tuple[str, bytes | None]] = field(default_factory=list[tuple[str, bytes | None]])
    """Keys of the driver's own store with their new value; None deletes."""
    waiters: list[Waiter] = field(default_factory=list[Waiter])
    """Who waits for `segments` and `store`."""
    refusable: list[Notes] = field(default_factory=list[Notes])

    def is_empty(self) -> bool:
        """True if committing it would change nothing."""
        return not (
            self.acknowledged
            or self.hold
            or self.start
            or self.release
            or self.forget
            or self.facts
            or self.segments
            or self.store
            or self.waiters
            or self.refusable
        )

    def take_back(self) -> list[Waiter]:
        """Leave out what may be refused, and commands and acknowledgements; who waits for what was refused."""
        self.hold, self.start, self.acknowledged = [], [], 0
        waiters = [pending.waiter for pending in self.facts if pending.refusable]
        waiters += [notes.waiter for notes in self.refusable]
        self.facts = [pending for pending in self.facts if not pending.refusable]
        self.refusable = []
        return [waiter for waiter in waiters if waiter is not None]

    def followed_by(self, later: "Batch") -> "Batch":
        """Both as one transaction."""
        return Batch(
            acknowledged=max(self.acknowledged, later.acknowledged),
            hold=self.hold + later.hold,
            start=self.start + later.start,
            release=self.release + later.release,
            forget=self.forget + later.forget,
            facts=self.facts + later.facts,
            segments=self.segments + later.segments,
            store=self.store + later.store,
            waiters=self.waiters + later.waiters,
            refusable=self.refusable + later.refusable,
        )


@dataclass(slots=True, frozen=True)
class KnownCommand:
    """A command that was settled before it was offered again."""

    report: CommandReport
    result_sequence: int
    """Number of the fact that carried the result; 0 if it was dropped without one."""


@dataclass(slots=True, frozen=True)
class Committed:
    """What a batch became."""

    known: dict[str, KnownCommand]
    """Those of `hold` that had been settled earlier. They were not held, not started, and got no fact."""
    sequences: list[int]
    """The number of each fact of the batch; that of the earlier fact for a repeated identity; 0 if left out."""


@dataclass(slots=True, frozen=True)
class OpenInJournal:
    """A command that has no result yet."""

    command: SendCommand
    started: bool


@dataclass(slots=True, frozen=True)
class JournalState:
    """What a journal holds when it is opened."""

    journal_id: str
    last_sequence: int
    acknowledged_sequence: int
    open_commands: list[OpenInJournal]
    """In the order in which they were held."""
