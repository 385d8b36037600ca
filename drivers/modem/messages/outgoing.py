"""A message on its way out: its parts, which of them the network took, and what the journal's marks say of each.

Owns the form of the marks and the PDUs of a message; does no I/O. A message is put together anew from its command and
any of its marks, with the same concatenation reference, so a later process goes on where an earlier one was cut off.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from drivers.modem.codec import Pdu, submit_pdus
from drivers.modem.line import Line
from drivers.runtime import Failed, SegmentMark, Unknown
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.v1.message_pb2 import FAILURE_REASON_PARTLY_SENT, FailureReason

NARROW_REFERENCE_BITS = 8


class Stage(StrEnum):
    """How far a part got, as its mark in the journal says."""

    STARTED = "started"
    """It was about to be handed over, and nothing is known since."""
    REFUSED = "refused"
    """It certainly did not go out."""
    TAKEN = "taken"


@dataclass(slots=True, frozen=True)
class Concatenated:
    """What all parts of one message share. Fixed before the first of them goes out."""

    iccid: str
    reference: int
    reference_bits: int


@dataclass(slots=True, frozen=True)
class PartMark:
    """What the mark of one part says."""

    stage: Stage
    shared: Concatenated
    reference: str = ""
    """TP-MR once taken; empty if the modem gave none."""

    def encode(self) -> str:
        """As the journal keeps it."""
        shared = self.shared
        words = (
            self.stage,
            shared.iccid or "-",
            str(shared.reference),
            str(shared.reference_bits),
            self.reference or "-",
        )
        return " ".join(words)


def decode_mark(mark: SegmentMark) -> PartMark:
    """The mark that `PartMark.encode` made."""
    stage, iccid, reference, reference_bits, own = mark.reference.split(" ")
    shared = Concatenated("" if iccid == "-" else iccid, int(reference), int(reference_bits))
    return PartMark(Stage(stage), shared, "" if own == "-" else own)


@dataclass(slots=True)
class Outgoing:
    """One command and its parts."""

    command: SendCommand
    shared: Concatenated
    wants_report: bool
    total: int
    taken: dict[int, str] = field(default_factory=dict[int, str])
    """References of the parts that the network took, by number from 1; empty where the modem gave none."""
    has_validity: bool = True
    """False once the network has refused a validity period."""

    def missing(self) -> list[int]:
        """The parts that are still to go out, in order."""
        return [number for number in range(1, self.total + 1) if number not in self.taken]

    def references(self) -> list[str]:
        """The references of all parts, in order."""
        return [self.taken[number] for number in sorted(self.taken)]

    def is_late(self, now_ns: int) -> bool:
        """Whether the command's deadline is over."""
        command = self.command
        return command.HasField("not_after") and command.not_after.ToNanoseconds() <= now_ns

    def validity(self, now_ns: int) -> timedelta | None:
        """For how long the network is to try; None leaves it to the network."""
        if not self.has_validity or not self.command.HasField("not_after"):
            return None
        return timedelta(seconds=max(0.0, (self.command.not_after.ToNanoseconds() - now_ns) / 1e9))

    def pdu(self, number: int, line: Line, *, now_ns: int) -> Pdu:
        """The PDU of one part."""
        pdus = submit_pdus(
            self.command.text.body,
            destination=self.command.destination,
            reference=self.shared.reference,
            wants_report=self.wants_report,
            validity=self.validity(now_ns),
            reference_bits=self.shared.reference_bits,
            smsc=line.smsc,
        )
        return pdus[number - 1]

    def failed(self, reason: FailureReason, code: str, sentence: str) -> Failed:
        """It failed. Once a part is out it is never sent again from the beginning, whatever the reason."""
        if not self.taken:
            return Failed(reason, code, sentence)
        count = f"{len(self.taken)} of {self.total} segments were sent."
        return Failed(FAILURE_REASON_PARTLY_SENT, code, f"{count} {sentence}")


def compose(
    command: SendCommand, shared: Concatenated, *, wants_report: bool, taken: Mapping[int, str] | None = None
) -> Outgoing:
    """Put a message together. Raises AddressInvalid, TextTooLong or TextUnencodable (all ValueError)."""
    total = len(
        submit_pdus(
            command.text.body,
            destination=command.destination,
            reference=shared.reference,
            wants_report=wants_report,
            reference_bits=shared.reference_bits,
        )
    )
    return Outgoing(command, shared, wants_report, total, dict(taken or {}))


def compose_new(command: SendCommand, line: Line, *, reference: int, wants_report: bool) -> Outgoing:
    """Put a new message together for this line. Raises as `compose`.

    The wide reference leaves a segment less room. Where that would give more segments than the core has counted, whose
    numbers the reports name, the narrow one is used.
    """
    shared = Concatenated(line.iccid, reference, line.reference_bits)
    message = compose(command, shared, wants_report=wants_report)
    if line.reference_bits != NARROW_REFERENCE_BITS and message.total != command.text.segments:
        shared = Concatenated(line.iccid, reference, NARROW_REFERENCE_BITS)
        message = compose(command, shared, wants_report=wants_report)
    return message


def take_up(
    command: SendCommand, marks: Sequence[SegmentMark], *, wants_report: bool
) -> Outgoing | Unknown | None:
    """What an earlier process left of a message that it began, by its marks.

    None: nothing of it went out. Unknown: nobody can know whether a part of it did.
    """
    decoded = {mark.segment: decode_mark(mark) for mark in marks}
    if any(mark.stage is Stage.STARTED for mark in decoded.values()):
        return Unknown("The driver was cut off between handing a segment over and the answer.")
    taken = {number: mark for number, mark in decoded.items() if mark.stage is Stage.TAKEN}
    if not taken:
        return None
    shared = next(iter(taken.values())).shared
    references = {number: mark.reference for number, mark in taken.items()}
    return compose(command, shared, wants_report=wants_report, taken=references)
