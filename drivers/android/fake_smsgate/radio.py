"""The fake phone's radio and the network behind it: what of a message is taken, and what is reported about it.

It is Android's, not the app's: it goes on while the app is dead. Owns Android's limit of parts.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from drivers.android.fake_smsgate.clock import PhoneClock, Timer
from drivers.android.fake_smsgate.values import OverLimit, SentPart, Sim, State
from drivers.fake_kit.faults import Faults

QUEUE_MAX = 10_000
"""Messages that wait for the radio; Android refuses more with RESULT_ERROR_LIMIT_EXCEEDED."""
LIMIT_WINDOW_S = 1800.0
LIMIT_PARTS = 30
"""That an app may send in the window (Android's sms_outgoing_check_max_count)."""
RADIO_S, REPORT_S = 0.3, 0.5
LIMIT_EXCEEDED = "RESULT_ERROR_LIMIT_EXCEEDED"


@dataclass(slots=True, frozen=True)
class Conditions:
    """How radio and network are."""

    radio_s: float = RADIO_S
    """That a part is on the air, in seconds of the phone."""
    report_s: float = REPORT_S
    """After which its report comes."""
    limit_parts: int | None = LIMIT_PARTS
    """None: Android was told to have no limit."""
    over_limit: OverLimit = OverLimit.SILENT


@dataclass(slots=True, frozen=True)
class Job:
    """A message for one number, as the app gives it to Android."""

    message_id: str
    to: str
    dialled: str
    """The number without what was only for people."""
    sim: Sim
    parts: tuple[str, ...]
    wants_report: bool


@dataclass(slots=True, frozen=True)
class Result:
    """What Android tells the app about a message."""

    message_id: str
    to: str
    state: State
    error: str | None = None


class Radio:
    """Takes messages one after the other."""

    def __init__(
        self,
        clock: PhoneClock,
        faults: Faults,
        conditions: Conditions,
        *,
        taken: Callable[[SentPart], None],
        result: Callable[[Result], None],
    ) -> None:
        """`taken` gets each part before anybody is told that it was sent, `result` what the app is to be told."""
        self.conditions = conditions
        self.sent: list[SentPart] = []
        """All that the network took, in order."""
        self._clock = clock
        self._faults = faults
        self._taken = taken
        self._result = result
        self._queue: asyncio.Queue[Job] = asyncio.Queue(QUEUE_MAX)
        self._counted: deque[tuple[float, int]] = deque()
        self._reports: set[Timer] = set()

    def send(self, job: Job) -> None:
        """Have a message sent; what becomes of it comes as a result."""
        try:
            self._queue.put_nowait(job)
        except asyncio.QueueFull:
            self._fail(job, LIMIT_EXCEEDED)

    async def run(self) -> None:
        """Send what there is until cancelled."""
        try:
            while True:
                await self._transmit(await self._queue.get())
        finally:
            for report in self._reports:
                report.cancel()

    async def _transmit(self, job: Job) -> None:
        if (failed := self._faults.take("send_failed")) is not None:
            self._fail(job, failed.text("reason"))
            return
        if not self._may_send(len(job.parts)):
            if self.conditions.over_limit is OverLimit.FAILED:
                self._fail(job, LIMIT_EXCEEDED)
            return
        silent = self._faults.take("stuck_processed")
        if silent is not None and not silent.flag("taken"):
            return
        is_early = job.wants_report and self._faults.take("report_before_sent") is not None
        for number, text in enumerate(job.parts, 1):
            await self._clock.sleep(self.conditions.radio_s)
            part = SentPart(
                job.message_id, job.dialled, job.sim.number, number, len(job.parts), text, self._clock.now()
            )
            self._taken(part)
            self.sent.append(part)
        if silent is not None:
            return
        if is_early:
            self._result(self._report(job))
        self._result(Result(job.message_id, job.to, State.SENT))
        if job.wants_report:
            self._arrange_reports(job, skipped=int(is_early))

    def _arrange_reports(self, job: Job, *, skipped: int) -> None:
        """Have the parts reported, but for those that were and those about which the network says nothing."""
        if self._faults.take("sent_for_ever") is not None:
            return
        count = len(job.parts)
        if self._faults.take("one_part_delivered") is not None:
            count = 1
        report = self._report(job)
        for number in range(skipped, count):
            self._later(self.conditions.report_s * (number + 1), report)

    def _report(self, job: Job) -> Result:
        failed = self._faults.take("not_delivered")
        if failed is None:
            return Result(job.message_id, job.to, State.DELIVERED)
        status = int(failed.number("status"))
        return Result(job.message_id, job.to, State.FAILED, f"Delivery result from SC +15550000001: {status}")

    def _later(self, delay_s: float, result: Result) -> None:
        def tell() -> None:
            self._reports.discard(handle)
            self._result(result)

        handle = self._clock.later(delay_s, tell)
        self._reports.add(handle)

    def _may_send(self, parts: int) -> bool:
        """Whether Android lets the app send so many parts now; they are counted if so."""
        limit = self.conditions.limit_parts
        now = self._clock.monotonic()
        while self._counted and self._counted[0][0] <= now - LIMIT_WINDOW_S:
            self._counted.popleft()
        if limit is not None and sum(count for _, count in self._counted) + parts > limit:
            return False
        self._counted.append((now, parts))
        return True

    def _fail(self, job: Job, reason: str) -> None:
        self._result(Result(job.message_id, job.to, State.FAILED, f"Send result: {reason}"))
