"""One driver stream: carries the protocol's effects out over gRPC and the store.

Owns the tasks of a stream, one that reads and one that writes, and its timer. The protocol object decides; this file
waits.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog

from core.clock import Clock
from core.dispatch import Command, Holdings, ReadyDevice
from core.errors import (
    HelloMissing,
    InfiniReachError,
    OutcomeUnknown,
    SequenceGap,
    SessionSuperseded,
    Unavailable,
)
from core.fact_values import DriverFacts
from core.facts import Applied
from core.sessions.applier import FactApplier
from core.sessions.dispatcher import Dispatcher
from core.sessions.lifecycle import Lifecycle
from core.sessions.protocol import Effects, Frame, Phase, SessionLimits, SessionProtocol
from core.sessions.registry import Registry
from infinireach.driver.v1 import driver_service_pb2, session_pb2

log = structlog.get_logger()

FRAMES_UNAPPLIED_MAX = 32
"""Frames of one session that wait to be applied; past it the session stops reading and the driver is slowed down."""

TICKS_PER_HEARTBEAT = 4
"""How often within a heartbeat interval a session looks at the time at most; rarely, since there are many sessions."""

FLUSH_S = 2.0
"""How long the last frames may take to leave once a stream is to end."""

Read = Callable[[], Awaitable[driver_service_pb2.ConnectRequest | None]]
Write = Callable[[Frame], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class SessionDependencies:
    """What every session of a process shares."""

    clock: Clock
    registry: Registry
    lifecycle: Lifecycle
    dispatcher: Dispatcher
    applier: FactApplier
    limits: SessionLimits
    hello_timeout_s: float


class DriverSession:
    """Runs one stream until either side ends it. `read` answers None at the end of the driver's frames."""

    def __init__(
        self, shared: SessionDependencies, *, tenant_id: str, token_id: str, read: Read, write: Write
    ) -> None:
        self._shared = shared
        self._read_frame = read
        self._write_frame = write
        self.token_id = token_id
        self._protocol = SessionProtocol(
            shared.limits, tenant_id=tenant_id, token_id=token_id, now_s=shared.clock.monotonic_s()
        )
        self._outgoing: deque[Frame] = deque()
        self._wake = asyncio.Event()
        self._ended = asyncio.Event()
        self._error: InfiniReachError | None = None
        self._unapplied: deque[asyncio.Future[Applied]] = deque()
        self._reconciling: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._acknowledged = 0
        self._facts = 0
        self._registered = False

    @property
    def driver_id(self) -> str:
        """The driver's id once the session is open."""
        return self._protocol.driver_id

    @property
    def epoch(self) -> int:
        """The session's epoch once it is open."""
        return self._protocol.epoch

    @property
    def device_ids(self) -> list[str]:
        """The session's devices."""
        return self._protocol.device_ids

    def ready(self, device_id: str) -> ReadyDevice | None:
        """The device, if it takes commands now."""
        return None if self._ended.is_set() else self._protocol.ready(device_id)

    def offer(self, commands: list[Command]) -> None:
        """Send commands that were claimed for this session."""
        self._send(self._protocol.offer(commands))

    def drain(self, reason: str, grace_s: float) -> None:
        """Announce that the core will stop."""
        self._send(self._protocol.drain(reason, grace_s))

    def close(self, error: InfiniReachError | None) -> None:
        """End the stream; the first reason given counts."""
        if not self._ended.is_set():
            self._error = error
            self._ended.set()
            self._wake.set()

    async def run(self) -> None:
        """Serve the stream. Raises the error that it ends with, or returns if the driver left."""
        tasks = [asyncio.create_task(self._guarded(self._read_loop), name="session-read")]
        writer = asyncio.create_task(self._guarded(self._write_loop), name="session-write")
        started_s = self._shared.clock.monotonic_s()
        self._look_at_the_time()
        try:
            await self._ended.wait()
            await asyncio.wait([writer], timeout=FLUSH_S)
        finally:
            self._stop_timer()
            tasks += [writer, *([self._reconciling] if self._reconciling else [])]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._leave(self._shared.clock.monotonic_s() - started_s)
            self._reconciling = None
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:  # nothing of a session that ended may refer to itself: see core.sessions.heap
                del error

    async def _guarded(self, loop: Callable[[], Awaitable[None]]) -> None:
        try:
            await loop()
        except asyncio.CancelledError:
            self.close(Unavailable("The stream was cut."))
            raise
        except Exception as error:  # noqa: BLE001 - a task's top: whatever it was, it ends this stream only
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        if isinstance(error, InfiniReachError):
            self.close(error)
        else:
            log.error("session.failed", driver_id=self.driver_id, exc_info=error)
            self.close(InfiniReachError())

    async def _read_loop(self) -> None:
        try:
            async with asyncio.timeout(self._shared.hello_timeout_s):
                frame = await self._read_frame()
        except TimeoutError:
            raise HelloMissing from None
        while frame is not None:
            effects = self._protocol.receive(frame, self._shared.clock.monotonic_s())
            await self._carry_out(effects)
            if effects.left:
                break
            frame = await self._read_frame()
        self.close(None)

    async def _carry_out(self, effects: Effects) -> None:
        self._send(effects.frames)
        if effects.hello is not None:
            await self._open(effects)
        if effects.facts is not None:
            await self._apply(effects.facts)
        if effects.reconcile:
            await self._reconcile()

    async def _open(self, effects: Effects) -> None:
        shared = self._shared
        assert effects.hello is not None
        opened = await shared.lifecycle.open(effects.hello)
        following = self._protocol.opened(opened, shared.clock.monotonic_s())
        self._acknowledged = opened.resume_after
        shared.registry.add(self)
        self._registered = True
        log.info(
            "session.opened",
            driver_id=opened.driver_id, driver=effects.hello.driver_name, kind=effects.hello.driver_kind,
            epoch=opened.epoch, devices=len(opened.keys), resume_after=opened.resume_after,
            journal_lost=opened.journal_lost, facts_missing=opened.facts_missing, refused=len(opened.refusals),
        )  # fmt: skip
        await self._carry_out(following)

    async def _apply(self, facts: DriverFacts) -> None:
        """Hand facts on and go on reading; waits only while too many frames are unapplied."""
        future = self._shared.applier.submit(facts)
        self._unapplied.append(future)
        future.add_done_callback(lambda done: self._applied(facts, done))
        while len(self._unapplied) > FRAMES_UNAPPLIED_MAX:
            await asyncio.wait([self._unapplied[0]])
            await asyncio.sleep(0)

    def _applied(self, facts: DriverFacts, done: asyncio.Future[Applied]) -> None:
        if done in self._unapplied:
            self._unapplied.remove(done)
        error = None if done.cancelled() else done.exception()
        if self._ended.is_set() or done.cancelled():
            return
        if error is not None:
            self.close(error if isinstance(error, InfiniReachError) else InfiniReachError())
            if not isinstance(error, InfiniReachError):
                log.error("session.facts_failed", driver_id=self.driver_id, exc_info=error)
            return
        applied = done.result()
        if applied.superseded:
            self.close(SessionSuperseded())
            return
        if applied.gap:
            self.close(SequenceGap())
            return
        self._facts += len(facts.facts)
        effects = self._protocol.applied(facts.facts, applied)
        self._send(effects.frames)
        self._wake.set()
        self._shared.dispatcher.room(self._protocol.device_ids)
        try:
            self._protocol.verdict(applied)
        except InfiniReachError as verdict:
            self.close(verdict)
        if effects.reconcile:
            self._reconciling = asyncio.create_task(self._guarded(self._reconcile), name="session-reconcile")

    async def _reconcile(self) -> None:
        protocol, shared = self._protocol, self._shared
        holdings = Holdings(
            driver_id=protocol.driver_id,
            epoch=protocol.epoch,
            open_commands=set(protocol.open_commands),
            device_ids=set(protocol.device_ids),
        )
        result = await shared.lifecycle.reconcile(holdings)
        if protocol.phase is Phase.RECONCILING:
            self._send(protocol.reconciled(result).frames)
            shared.dispatcher.hint(result.waiting)
            shared.dispatcher.room(protocol.device_ids)  # hinted while no commands could flow yet

    def _send(self, frames: list[Frame]) -> None:
        for frame in frames:
            # Every frame acknowledges and is a sign of life: behind another one these two would only cost memory.
            if self._outgoing and frame.WhichOneof("frame") in ("acknowledge", "heartbeat"):
                continue
            self._outgoing.append(frame)
            self._wake.set()

    async def _write_loop(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outgoing or self._protocol.acknowledged > self._acknowledged:
                frame = (
                    self._outgoing.popleft()
                    if self._outgoing
                    else Frame(acknowledge=session_pb2.Acknowledge())
                )
                frame.acknowledged_sequence = self._acknowledged = max(
                    self._acknowledged, self._protocol.acknowledged
                )
                await self._write_frame(frame)
                self._protocol.spoke(self._shared.clock.monotonic_s())
            if self._ended.is_set():
                return

    def _look_at_the_time(self) -> None:
        """Have the protocol act on the time that passed, now and for as long as the stream lasts.

        A timer and no task: there are many streams, and mostly nothing is due.
        """
        if self._ended.is_set():
            return
        now_s = self._shared.clock.monotonic_s()
        try:
            self._send(self._protocol.tick(now_s))
        except Exception as error:  # noqa: BLE001 - a timer's top: whatever it was, it ends this stream only
            self._failed(error)
            return
        least_s = self._shared.limits.heartbeat_interval_s / TICKS_PER_HEARTBEAT
        delay_s = max(self._protocol.idle_s(now_s), least_s)
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._look_at_the_time)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _leave(self, duration_s: float) -> None:
        if not self._registered:
            return
        shared, superseded = self._shared, isinstance(self._error, SessionSuperseded)
        shared.registry.remove(self)
        outcome: dict[str, Any] = {"reason": self._error.reason if self._error else "LEFT"}
        if self._error is not None:
            outcome["detail"] = self._error.message
        log.info(
            "session.closed", driver_id=self.driver_id, epoch=self.epoch, facts=self._facts,
            unknown_frames=self._protocol.unknown_frames, duration_s=round(duration_s, 3), **outcome,
        )  # fmt: skip
        if not superseded:
            try:
                await shared.lifecycle.close(self.driver_id, self.epoch)
            except (Unavailable, OutcomeUnknown) as error:  # the lease runs out by itself
                log.warning("session.close_not_noted", driver_id=self.driver_id, detail=error.message)
