"""One command or PDU after the other, from its first octet to its final result, and back into step after a time-out.

Owns the waits of the dialogue. Knows no queue and no end: what runs here belongs to the channel, which may cancel it.
What a line means is the engine's (drivers/modem/at).
"""

import asyncio
import contextlib
import logging
from typing import Protocol

import structlog

from drivers.modem.at.engine import Ended, Engine, ProbeAnswered, Prompted, State, reference_of
from drivers.modem.at.results import (
    ChannelClosed,
    CommandRefused,
    CommandUnanswered,
    NoPrompt,
    NoReference,
    Unsolicited,
)
from drivers.modem.link.jobs import ExecuteJob, Stage, SubmitJob
from drivers.modem.link.port_errors import PortError, PortLost
from drivers.modem.link.redaction import redacted

BARRIERS_MAX = 2
"""Failed ones in a row, after which the modem counts as stuck."""
PROBES = 4
"""Of one barrier, evenly spread over its time, until one is answered."""
PROMPT_TIMEOUT_S = 10.0
BARRIER_TIMEOUT_S = 5.0
SILENCE_S = 0.3
BEFORE_PDU_TIMEOUT_S = 30.0
"""A modem does not wait for its PDU for ever; some give up after a minute."""


class BytePort(Protocol):
    """What a dialogue needs of a port; `port.Port` is the real one."""

    async def read(self) -> bytes:
        """The next bytes, at least one. Raises PortLost."""
        ...

    async def write(self, data: bytes) -> None:
        """Write all of it. Raises PortLost or PortStalled."""
        ...

    async def close(self) -> None:
        """Close it; never hangs."""
        ...


class Dialogue:
    """The steps of a command. Whoever owns it calls `receive` with what the port reads, and one step at a time."""

    def __init__(
        self,
        port: BytePort,
        *,
        name: str,
        prompt_timeout_s: float,
        barrier_timeout_s: float,
        silence_s: float,
        is_in_step: bool,
    ) -> None:
        self.is_in_step = is_in_step
        """False: something may still come that belongs to an earlier command; `get_into_step` comes first."""
        self._port = port
        self._prompt_timeout_s = prompt_timeout_s
        self._barrier_timeout_s = barrier_timeout_s
        self._silence_s = silence_s
        self._log = structlog.get_logger("modem").bind(device=name)
        self._engine = Engine(on_line=lambda line: self._trace("wire.received", line))
        self._events: asyncio.Queue[Prompted | Ended] = asyncio.Queue()
        """At most two wait: a prompt and the end of its command."""
        self._probe_answered = asyncio.Event()
        self._octets_came = asyncio.Event()

    def receive(self, data: bytes) -> list[Unsolicited]:
        """Take what the port has read; what of it the modem said unasked."""
        unsolicited: list[Unsolicited] = []
        events = self._engine.feed(data)
        if not events or not all(isinstance(event, Unsolicited) for event in events):
            self._octets_came.set()  # else a modem that talks all the time would never count as silent
        for event in events:
            match event:
                case Unsolicited():
                    unsolicited.append(event)
                case ProbeAnswered():
                    self._probe_answered.set()
                case Prompted() | Ended():
                    self._events.put_nowait(event)
        return unsolicited

    async def execute(self, job: ExecuteJob) -> tuple[str, ...]:
        """The lines that answer a command. Raises CommandRefused or CommandUnanswered."""
        self._forget_events()
        octets = self._engine.start(job.line)
        job.stage = Stage.WRITTEN
        return (await self._answer(job, octets)).lines

    async def submit(self, job: SubmitJob) -> int:
        """Hand over a PDU; its reference. Raises what `Commands.submit` does.

        If the job's result is cancelled before the PDU is written, it is not, and this raises CancelledError. Later it
        goes on as if somebody waited.
        """
        preparation = asyncio.create_task(self._prepare(job), name=f"{job.name} preparation")
        job.result.add_done_callback(lambda _: preparation.cancel())
        try:
            await preparation
            if job.result.done():
                raise asyncio.CancelledError
        except BaseException:
            self._leave_step()
            raise
        if self._engine.state is State.FREE:
            self._raise_failure(self._events.get_nowait())
        octets = self._engine.hand_over()
        job.stage = Stage.WRITTEN
        reference = reference_of((await self._answer(job, octets)).lines)
        if reference is None:
            raise NoReference(f"{job.name}: OK without a reference")
        return reference

    async def get_into_step(self) -> bool:
        """The barrier: afterwards the next answer belongs to the next command. False: the modem is stuck.

        ESC leaves a prompt. After a silence the modem is asked something harmless, and what comes is dropped until it
        has answered and fell silent again; so an answer that was late does not pass for the probe's.
        Raises PortLost.
        """
        for attempt in range(1, BARRIERS_MAX + 1):
            try:
                async with asyncio.timeout(self._barrier_timeout_s):
                    await self._write(self._engine.give_up())
                    await self._silence()
                    await self._probe()
                    await self._silence()
            except PortLost:
                raise
            except (PortError, TimeoutError):
                self._log.warning("barrier.failed", attempt=attempt)
                continue
            late = reference_of(self._engine.cleared())
            if late is not None:
                self._log.warning("submit.answered_late", reference=late)
            self.is_in_step = True
            return True
        return False

    async def _probe(self) -> None:
        """Ask until there is an answer: the first AT wakes a modem that sleeps, or is lost in a line that ESC began."""
        self._probe_answered.clear()
        while not self._probe_answered.is_set():
            await self._write(self._engine.probe())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._barrier_timeout_s / PROBES):
                    await self._probe_answered.wait()

    async def _prepare(self, job: SubmitJob) -> None:
        """Ask for the prompt, then let the owner of the PDU get ready."""
        self._forget_events()
        octets = self._engine.start_submit(job.tpdu_octets, job.pdu)
        job.stage = Stage.ASKED
        try:
            await self._write(octets)
            event = await self._next_event(self._prompt_timeout_s)
        except PortLost as error:
            raise ChannelClosed(f"{job.name}: {error.sentence}") from error
        except (PortError, TimeoutError) as error:
            raise NoPrompt(f"{job.name}: no prompt within {self._prompt_timeout_s:g} s") from error
        self._raise_failure(event)
        job.stage = Stage.PREPARING
        async with asyncio.timeout(BEFORE_PDU_TIMEOUT_S):
            await job.before_pdu()

    async def _answer(self, job: ExecuteJob | SubmitJob, octets: bytes) -> Ended:
        """Write, and wait for the end. Raises CommandRefused or CommandUnanswered."""
        try:
            await self._write(octets)
            event = await self._next_event(job.timeout_s)
        except TimeoutError as error:
            self._leave_step()
            raise CommandUnanswered(job.name, f"no answer within {job.timeout_s:g} s") from error
        except PortError as error:
            self._leave_step()
            raise CommandUnanswered(job.name, error.sentence) from error
        self._raise_failure(event)
        assert isinstance(event, Ended)
        return event

    async def _next_event(self, timeout_s: float) -> Prompted | Ended:
        """The next event. Raises TimeoutError; not if the event came in the moment in which the time was over."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._events.get()
        except TimeoutError:
            if self._events.empty():
                raise
            return self._events.get_nowait()

    def _forget_events(self) -> None:
        """What nobody waited for any more must not pass for the answer to the next command."""
        while not self._events.empty():
            self._events.get_nowait()

    def _raise_failure(self, event: Prompted | Ended) -> None:
        if isinstance(event, Ended) and event.failure is not None:
            if not isinstance(event.failure, CommandRefused):
                self.is_in_step = (
                    False  # an answer of something else was taken for its own, or the modem restarted
                )
            raise event.failure

    def _leave_step(self) -> None:
        if self._engine.state is not State.FREE:
            self.is_in_step = False

    async def _silence(self) -> None:
        """Return once nothing came for a while."""
        is_silent = False
        while not is_silent:
            self._octets_came.clear()
            try:
                async with asyncio.timeout(self._silence_s):
                    await self._octets_came.wait()
            except TimeoutError:
                is_silent = True

    async def _write(self, octets: bytes) -> None:
        self._trace("wire.sent", octets.decode("ascii"))
        await self._port.write(octets)

    def _trace(self, event: str, line: str) -> None:
        if self._log.is_enabled_for(logging.DEBUG):
            self._log.debug(event, line=redacted(line))
