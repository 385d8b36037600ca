"""Runs one driver: commits the protocol's batches, hands groups to the driver, finds out about lost results.

Everything here happens on the event loop, except the journal, which has one thread of its own. Knows no gRPC: the
client feeds frames to the same protocol and is told through `on_frames`.
"""

import asyncio
import heapq
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import structlog

from drivers.runtime.abilities import refusal
from drivers.runtime.checks import check_changes, check_mark, check_text
from drivers.runtime.commands import Group
from drivers.runtime.context import Changes, ContextFactory, Receipt
from drivers.runtime.crash_points import CrashPoint, reached
from drivers.runtime.driver import Driver
from drivers.runtime.failures import describe
from drivers.runtime.journal import Journal, JournalUnwritable
from drivers.runtime.outcomes import CutShort, Failed, Outcome, Report, SendAgain, Unknown
from drivers.runtime.pace import Pace
from drivers.runtime.protocol import DriverProtocol
from drivers.runtime.records import Batch, Committed, Notes, PendingFact, SegmentMark
from infinireach.driver.v1.command_pb2 import SendCommand
from infinireach.driver.v1.fact_pb2 import DeviceChanged, Fact, InboundMessage
from infinireach.driver.v1.session_pb2 import DeviceDescription

JOURNAL_RETRY_S = 1.0
"""How long to wait after the journal could not be written."""
FACTS_PER_READ = 1000
"""Facts read from the journal at a time."""

log = structlog.get_logger("runtime")

T = TypeVar("T")


class _Wait:
    """A waiter that is a future: the number of the fact, or the error."""

    def __init__(self) -> None:
        self.future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def journalled(self, sequence: int) -> None:
        if not self.future.done():
            self.future.set_result(sequence)

    def refused(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Engine:
    """One driver at work."""

    def __init__(self, driver: Driver, protocol: DriverProtocol, journal: Journal) -> None:
        self.protocol = protocol
        self.on_frames: Callable[[], None] = lambda: None
        """Called when the protocol may have frames to write."""
        self.on_drop: Callable[[float], None] = lambda away_s: None
        """Called when the driver wants the stream cut for so many seconds."""
        self.on_reopen: Callable[[], None] = lambda: None
        """Called when the stream is to be opened anew."""
        self._driver = driver
        self._journal = journal
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._pace = Pace()
        self._work = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.journal_task = asyncio.create_task(self._run_journal(), name="journal")
        """Runs for as long as the engine; if it ends, the process has to."""
        self.journal_task.add_done_callback(lambda _: self._idle.set())
        self._is_stopping = False
        self._unacknowledged: list[tuple[int, int, asyncio.Future[None]]] = []
        """Heap of those who wait for the core to have a fact: its number, a tie-breaker, the waiter."""

    # Life.

    async def start(self, context: ContextFactory) -> None:
        """Start the driver and take up what an earlier process left."""
        self.protocol.devices = list(await self._driver.start(context(self)))
        for device in self.protocol.devices:
            self.protocol.pause(device.key, paused=device.window == 0)
        for command in self.protocol.unresolved:
            self._spawn(self._recover(command), name="recover")

    def wake(self) -> None:
        """The protocol may have something to do: a frame came, or time has passed."""
        if self._unacknowledged:
            self._resolve_acknowledged()
        if self.protocol.has_work():
            self._work.set()
        if self.protocol.has_frames():
            self.on_frames()

    async def drain(self, grace_s: float, *, stop_s: float) -> None:
        """Start nothing more, let running sends end within the grace period and stop the driver.

        What has not ended stays in the journal as started; the next process finds out or says unknown.
        """
        self.protocol.stop_starting()
        self._is_stopping = True
        try:
            self._driver.stopping()
        except Exception as error:  # noqa: BLE001 - the driver's own fault must not keep it from stopping
            log.error("driver.stopping_failed", **describe(error))
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_s)
            for task in late:
                task.cancel()
            if late:
                log.warning("driver.sends_cut_off", count=len(late))
                await asyncio.wait(late, timeout=stop_s)
        try:
            await asyncio.wait_for(self._driver.stop(stop_s), stop_s)
        except Exception as error:  # noqa: BLE001 - the driver's own fault must not keep results from the journal
            log.error("driver.stop_failed", **describe(error))

    async def close(self) -> None:
        """Write what is left and give the journal free."""
        await self._idle_or_ended()
        self.journal_task.cancel()
        await asyncio.wait([self.journal_task])
        batch = self.protocol.take_batch()
        if batch is not None:
            try:
                self.protocol.committed(await self._in_thread(lambda: self._journal.commit(batch)))
            except JournalUnwritable as error:
                log.error("journal.unwritable", error=str(error))
        self._thread.shutdown(wait=True)
        self._journal.close()

    # The journal.

    async def journal_idle(self) -> None:
        """Wait until no transaction is under way; none begins before the caller awaits again.

        Raises JournalUnwritable if the journal's task has ended in the middle of one.
        """
        await self._idle_or_ended()
        if self.protocol.is_writing:
            raise JournalUnwritable("the journal's task has ended")

    async def _idle_or_ended(self) -> None:
        while self.protocol.is_writing and not self.journal_task.done():
            await self._idle.wait()

    async def renew_journal(self) -> None:
        """The journal is an older copy of itself: give it a new identity."""
        await self.journal_idle()
        reason = "The driver's journal was replaced by an older copy of itself."
        await self._in_thread(lambda: self._journal.renew(reason=reason))
        self.protocol.journal_renewed(self._journal.state())
        last = self.protocol.facts.last
        self._unacknowledged = [(last, tie, future) for _, tie, future in self._unacknowledged]

    async def _run_journal(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            while self.protocol.has_work():
                wait_s = self._pace.wait_s(asyncio.get_running_loop().time())
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
                await self._write_once()

    async def _write_once(self) -> None:
        """One transaction over everything that waits, and one read if the stream wants older facts."""
        batch = self.protocol.take_batch()
        wanted = self.protocol.facts.wanted()
        if batch is None and wanted is None:
            return
        if batch is not None and batch.hold:
            reached(CrashPoint.BEFORE_HELD)
        self._idle.clear()
        try:
            committed, facts = await self._in_thread(lambda: self._commit_and_read(batch, wanted))
        except JournalUnwritable as error:
            log.error("journal.unwritable", error=str(error))
            self.protocol.not_committed(error)
            self._idle.set()
            await asyncio.sleep(JOURNAL_RETRY_S)
            return
        self._idle.set()
        if batch is not None and committed is not None:
            self.protocol.committed(committed)
            if any(fact.settles for fact in batch.facts):
                reached(CrashPoint.AFTER_SETTLED)
        self.protocol.facts.loaded(facts)
        for group in self.protocol.take_groups():
            reached(CrashPoint.AFTER_STARTED)
            self._spawn(self._send(group), name=f"send {group.device_key}")
        self.on_frames()

    def _commit_and_read(
        self, batch: Batch | None, wanted: int | None
    ) -> tuple[Committed | None, list[Fact]]:
        committed = None if batch is None else self._journal.commit(batch)
        facts = [] if wanted is None else self._journal.facts_after(wanted, count_max=FACTS_PER_READ)
        return committed, facts

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    # Sending.

    async def _send(self, group: Group) -> None:
        try:
            outcomes = await self._outcomes(group.commands)
        except CutShort:
            return
        reached(CrashPoint.AFTER_SENT)
        for command, outcome in zip(group.commands, outcomes, strict=True):
            self._settle(command, outcome)
        self.protocol.finish_group(group.device_key)
        self._work.set()

    async def _outcomes(self, commands: Sequence[SendCommand]) -> Sequence[Outcome]:
        """One for each command; those that their devices cannot carry out do not come to the driver."""
        refused = [refusal(command, self.protocol.devices) for command in commands]
        able = [command for command, failed in zip(commands, refused, strict=True) if failed is None]
        outcomes = iter(await self._outcomes_of(able) if able else ())
        return [next(outcomes) if failed is None else failed for failed in refused]

    async def _outcomes_of(self, commands: Sequence[SendCommand]) -> Sequence[Outcome]:
        try:
            if self._driver.group_commands_max == 1:
                return [await self._driver.send(command) for command in commands]
            outcomes = await self._driver.send_group(commands)
            if len(outcomes) == len(commands):
                return outcomes
            error = f"send_group gave {len(outcomes)} outcomes for {len(commands)} commands"
        except Exception as exception:
            if isinstance(exception, CutShort) and self._is_stopping:
                raise
            log.error("driver.send_failed", **describe(exception))
            error = type(exception).__name__
        return [Unknown(f"The driver failed while it was sending: {error}.")] * len(commands)

    async def _recover(self, command: SendCommand) -> None:
        try:
            answer = await self._recovered(command)
            if isinstance(answer, SendAgain):
                answer = (await self._outcomes([command]))[0]
        except CutShort:
            return
        if answer is None:
            answer = Unknown("The driver was cut off between handing the message over and the answer.")
        self._settle(command, answer)
        self._work.set()

    async def _recovered(self, command: SendCommand) -> Outcome | SendAgain | None:
        try:
            return await self._driver.recover(command)
        except Exception as exception:
            if isinstance(exception, CutShort) and self._is_stopping:
                raise
            log.error("driver.recover_failed", **describe(exception))
            return None

    def _settle(self, command: SendCommand, outcome: Outcome) -> None:
        """Settle a command. What cannot be reported says nothing of the message, and must not block the device."""
        try:
            self.protocol.settle(command.command_id, outcome)
        except Exception as error:  # noqa: BLE001 - a number too large for a field is neither TypeError nor ValueError
            log.error("driver.outcome_unusable", **describe(error))
            detail = "The driver gave an outcome that cannot be reported."
            self.protocol.settle(command.command_id, Unknown(detail))

    def _spawn(self, coroutine: Coroutine[Any, Any, None], *, name: str) -> None:
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # What the context asks for.

    async def report(
        self,
        reports: Sequence[tuple[str, Report]],
        changes: Changes,
        *,
        taken: Sequence[SegmentMark] = (),
        refusable: bool = False,
    ) -> None:
        """Journal reports that come after the result, and marks of segments that turned out to be taken."""
        check_changes(changes)
        for mark in taken:
            check_mark(mark)
        if not reports and not changes and not taken:
            return
        wait = _Wait()
        for command_id, report in reports:
            self.protocol.report(command_id, report, refusable=refusable)
        if refusable:
            self.protocol.note(Notes(wait, list(taken), list(changes.items())))
        else:
            for mark in taken:
                self.protocol.mark_segment(mark)
            self.protocol.store(changes, wait)
        await self._written(wait)

    async def receive(self, inbound: InboundMessage, identity: str, changes: Changes) -> Receipt:
        """Journal an inbound message."""
        check_text(identity)
        check_changes(changes)
        wait = _Wait()
        fact = PendingFact(
            Fact(inbound_message=inbound),
            identity=identity,
            waiter=wait,
            refusable=True,
            store=list(changes.items()),
        )
        self.protocol.add_fact(fact)
        sequence = await self._written(wait)
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._unacknowledged, (sequence, id(acknowledged), acknowledged))
        self._resolve_acknowledged()
        return Receipt(sequence, acknowledged)

    def _resolve_acknowledged(self) -> None:
        while self._unacknowledged and self._unacknowledged[0][0] <= self.protocol.facts.acknowledged:
            future = heapq.heappop(self._unacknowledged)[2]
            if not future.done():
                future.set_result(None)

    async def change_device(self, change: DeviceChanged) -> None:
        """Journal a change of a device, and tell it in the next hello too."""
        for device in self.protocol.devices:
            if device.key == change.device_key:
                device.state = change.state
                device.window = change.window
        self.protocol.pause(change.device_key, paused=change.window == 0)
        wait = _Wait()
        self.protocol.add_fact(PendingFact(Fact(device_changed=change), waiter=wait))
        await self._written(wait)

    async def mark_segment(self, mark: SegmentMark, changes: Changes) -> None:
        """Journal how far a segment is."""
        check_mark(mark)
        check_changes(changes)
        before, after = (
            (CrashPoint.BEFORE_SEGMENT_TAKEN, CrashPoint.AFTER_SEGMENT_TAKEN)
            if mark.taken
            else (CrashPoint.BEFORE_SEGMENT_STARTED, CrashPoint.AFTER_SEGMENT_STARTED)
        )
        reached(before, segment=mark.segment)
        wait = _Wait()
        self.protocol.mark_segment(mark)
        self.protocol.store(changes, wait)
        await self._written(wait)
        reached(after, segment=mark.segment)

    async def segments(self, command_id: str) -> list[SegmentMark]:
        """Read the marks of a command's segments."""
        return await self._in_thread(lambda: self._journal.segments(command_id))

    async def known(self, command_ids: Sequence[str]) -> set[str]:
        """Which of the commands the journal remembers."""
        return await self._in_thread(lambda: self._journal.known(command_ids))

    async def write(self, changes: Changes) -> None:
        """Write to the driver's own store."""
        check_changes(changes)
        wait = _Wait()
        self.protocol.store(changes, wait)
        await self._written(wait)

    async def read(self, prefix: str) -> dict[str, bytes]:
        """Read from the driver's own store."""
        return await self._in_thread(lambda: self._journal.values(prefix))

    def give_back(self, device_key: str, failed: Failed) -> int:
        """Settle the commands of the device that are not started."""
        count = self.protocol.give_back(device_key, failed)
        self._work.set()
        return count

    def replace_devices(self, devices: Sequence[DeviceDescription]) -> None:
        """Take the new list and open the stream anew to tell it."""
        self.protocol.devices = list(devices)
        for device in devices:
            self.protocol.pause(device.key, paused=device.window == 0)
        self.on_reopen()

    def drop_stream(self, away_s: float) -> None:
        """Cut the stream."""
        self.on_drop(away_s)

    async def _written(self, wait: _Wait) -> int:
        self._work.set()
        return await wait.future
