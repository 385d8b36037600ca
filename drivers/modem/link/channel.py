"""The channel: AT commands carried out over a port, one at a time, the most urgent first.

Owns who is next, who is told what when the channel ends, and the two tasks that keep it going. Knows neither messages
nor the state of the modem. The steps of one command are the dialogue's.
"""

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from enum import Enum

import structlog

from drivers.modem.at import commands
from drivers.modem.at.results import AtFailure, ChannelClosed, Unsolicited
from drivers.modem.line import Priority
from drivers.modem.link.dialogue import BARRIER_TIMEOUT_S, PROMPT_TIMEOUT_S, SILENCE_S, BytePort, Dialogue
from drivers.modem.link.jobs import ExecuteJob, Job, Stage, SubmitJob, failure_at_the_end
from drivers.modem.link.port_errors import PortLost
from drivers.runtime.failures import describe


class Ending(Enum):
    """Why a channel ended."""

    PORT_LOST = "port_lost"
    STUCK = "stuck"
    """The port is there and nobody answers: two barriers failed, one after the other."""
    CLOSED = "closed"


class Channel:
    """A modem's ear: implements `line.Commands`.

    Cancelling whoever waits in `execute` or `submit` leaves it in step. What waits for its turn is dropped. A command
    that was written is waited for, unheard. AT+CMGS is given up with ESC while its PDU is not written; afterwards its
    answer is waited for and logged, so that the reference can still be found.
    """

    def __init__(
        self,
        port: BytePort,
        *,
        on_unsolicited: Callable[[Unsolicited], None],
        name: str = "",
        prompt_timeout_s: float = PROMPT_TIMEOUT_S,
        barrier_timeout_s: float = BARRIER_TIMEOUT_S,
        silence_s: float = SILENCE_S,
        is_in_step: bool = True,
    ) -> None:
        """Begin to read the port; to be called in the event loop. The channel closes the port when it is closed.

        `on_unsolicited` is called in order of arrival and must not block; what it raises is logged.
        `name` stands in the log. `is_in_step` False: the line is cleared before the first command, with ESC and AT,
        since a former process may have left the modem in a prompt.
        """
        self._port = port
        self._on_unsolicited = on_unsolicited
        self._log = structlog.get_logger("modem").bind(device=name)
        self._dialogue = Dialogue(
            port,
            name=name,
            prompt_timeout_s=prompt_timeout_s,
            barrier_timeout_s=barrier_timeout_s,
            silence_s=silence_s,
            is_in_step=is_in_step,
        )
        self._jobs: list[tuple[Priority, int, Job]] = []
        """A heap. No longer than there are callers, each of whom waits for its own job."""
        self._order = itertools.count()
        self._has_jobs = asyncio.Event()
        self._running: Job | None = None
        self._ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._tasks = [
            asyncio.create_task(self._watched(self._read()), name=f"modem reader {name}"),
            asyncio.create_task(self._watched(self._work()), name=f"modem commands {name}"),
        ]

    async def execute(
        self, command: str, *, timeout_s: float, priority: Priority = Priority.READ
    ) -> Sequence[str]:
        """Carry out a command; see `line.Commands`. The time counts from when it is written.

        Raises ValueError if the command is none or holds control characters, before anything is written.
        """
        parsed = commands.parse(command)
        job = ExecuteJob(line=command, name=parsed.name, timeout_s=timeout_s, priority=priority)
        self._put(job)
        return await job.result

    async def submit(
        self,
        *,
        tpdu_octets: int,
        pdu: str,
        timeout_s: float,
        before_pdu: Callable[[], Awaitable[None]],
    ) -> int:
        """Hand over one PDU; see `line.Commands`. The time counts from when the PDU is written.

        Once `before_pdu` was called it may also raise PduNotWritten, a CommandRefused that is certain: the command or
        the channel ended in between. TimeoutError: `before_pdu` took longer than a modem waits; nothing was sent.
        Raises ValueError if it is no PDU, before anything is written.
        """
        commands.submit_line(tpdu_octets)
        job = SubmitJob(
            tpdu_octets=tpdu_octets,
            pdu=commands.pdu_line(pdu),
            timeout_s=timeout_s,
            before_pdu=before_pdu,
        )
        self._put(job)
        return await job.result

    async def ended(self) -> Ending:
        """Wait until the channel has ended, and say why. Its port is closed only by `close`, or if it was lost."""
        return await asyncio.shield(self._ended)

    async def close(self) -> None:
        """End the channel and close its port. Whoever waits is told; may be called again."""
        self._end(Ending.CLOSED, "the channel was closed")
        await self._port.close()
        await asyncio.wait(self._tasks)

    def _put(self, job: Job) -> None:
        if self._ended.done():
            raise ChannelClosed(f"{job.name}: the channel has ended")
        heapq.heappush(self._jobs, (job.priority, next(self._order), job))
        self._has_jobs.set()

    async def _read(self) -> None:
        """Task: what the port reads, to the dialogue and to whoever wants what comes unasked."""
        try:
            while True:
                for code in self._dialogue.receive(await self._port.read()):
                    self._tell(code)
                # A port with more to read does not suspend, and the other modems are to have their turn.
                await asyncio.sleep(0)
        except PortLost as error:
            self._end(Ending.PORT_LOST, error.sentence)

    def _tell(self, code: Unsolicited) -> None:
        try:
            self._on_unsolicited(code)
        except Exception as error:  # noqa: BLE001 - the next code has to be heard, whatever became of this one
            self._log.error("unsolicited.unhandled", code=code.name, **describe(error))

    async def _work(self) -> None:
        """Task: one job after the other; back into step in between, where one left the dialogue out of it."""
        while True:
            try:
                if not self._dialogue.is_in_step and not await self._dialogue.get_into_step():
                    self._end(Ending.STUCK, "the modem does not answer")
                    return
            except PortLost as error:
                self._end(Ending.PORT_LOST, error.sentence)
                return
            self._running = await self._next_job()
            await self._carry_out(self._running)
            self._running = None

    async def _next_job(self) -> Job:
        while True:
            while self._jobs:
                job = heapq.heappop(self._jobs)[2]
                if not job.result.done():
                    return job
            self._has_jobs.clear()
            await self._has_jobs.wait()

    async def _carry_out(self, job: Job) -> None:
        try:
            if isinstance(job, ExecuteJob):
                lines = await self._dialogue.execute(job)
                if not job.result.done():
                    job.result.set_result(lines)
            else:
                reference = await self._dialogue.submit(job)
                if not job.result.done():
                    job.result.set_result(reference)
                else:
                    self._log.warning("submit.answered_unheard", reference=reference)
        except asyncio.CancelledError:
            # The job's owner was cancelled, which ends the job; or this task was, which ends the task.
            task = asyncio.current_task()
            if task is None or task.cancelling() or not job.result.cancelled():
                raise
        except Exception as error:  # noqa: BLE001 - it is the caller's
            if not job.result.done():
                job.result.set_exception(error)
            elif job.stage is Stage.WRITTEN:
                text = str(error) if isinstance(error, AtFailure) else type(error).__name__
                self._log.warning("command.failed_unheard", command=job.name, problem=text)

    def _end(self, ending: Ending, problem: str) -> None:
        """End once: everybody who waits is told."""
        if self._ended.done():
            return
        self._ended.set_result(ending)
        self._log.debug("channel.ended", ending=ending.value)
        waiting = [job for _, _, job in self._jobs] + ([self._running] if self._running else [])
        for job in waiting:
            if not job.result.done():
                job.result.set_exception(failure_at_the_end(job, problem))
        self._jobs.clear()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()

    async def _watched(self, work: Coroutine[None, None, None]) -> None:
        """A task's top: a fault in it ends the channel, so that nobody waits for ever."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 - a task's top
            self._log.error("channel.task_failed", **describe(error))
            self._end(Ending.STUCK, "the driver failed")
