"""Status reports: which part each one is about, and what it says of it.

Owns the correlation (3GPP TS 23.040 §9.2.3.6: the reference has 8 bits and wraps), reports that come before their part
has its reference, and the meaning of TP-ST. Whoever handed a report in may acknowledge it to the network, or clear its
slot, as soon as `take` returns: what it says is on disk then.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from drivers.modem.codec import DeliveryStatus, StatusReport, decode_incoming
from drivers.modem.messages.parts import Part, PartLedger, is_same_number, load_ledger
from drivers.modem.timing import Timing
from drivers.runtime import Context, Delivered, Failed, Report
from drivers.runtime.context import Changes
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_CONTENT_UNSUPPORTED,
    FAILURE_REASON_DESTINATION_INVALID,
    FAILURE_REASON_DESTINATION_UNREACHABLE,
    FAILURE_REASON_NETWORK_REJECTED,
    FailureReason,
)

VALIDITY_S = 7 * 86_400.0
"""For how long a network is expected to go on trying where the message does not say; most try for one to three days."""
SLACK_S = 86_400.0
"""For which a report may be late."""
NEAR_S = 600.0
"""How far the driver's clock and the network's may be apart where the time decides which part is meant."""
TWIN_S = 2.0
"""How far apart two parts can be begun that a network takes in the same second."""
REPEAT_S = 15.0
"""A network that hears no acknowledgement gives a report again, but waits longer than this (TS 24.011, timer TR1N)."""
PARKED_MAX = 256
"""Reports of one SIM that wait for their part's reference."""

_STATUS: Mapping[int, tuple[FailureReason, str]] = {
    0x40: (FAILURE_REASON_NETWORK_REJECTED, "The network could not hand the message over."),
    0x41: (FAILURE_REASON_CONTENT_UNSUPPORTED, "The recipient's device cannot take this message."),
    0x42: (FAILURE_REASON_DESTINATION_UNREACHABLE, "The recipient's device refused the message."),
    0x43: (FAILURE_REASON_DESTINATION_INVALID, "The recipient cannot be obtained."),
    0x46: (
        FAILURE_REASON_DESTINATION_UNREACHABLE,
        "The network gave up: the recipient was not reached in time.",
    ),
    0x47: (FAILURE_REASON_NETWORK_REJECTED, "The message was deleted at its sender's request."),
    0x48: (FAILURE_REASON_NETWORK_REJECTED, "The network's operator deleted the message."),
    0x49: (FAILURE_REASON_NETWORK_REJECTED, "The network does not know the message any more."),
    0x63: (FAILURE_REASON_NETWORK_REJECTED, "The network refused the service."),
}
"""TP-ST (TS 23.040 §9.2.3.15) that says more than that the recipient was not reached."""
_NOT_REACHED = (FAILURE_REASON_DESTINATION_UNREACHABLE, "The network gave up: the recipient was not reached.")


@dataclass(slots=True, frozen=True)
class _Parked:
    """A report whose part is not known yet."""

    key: str
    report: StatusReport
    seen_at: float
    """By the monotonic clock."""


class _Sim:
    """What is known of one SIM."""

    def __init__(self, ledger: PartLedger, parked: dict[str, _Parked]) -> None:
        self.ledger = ledger
        self.parked = parked
        self.heard: dict[str, float] = {}
        """Digests of the reports that were applied lately, and when each was first, by the monotonic clock."""


class Reports:
    """The reports of all SIMs of this process. One object for all modems: SIMs move between them."""

    def __init__(self, context: Context, timing: Timing) -> None:
        self.counts: Counter[str] = Counter()
        """What came: delivered, failed, pending, repeated, parked, unmatched, pushed_out."""
        self._context = context
        self._timing = timing
        self._sims: dict[str, _Sim] = {}

    async def load(self, iccid: str) -> None:
        """Take up what earlier processes left of this SIM. Before anything else is asked of it."""
        if iccid in self._sims:
            return
        ledger = await load_ledger(self._context, iccid)
        parked: dict[str, _Parked] = {}
        for key, value in (await self._context.store.read(f"parked/{iccid}/")).items():
            pdu, seen_s = json.loads(value)
            report = decode_incoming(pdu)
            if isinstance(report, StatusReport):
                parked[key] = _Parked(key, report, min(self._now(), seen_s - self._wall_s()))
        self._sims.setdefault(iccid, _Sim(ledger, parked))

    # What the sender says. The changes are to be written in the same transaction as the mark of the part.

    def begin(self, part: Part) -> Changes:
        """The part is about to be handed over."""
        part.is_in_hand = True
        return self._sims[part.iccid].ledger.add(part, now_s=self._now_s())

    def taken(self, part: Part, reference: int | None) -> Changes:
        """The network took the part; `tend` afterwards."""
        part.is_in_hand = False
        return self._sims[part.iccid].ledger.has_reference(part, reference)

    def refused(self, part: Part) -> Changes:
        """The part certainly did not go out."""
        part.is_in_hand = False
        return self._sims[part.iccid].ledger.remove(part)

    def lost(self, part: Part) -> None:
        """Nobody knows whether the part went out. A report can still tell."""
        part.is_in_hand = False

    # What the network says.

    async def take(self, report: StatusReport, iccid: str) -> None:
        """A report came in; what it says is in the journal when this returns. Load the SIM first."""
        sim = self._sims[iccid]
        part = self._find(sim, report)
        if part is None and not sim.ledger.has_part_in_hand():
            part = self._find_likeliest(sim, report)
        if part is not None:
            await self._apply(part, report, {})
        elif sim.ledger.has_part_in_hand() and report.delivery is not DeliveryStatus.PENDING:
            await self._park(sim, report, iccid)
        else:
            self.counts["unmatched"] += 1

    async def tend(self, iccid: str) -> None:
        """Look at parked reports again: after a part was taken, at the start, and now and then."""
        sim = self._sims[iccid]
        for parked in list(sim.parked.values()):
            is_over = self._now() >= parked.seen_at + self._timing.report_parking_s
            part = self._find(sim, parked.report)
            if part is None and (is_over or not sim.ledger.has_part_in_hand()):
                part = self._find_likeliest(sim, parked.report)
            if part is None and not is_over:
                continue
            if sim.parked.pop(parked.key, None) is None:
                continue
            if part is not None:
                await self._apply(part, parked.report, {parked.key: None})
            else:
                self.counts["unmatched"] += 1
                await self._context.store.write({parked.key: None})

    def next_due(self, iccid: str) -> float | None:
        """When `tend` has something to do, by the monotonic clock. None: nothing waits."""
        sim = self._sims.get(iccid)
        if sim is None or not sim.parked:
            return None
        return min(parked.seen_at for parked in sim.parked.values()) + self._timing.report_parking_s

    async def _park(self, sim: _Sim, report: StatusReport, iccid: str) -> None:
        self.counts["parked"] += 1
        key = f"parked/{iccid}/{_digest(report)}"
        changes: dict[str, bytes | None] = {}
        while len(sim.parked) >= PARKED_MAX:
            oldest = next(iter(sim.parked))
            del sim.parked[oldest]
            changes[oldest] = None
            self.counts["pushed_out"] += 1
        sim.parked[key] = _Parked(key, report, self._now())
        changes[key] = json.dumps((report.raw, self._now_s())).encode()
        await self._context.store.write(changes)

    def _find(self, sim: _Sim, report: StatusReport) -> Part | None:
        """The part that has the report's reference and is of its time."""
        same = self._with_reference(sim, report)
        network_s = _network_s(report)
        if network_s is None:
            return None
        reported = next((part for part in same if part.network_s == network_s), None)
        if reported is not None:
            return reported if self._is_repeated(sim, report, same) else self._its_twin(reported, same)
        near = [part for part in same if part.network_s is None and abs(part.started_s - network_s) <= NEAR_S]
        return min(reversed(near), key=lambda part: abs(part.started_s - network_s)) if near else None

    def _find_likeliest(self, sim: _Sim, report: StatusReport) -> Part | None:
        """The part that a report can be meant for that fits none in both reference and time.

        One whose answer was lost and whose time it is; else, since a network's clock can be wrong, the newest that has
        the reference and no report. Not while a part is in hand: that may be the one.
        """
        same = self._with_reference(sim, report)
        free = [part for part in same if part.network_s is None and part.status is None]
        lost = self._find_without_reference(sim, report)
        if _network_s(report) is None:
            return free[-1] if free else lost or (same[-1] if same else None)
        return lost or (free[-1] if free else None)

    def _with_reference(self, sim: _Sim, report: StatusReport) -> list[Part]:
        return [
            part
            for part in sim.ledger.with_reference(report.message_reference, now_s=self._now_s())
            if is_same_number(part.recipient, report.recipient)
        ]

    def _is_repeated(self, sim: _Sim, report: StatusReport, same: Sequence[Part]) -> bool:
        """Whether a report is one that was here before, and not that of a twin, which looks the same.

        The network's repetitions, and what is read again from a slot after a crash, come later than a twin's.
        """
        digest = _digest(report)
        since = sim.heard.get(digest)
        is_at_once = since is not None and self._now() - since < REPEAT_S
        return not is_at_once and any(part.report == digest for part in same)

    def _hear(self, sim: _Sim, report: StatusReport) -> None:
        now = self._now()
        sim.heard = {digest: since for digest, since in sim.heard.items() if now - since < REPEAT_S}
        sim.heard.setdefault(_digest(report), now)

    def _its_twin(self, reported: Part, same: Sequence[Part]) -> Part:
        """The next part that the network took in the same second as one that has its report already, or that one.

        Some modems give every part the same reference, and the parts of one message are reported in one second.
        """
        twins = (
            part
            for part in same
            if part.status is None and abs(part.started_s - reported.started_s) <= TWIN_S
        )
        return next(twins, reported)

    def _find_without_reference(self, sim: _Sim, report: StatusReport) -> Part | None:
        """A part whose answer was lost: the one that went to this recipient at this time."""
        lost = [
            part
            for part in sim.ledger.with_reference(None, now_s=self._now_s())
            if not part.is_in_hand and report.recipient and is_same_number(part.recipient, report.recipient)
        ]
        network_s = _network_s(report)
        if network_s is None:
            return lost[0] if len(lost) == 1 else None
        near = [
            part
            for part in lost
            if part.network_s in (None, network_s) and abs(part.started_s - network_s) <= NEAR_S
        ]
        return min(near, key=lambda part: abs(part.started_s - network_s)) if near else None

    async def _apply(self, part: Part, report: StatusReport, changes: Changes) -> None:
        if report.delivery is DeliveryStatus.PENDING:
            self.counts["pending"] += 1
            await self._context.store.write(changes)
            return
        if part.status == report.status and part.network_s == _network_s(report):
            self.counts["repeated"] += 1
            await self._context.store.write(changes)
            return
        self._hear(self._sims[part.iccid], report)
        part.status, part.network_s, part.report = report.status, _network_s(report), _digest(report)
        said = meaning_of(report, part.segment)
        self.counts["delivered" if isinstance(said, Delivered) else "failed"] += 1
        kept = {**changes, part.key: part.encode()}
        await self._context.report([(part.command_id, said)], changes=kept)

    def _now(self) -> float:
        return self._context.clock.monotonic()

    def _wall_s(self) -> float:
        """By how much the wall clock is ahead of the monotonic one; what other processes read is by the former."""
        return self._now_s() - self._now()

    def _now_s(self) -> float:
        return self._context.clock.wall_ns() / 1e9


def meaning_of(report: StatusReport, segment: int) -> Report:
    """What a final report says of a segment; handed on without a confirmation counts as delivered."""
    if report.delivery is DeliveryStatus.FAILED:
        reason, sentence = _STATUS.get(report.status, _NOT_REACHED)
        return Failed(reason, str(report.status), sentence)
    network_time = None
    if report.done_at is not None:
        network_time = Timestamp()
        network_time.FromDatetime(report.done_at)
    return Delivered((segment,), network_time)


def _digest(report: StatusReport) -> str:
    return hashlib.sha256(report.raw.encode()).hexdigest()[:32]


def _network_s(report: StatusReport) -> int | None:
    return None if report.sent_at is None else int(report.sent_at.timestamp())
