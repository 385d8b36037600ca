"""The parts that went out of one SIM and may still be reported: which command and segment each one was.

Owns how they are kept in the journal's store and how long. Knows nothing of reports' meaning and of modems. A part is
here from the moment at which it is about to be handed over, so one whose answer a crash lost can still be recognised by
its recipient and its time.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from drivers.runtime import Context
from drivers.runtime.context import Changes

PARTS_MAX = 10_000
"""Parts of one SIM that are remembered at most; the oldest are forgotten first."""
FORGOTTEN_AT_ONCE_MAX = 20
"""Parts that one transaction forgets at most, so that none takes long."""
SIMILAR_DIGITS = 6
"""Last digits that must agree where only one of two numbers is international."""


@dataclass(slots=True)
class Part:
    """A segment of a command that went out, or is about to."""

    iccid: str
    command_id: str
    segment: int
    """From 1."""
    recipient: str
    """As it was asked for: E.164 or a short code."""
    started_s: float
    """When it was about to be handed over; seconds since 1970 by the driver's clock."""
    expires_s: float
    """After this no report can be meant for it."""
    reference: int | None = None
    """TP-MR; None until the modem has said it, which it may never do."""
    network_s: int | None = None
    """TP-SCTS of its reports, from the first one on: the same in all of them."""
    status: int | None = None
    """The last TP-ST that was reported."""
    report: str = ""
    """Digest of the report that said so."""
    is_in_hand: bool = False
    """This process hands it over at the moment; its reference is still to come."""

    @property
    def key(self) -> str:
        """Its place in the journal's store."""
        return f"part/{self.iccid}/{self.command_id}/{self.segment:03d}"

    def encode(self) -> bytes:
        """What is kept of it there."""
        kept = (
            self.recipient,
            self.started_s,
            self.expires_s,
            self.reference,
            self.network_s,
            self.status,
            self.report,
        )
        return json.dumps(kept).encode()


def decode_part(key: str, value: bytes) -> Part:
    """The part that `Part.encode` wrote at `key`."""
    _, iccid, command_id, segment = key.split("/")
    return Part(iccid, command_id, int(segment), *json.loads(value))


def is_same_number(sent: str, reported: str) -> bool:
    """Whether two forms of a number can be the same subscriber's.

    Networks report numbers in another form than they were given. Where exactly one is international the last digits
    decide. A report without a number says nothing against it.
    """
    left, right = _digits(sent), _digits(reported)
    if not right:
        return True
    if sent.startswith("+") == reported.startswith("+"):
        return left == right
    length = min(len(left), len(right), SIMILAR_DIGITS)
    return left[-length:] == right[-length:] and (length == SIMILAR_DIGITS or len(left) == len(right))


def _digits(number: str) -> str:
    return "".join(character for character in number if character.isdigit())


class PartLedger:
    """The parts of one SIM, oldest first. In memory; what changes is handed to the caller to be written."""

    def __init__(self, parts: Mapping[str, Part]) -> None:
        self._parts = dict(parts)
        self._by_reference: dict[int | None, dict[str, Part]] = {}
        for part in self._parts.values():
            self._index(part)

    def __len__(self) -> int:
        return len(self._parts)

    def add(self, part: Part, *, now_s: float) -> Changes:
        """A part is about to go out. Takes the place of an earlier attempt at the same segment."""
        changes: dict[str, bytes | None] = self._forget(now_s)
        self._drop(part.key)
        self._parts[part.key] = part
        self._index(part)
        return changes | {part.key: part.encode()}

    def has_reference(self, part: Part, reference: int | None) -> Changes:
        """The modem said the reference of a part, or has taken it without one."""
        self._drop(part.key)
        part.reference = reference
        self._parts[part.key] = part
        self._index(part)
        return {part.key: part.encode()}

    def remove(self, part: Part) -> Changes:
        """The part did not go out."""
        self._drop(part.key)
        return {part.key: None}

    def with_reference(self, reference: int | None, *, now_s: float) -> Iterator[Part]:
        """The parts with this reference that can still be reported, oldest first."""
        for part in self._by_reference.get(reference, {}).values():
            if part.expires_s > now_s:
                yield part

    def has_part_in_hand(self) -> bool:
        """Whether a reference is still to come."""
        return any(part.is_in_hand for part in self._by_reference.get(None, {}).values())

    def _forget(self, now_s: float) -> dict[str, bytes | None]:
        forgotten: dict[str, bytes | None] = {}
        for part in list(self._first(FORGOTTEN_AT_ONCE_MAX)):
            if part.expires_s > now_s and len(self._parts) < PARTS_MAX:
                break
            self._drop(part.key)
            forgotten[part.key] = None
        return forgotten

    def _first(self, count: int) -> Iterator[Part]:
        for part, _ in zip(self._parts.values(), range(count), strict=False):
            yield part

    def _index(self, part: Part) -> None:
        self._by_reference.setdefault(part.reference, {})[part.key] = part

    def _drop(self, key: str) -> None:
        part = self._parts.pop(key, None)
        if part is not None:
            self._by_reference[part.reference].pop(key, None)


async def load_ledger(context: Context, iccid: str) -> PartLedger:
    """What the journal holds of this SIM."""
    stored = await context.store.read(f"part/{iccid}/")
    parts = sorted(
        (decode_part(key, value) for key, value in stored.items()), key=lambda part: part.started_s
    )
    return PartLedger({part.key: part for part in parts})
