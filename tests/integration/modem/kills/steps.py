"""The steps of handing over a part, and how the driver is killed at each of them.

What it does at the step is seen from outside, on the wire, where that is possible; else a crash point of the runtime
kills it. What has to follow is stated with the step, not found out from the driver.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from drivers.runtime.crash_points import CrashPoint, at
from tests.integration.modem.faults.bench import Bench


class Truth(Enum):
    """What the part's fate is at a step, and what anybody can know of it afterwards."""

    NOT_HANDED_OVER = auto()
    """It is certain that the modem was not given it."""
    LOST = auto()
    """It did not go out, and nobody can know."""
    SENT_UNSEEN = auto()
    """It went out, and nobody can know before its report."""
    SENT = auto()
    """It went out, and the journal says so."""


@dataclass(slots=True, frozen=True)
class Step:
    """A moment in the life of a part."""

    name: str
    truth: Truth
    arm: Callable[[Bench, int], None] | None = None
    """Sees to it that the driver dies at the step of the part with this number, from the wire."""
    point: CrashPoint | None = None
    """Or the crash point that does."""
    is_of_part: bool = True
    """Whether the step is one of each part, or comes once for the message."""

    def crash_at(self, part: int) -> str | None:
        """What the driver is told to die at."""
        return self.point and at(self.point, segment=part if self.is_of_part else None)


def _on(bench: Bench, words: bytes, part: int, arriving: Callable[[bytes], bytes]) -> None:
    """Kill the driver when it says this for the part-th time from now on; `arriving` is what of it arrives."""
    seen = 0

    def cut(data: bytes) -> bytes:
        nonlocal seen
        seen += words in data
        if seen < part:
            return data
        bench.wire.cut = None
        bench.rig.kill()
        return arriving(data)

    bench.wire.cut = cut


STEPS = (
    Step(
        "before the driver is asked", Truth.NOT_HANDED_OVER, point=CrashPoint.AFTER_STARTED, is_of_part=False
    ),
    Step(
        "after AT+CMGS, before the prompt",
        Truth.NOT_HANDED_OVER,
        arm=lambda bench, part: _on(bench, b"AT+CMGS=", part, lambda data: data),
    ),
    Step("at the prompt, before the mark", Truth.NOT_HANDED_OVER, point=CrashPoint.BEFORE_SEGMENT_STARTED),
    Step("after the mark, before the PDU", Truth.LOST, point=CrashPoint.AFTER_SEGMENT_STARTED),
    Step(
        "in the middle of the PDU",
        Truth.LOST,
        arm=lambda bench, part: _on(bench, b"\x1a", part, lambda data: data[: len(data) // 2]),
    ),
    Step(
        "after Ctrl-Z, before +CMGS",
        Truth.SENT_UNSEEN,
        arm=lambda bench, part: _on(bench, b"\x1a", part, lambda data: data),
    ),
    Step("after +CMGS, before the journal", Truth.SENT_UNSEEN, point=CrashPoint.BEFORE_SEGMENT_TAKEN),
    Step("after the journal", Truth.SENT, point=CrashPoint.AFTER_SEGMENT_TAKEN),
    Step("after the result", Truth.SENT, point=CrashPoint.AFTER_SENT, is_of_part=False),
    Step("after the result is in the journal", Truth.SENT, point=CrashPoint.AFTER_SETTLED, is_of_part=False),
)
"""In the order in which they come."""
