"""A long message that comes in segment by segment: which ones are there, and what was handed in of it.

Owns its form in the journal's store and the rule which segments are of one message (3GPP TS 23.040 §9.2.3.24.1: the
same sender, reference and number of segments). Does no I/O.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace

from drivers.modem.codec import Concatenation, Deliver, decode_incoming
from drivers.modem.messages.incoming import fingerprint
from drivers.runtime import Receipt

SPACING_S = 120.0
"""How far apart a network takes neighbouring segments of one message, at most. Some senders use a reference again
within minutes."""


@dataclass(slots=True, frozen=True)
class About:
    """What all segments of a message have in common."""

    originator: str
    reference_bits: int
    reference: int
    total: int


def about(deliver: Deliver, concatenation: Concatenation) -> About:
    """What this segment has in common with the others of its message."""
    return About(
        deliver.originator,
        concatenation.reference_bits,
        concatenation.reference,
        concatenation.total,
    )


@dataclass(slots=True)
class LongMessage:
    """The segments of one message of one SIM."""

    key: str
    """Its place in the journal's store."""
    about: About
    parts: dict[int, Deliver] = field(default_factory=dict[int, Deliver])
    """By number from 1; empty again once all are with the core."""
    fingerprints: dict[int, str] = field(default_factory=dict[int, str])
    """Of all segments that ever came."""
    times_s: dict[int, float] = field(default_factory=dict[int, float])
    """When the network took them, as far as it says so."""
    seen_at: float = 0.0
    """When the last one came in; by the monotonic clock, so that a clock that is set meanwhile changes nothing."""
    handed_in: frozenset[int] = frozenset()
    """The segments that the last handing in had."""
    handed_in_at: float = 0.0
    identity: str = ""
    """Of the last handing in."""
    is_acknowledged: bool = False
    """The core has the last handing in."""
    receipt: Receipt | None = None
    """Of the last handing in, by this process."""
    joined_to: "LongMessage | None" = None
    """The message that has its segments now."""

    @property
    def is_complete(self) -> bool:
        """Whether every segment has come."""
        return len(self.fingerprints) == self.about.total

    @property
    def is_done(self) -> bool:
        """Whether the whole was handed in."""
        return len(self.handed_in) == self.about.total

    @property
    def has_news(self) -> bool:
        """Whether segments have come that were never handed in."""
        return not self.handed_in.issuperset(self.fingerprints)

    @property
    def is_with_core(self) -> bool:
        """Whether the core has all that came so far, so that no other copy is needed."""
        if self.joined_to is not None:
            return self.joined_to.is_with_core
        is_received = self.is_acknowledged or (self.receipt is not None and self.receipt.is_acknowledged)
        return is_received and not self.has_news

    def add(self, number: int, deliver: Deliver, *, now: float) -> None:
        """A segment came in."""
        self.parts[number] = deliver
        self.fingerprints[number] = fingerprint(deliver)
        if deliver.sent_at is not None:
            self.times_s[number] = deliver.sent_at.timestamp()
        self.seen_at = now

    def distance_s(self, number: int, deliver: Deliver) -> float | None:
        """How far the segment is in time from the nearest one that is here; None if it is not of this message."""
        if number in self.fingerprints:
            return None
        if deliver.sent_at is None or not self.times_s:
            return 0.0
        sent_s = deliver.sent_at.timestamp()
        distances_s = [
            abs(sent_s - time_s)
            for other, time_s in self.times_s.items()
            if abs(sent_s - time_s) <= SPACING_S * abs(number - other)
        ]
        return min(distances_s, default=None)

    def completes(self, other: "LongMessage") -> bool:
        """Whether one has exactly the segments that the other misses."""
        return (
            self.about == other.about
            and self.parts.keys().isdisjoint(other.parts)
            and len(self.parts) + len(other.parts) == self.about.total
        )

    def joined_with(self, other: "LongMessage") -> "LongMessage":
        """This message with the segments of another one that it completes."""
        return replace(
            self,
            parts=self.parts | other.parts,
            fingerprints=self.fingerprints | other.fingerprints,
            times_s=self.times_s | other.times_s,
        )

    def in_order(self) -> list[Deliver | None]:
        """All segments, None where one is missing."""
        return [self.parts.get(number) for number in range(1, self.about.total + 1)]

    def last_handed_in(self) -> list[Deliver | None]:
        """The segments of the last handing in, in their order."""
        return [
            part if number in self.handed_in else None for number, part in enumerate(self.in_order(), start=1)
        ]

    def handing_in(self, device_key: str, *, now: float) -> "LongMessage":
        """This message as it is once what is here has been handed in, as one that came to this modem."""
        digest = hashlib.sha256("".join(self.fingerprints[n] for n in sorted(self.parts)).encode())
        return LongMessage(
            key=self.key,
            about=self.about,
            parts=self.parts,
            fingerprints=self.fingerprints,
            times_s=self.times_s,
            seen_at=self.seen_at,
            handed_in=frozenset(self.parts),
            handed_in_at=now,
            identity=f"{device_key}/long/{digest.hexdigest()[:32]}",
        )

    def encode(self, *, wall_s: float) -> bytes:
        """As the journal's store keeps it. `wall_s` is by how much the wall clock is ahead of the monotonic one now."""
        about = self.about
        return json.dumps({
            "about": [about.originator, about.reference_bits, about.reference, about.total],
            "parts": {number: part.raw for number, part in self.parts.items()},
            "fingerprints": self.fingerprints,
            "times_s": self.times_s,
            "seen_s": self.seen_at + wall_s,
            "handed_in": sorted(self.handed_in),
            "handed_in_s": self.handed_in_at + wall_s,
            "identity": self.identity,
            "is_acknowledged": self.is_acknowledged,
        }).encode()


def decode_long_message(key: str, value: bytes, *, now: float, wall_s: float) -> LongMessage:
    """What `LongMessage.encode` wrote at `key`. A time in the future, of a clock that was ahead, counts as `now`."""
    kept = json.loads(value)
    parts: dict[int, Deliver] = {}
    for number, raw in kept["parts"].items():
        deliver = decode_incoming(raw)
        if isinstance(deliver, Deliver):
            parts[int(number)] = deliver
    return LongMessage(
        key=key,
        about=About(*kept["about"]),
        parts=parts,
        fingerprints={int(number): value for number, value in kept["fingerprints"].items()},
        times_s={int(number): value for number, value in kept["times_s"].items()},
        seen_at=min(now, kept["seen_s"] - wall_s),
        handed_in=frozenset(kept["handed_in"]),
        handed_in_at=min(now, kept["handed_in_s"] - wall_s),
        identity=kept["identity"],
        is_acknowledged=kept["is_acknowledged"],
    )
