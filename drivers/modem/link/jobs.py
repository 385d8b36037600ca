"""What waits for the channel: commands and PDUs, each with whoever waits for its result.

Owns how far a job has come, and what its owner is told if the channel ends then. Knows no I/O.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from drivers.modem.at.results import (
    AtFailure,
    ChannelClosed,
    CommandUnanswered,
    Domain,
    PduNotWritten,
)
from drivers.modem.line import Priority

SUBMIT_NAME = "AT+CMGS"


class Stage(Enum):
    """How far a job has come."""

    WAITING = auto()
    ASKED = auto()
    """AT+CMGS was written; the PDU was not, and its owner has not been called."""
    PREPARING = auto()
    """The owner of the PDU was called."""
    WRITTEN = auto()
    """Written, perhaps in part: from here on only an answer tells what became of it."""


@dataclass(slots=True, kw_only=True)
class ExecuteJob:
    """A command."""

    line: str
    name: str
    timeout_s: float
    priority: Priority
    stage: Stage = Stage.WAITING
    result: asyncio.Future[tuple[str, ...]] = field(default_factory=asyncio.Future)


@dataclass(slots=True, kw_only=True)
class SubmitJob:
    """A PDU to hand over."""

    tpdu_octets: int
    pdu: str
    timeout_s: float
    before_pdu: Callable[[], Awaitable[None]]
    name: str = SUBMIT_NAME
    priority: Priority = Priority.SEND
    stage: Stage = Stage.WAITING
    result: asyncio.Future[int] = field(default_factory=asyncio.Future)


Job = ExecuteJob | SubmitJob


def failure_at_the_end(job: Job, problem: str) -> AtFailure:
    """What the owner of a job is told when the channel ends before the job does."""
    match job.stage:
        case Stage.WAITING | Stage.ASKED:
            return ChannelClosed(f"{job.name}: {problem}")
        case Stage.PREPARING:
            return PduNotWritten(job.name, Domain.NONE, None, problem)
        case Stage.WRITTEN:
            return CommandUnanswered(job.name, problem)
