"""What a driver says about a message it was asked to send, and how each answer looks in a fact.

Owns the conversion of outcomes to reports and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from infinireach.driver.v1 import fact_pb2
from infinireach.driver.v1.fact_pb2 import CommandReport
from infinireach.v1.message_pb2 import Failure, FailureReason

NETWORK_CODE_CHARACTERS_MAX = 64
DETAIL_CHARACTERS_MAX = 500
SEGMENTS_MAX = 255
RETRY_AFTER_S_MAX = 86_400
"""The longest wait that a driver may ask for."""


@dataclass(slots=True, frozen=True)
class Submitted:
    """The network took every segment."""

    references: Sequence[str] = ()
    """The network's reference of each segment, in order; may be empty."""


@dataclass(slots=True, frozen=True)
class Failed:
    """It was not sent; or, reported later, it will not arrive."""

    reason: FailureReason
    network_code: str = ""
    detail: str = ""
    """One sentence for people."""
    retry_after_s: float | None = None
    """For a reason that is retried: not before so many seconds, up to a day; None, or what is no such time: as the core
    thinks best, which also has a least wait."""


@dataclass(slots=True, frozen=True)
class Unknown:
    """Nobody can know whether the network took it."""

    detail: str = ""
    """One sentence for people."""


@dataclass(slots=True, frozen=True)
class Delivered:
    """The network reports delivery. Never the result of a send: it comes later."""

    segments: Sequence[int] = ()
    """The segments, from 1; empty: all of them."""
    network_time: Timestamp | None = None
    """When the network says so; None: it does not."""


@dataclass(slots=True, frozen=True)
class Read:
    """The network reports that the recipient has read it, which says that it was delivered too."""

    network_time: Timestamp | None = None
    """When the network says so; None: it does not."""


class CutShort(Exception):
    """Raised by `send` or `recover` after `Driver.stopping`: there is no outcome yet.

    The command stays in the journal as started, and the next process is asked to recover it.
    """


@dataclass(slots=True, frozen=True)
class Cancelled:
    """Given up before it was started. The runtime says this, drivers do not."""


@dataclass(slots=True, frozen=True)
class SendAgain:
    """Answer of `Driver.recover`: sending once more cannot double it.

    True where the network takes a caller's id, and where certainly nothing was handed over.
    """


Outcome = Submitted | Failed | Unknown
Report = Submitted | Failed | Unknown | Delivered | Read | Cancelled


def to_report(command_id: str, report: Report) -> CommandReport:
    """The report as it travels; over-long texts are cut, a wait that is none is left out, neither is refused.

    Raises TypeError or ValueError if it is none, or holds what a frame cannot (a lone surrogate).
    """
    match report:
        case Submitted(references):
            submitted = fact_pb2.Submitted(segment_references=references[:SEGMENTS_MAX])
            return CommandReport(command_id=command_id, submitted=submitted)
        case Delivered(segments, network_time):
            delivered = fact_pb2.Delivered(segments=segments, network_time=network_time)
            return CommandReport(command_id=command_id, delivered=delivered)
        case Read(network_time):
            read = fact_pb2.Delivered(network_time=network_time, is_read=True)
            return CommandReport(command_id=command_id, delivered=read)
        case Failed(reason, network_code, detail, retry_after_s):
            failure = Failure(
                reason=reason,
                network_code=network_code[:NETWORK_CODE_CHARACTERS_MAX],
                detail=detail[:DETAIL_CHARACTERS_MAX],
            )
            delay = None if retry_after_s is None else _delay(retry_after_s)
            return CommandReport(command_id=command_id, failed=failure, retry_delay=delay)
        case Unknown(detail):
            unknown = fact_pb2.OutcomeUnknown(detail=detail[:DETAIL_CHARACTERS_MAX])
            return CommandReport(command_id=command_id, outcome_unknown=unknown)
        case Cancelled():
            return CommandReport(command_id=command_id, cancelled=fact_pb2.Cancelled())
        case _:
            raise TypeError(f"{type(report).__name__} is no report")


def _delay(seconds: float) -> Duration | None:
    if not 0 < seconds <= RETRY_AFTER_S_MAX:  # which nan is not either
        return None
    return Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))
