"""The driver's end of the driver stream (driver_service.proto) without I/O: frames in, frames and effects out.

Deterministic: given the same calls and the same clock it says the same. Whoever drives it
 - hands it frames (`receive`), results and facts (`settle`, `add_fact`) and the passing of time (`tick`),
 - commits each batch it gives (`take_batch`) and says what became of it (`committed`, `not_committed`),
 - hands the groups it gives (`take_groups`) to the driver, and the frames it gives (`next_frame`) to the stream.
Frames are built when the stream can take one, so there is no queue of them.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass

from drivers.runtime.clock import Clock
from drivers.runtime.commands import CommandBook, Group, Phase, SendingLimits
from drivers.runtime.fact_window import FactWindow
from drivers.runtime.outcomes import Cancelled, Failed, Report, to_report
from drivers.runtime.records import Batch, Committed, JournalState, Notes, PendingFact, SegmentMark, Waiter
from drivers.runtime.session import Identity, Session, build_hello
from infinireach.driver.v1.command_pb2 import CommandsAccepted, SendCommand
from infinireach.driver.v1.driver_service_pb2 import ConnectRequest, ConnectResponse
from infinireach.driver.v1.fact_pb2 import Fact, FactBatch
from infinireach.driver.v1.session_pb2 import DeviceDescription, Goodbye, Heartbeat, Welcome
from infinireach.v1.message_pb2 import FAILURE_REASON_EXPIRED

FENCE_S = 20.0
"""Seconds without a word from the core after which nothing new is started (rule 8)."""
FACT_BYTES_MAX = 100 * 1024
"""Largest fact: 20 000 code points of text fit, and it fits the smallest frame limit that a core may set. One that
the core cannot take would be sent again for ever, with every later one behind it."""
NANOSECONDS = 1_000_000_000


@dataclass(slots=True)
class _Writing:
    """A batch between `take_batch` and its answer."""

    batch: Batch
    groups: list[Group]
    session: Session | None


class DriverProtocol:
    """One driver process: it outlives its streams."""

    def __init__(
        self, identity: Identity, journal: JournalState, *, limits: SendingLimits, clock: Clock
    ) -> None:
        self.devices: list[DeviceDescription] = []
        """The devices of the next hello; the driver sets them before the first stream."""
        self.frames_ignored = 0
        """Frames that this version does not know."""
        self.journal_is_stale = False
        """The core has facts that this journal never wrote: an older copy of the file was put back."""
        self.facts = FactWindow(acknowledged=journal.acknowledged_sequence, last=journal.last_sequence)
        self.unresolved = [entry.command for entry in journal.open_commands if entry.started]
        """Commands that an earlier process started and that have no result; each is to be settled."""
        self._identity = identity
        self._journal_id = journal.journal_id
        self._clock = clock
        self._book = CommandBook(limits)
        for entry in journal.open_commands:
            self._book.restore(entry.command, started=entry.started)
        self._pending = Batch()
        self._writing: _Writing | None = None
        self._acknowledged_in_journal = journal.acknowledged_sequence
        self._acknowledgement_is_due = False
        self._groups: list[Group] = []
        self._session: Session | None = None
        self._last_contact: float | None = None
        self._is_stopping = False
        self._goodbye: Goodbye | None = None

    # What the driver says.

    def add_fact(self, pending: PendingFact) -> None:
        """Journal a fact and report it. It gets its time here. Raises ValueError past FACT_BYTES_MAX."""
        self._stamp(pending.fact)
        self._pending.facts.append(pending)

    def report(self, command_id: str, report: Report, *, refusable: bool = False) -> None:
        """Say something about a command that is not its result. Refusable: the network will say it again."""
        self.add_fact(PendingFact(Fact(command_report=to_report(command_id, report)), refusable=refusable))

    def settle(self, command_id: str, result: Report) -> None:
        """Say the result of a command. If it has one already, this is one more report."""
        fact = Fact(command_report=to_report(command_id, result))
        self._stamp(fact)
        settles = command_id if self._book.settling(command_id) else ""
        self._pending.facts.append(PendingFact(fact, settles=settles))

    def give_back(self, device_key: str, failed: Failed) -> int:
        """Settle every command of the device that is not started; how many there were."""
        waiting = self._book.waiting(device_key)
        for command_id in waiting:
            self.settle(command_id, failed)
        return len(waiting)

    def finish_group(self, device_key: str) -> None:
        """A group from `take_groups` has ended; its results were given to `settle`."""
        self._book.finish_group(device_key)

    def mark_segment(self, mark: SegmentMark) -> None:
        """Journal how far a segment is, in one transaction with the `store` that follows."""
        self._pending.segments.append(mark)

    def store(self, changes: Mapping[str, bytes | None], waiter: Waiter) -> None:
        """Write to the driver's own store; None deletes the key."""
        self._pending.store.extend(changes.items())
        self._pending.waiters.append(waiter)

    def note(self, notes: Notes) -> None:
        """Write marks and changes, or refuse them."""
        self._pending.refusable.append(notes)

    def pause(self, device_key: str, *, paused: bool) -> None:
        """Start nothing on the device for now, or go on."""
        self._book.pause(device_key, paused=paused)

    def _stamp(self, fact: Fact) -> None:
        fact.event_time.seconds, fact.event_time.nanos = divmod(self._clock.wall_ns(), NANOSECONDS)
        if fact.ByteSize() > FACT_BYTES_MAX:
            raise ValueError(f"A fact of {fact.ByteSize()} bytes; at most {FACT_BYTES_MAX} can be reported.")

    # The journal.

    @property
    def is_writing(self) -> bool:
        """A batch is out and not answered."""
        return self._writing is not None

    def has_work(self) -> bool:
        """True if `take_batch` or a read of `facts.wanted` would have something to do."""
        return (
            not self._pending.is_empty()
            or self._book.has_arrived()
            or (self.may_start() and self._book.can_start())
            or (self._acknowledgement_is_due and self.facts.acknowledged > self._acknowledged_in_journal)
            or self.facts.wanted() is not None
        )

    def take_batch(self) -> Batch | None:
        """Everything that waits for the journal, as one transaction; None if nothing does or one is out."""
        if self._writing is not None:
            return None
        now_ns = self._clock.wall_ns()
        if self._book.is_head_expired(now_ns):
            self._expire(now_ns)
        batch, self._pending = self._pending, Batch()
        self._book.hold_arrived(batch)
        groups = self._book.start_waiting(batch, now_ns=now_ns) if self.may_start() else []
        # An acknowledgement is not worth a transaction of its own, until a tick says so.
        is_worth_it = self._acknowledgement_is_due or not batch.is_empty()
        if is_worth_it and self.facts.acknowledged > self._acknowledged_in_journal:
            batch.acknowledged = self.facts.acknowledged
        if batch.is_empty():
            return None
        self._writing = _Writing(batch, groups, self._session)
        return batch

    def _expire(self, now_ns: int) -> None:
        for command_id in self._book.expired(now_ns):
            detail = "The deadline passed before the device was free."
            self.settle(command_id, Failed(FAILURE_REASON_EXPIRED, detail=detail))

    def committed(self, result: Committed) -> None:
        """The batch from `take_batch` is on disk."""
        writing = self._take_writing()
        batch = writing.batch
        for command_id in result.known:
            self._book.settle(command_id)
        self._drop_results_of(result.known)  # They may have been given up while the batch was out.
        if self._session is not None and writing.session is self._session:
            held = [c.command_id for c in batch.hold if c.command_id not in result.known]
            self._session.accepted.extend(held)
        self._facts_committed(batch, result)
        if batch.acknowledged:
            self._acknowledged_in_journal = batch.acknowledged
            self._acknowledgement_is_due = False
        for known in result.known.values():
            if known.result_sequence <= self.facts.acknowledged:
                # The core has had this result and lost it, or it would not offer the command again.
                self.add_fact(PendingFact(Fact(command_report=known.report)))
        self._hand_over(writing.groups, result)
        for waiter in (*batch.waiters, *(notes.waiter for notes in batch.refusable)):
            waiter.journalled(0)

    def _facts_committed(self, batch: Batch, result: Committed) -> None:
        written: list[Fact] = []
        last = self.facts.last
        for pending, sequence in zip(batch.facts, result.sequences, strict=True):
            if pending.settles:
                self._book.settle(pending.settles)
            if sequence > last:
                last = pending.fact.sequence = sequence
                written.append(pending.fact)
            if pending.waiter is not None:
                pending.waiter.journalled(sequence)
        self.facts.append(written)

    def _hand_over(self, groups: list[Group], result: Committed) -> None:
        for group in groups:
            if not self.may_start():
                # The commit took so long that the fence closed. Nothing was handed over, so it can be held again.
                self._pending.release.extend(self._book.hold_again(group))
                continue
            commands = [c for c in group.commands if c.command_id not in result.known]
            if commands:
                self._groups.append(Group(group.device_key, commands))
            else:
                self._book.finish_group(group.device_key)

    def not_committed(self, error: Exception) -> None:
        """Nothing of the batch is on disk. All of it waits again, except what may be refused."""
        writing = self._take_writing()
        batch = writing.batch
        for group in reversed(writing.groups):
            self._book.hold_again(group)
        self._book.hold_failed(batch)
        refused = batch.take_back()
        self._pending = batch.followed_by(self._pending)
        if writing.session is not self._session:
            self._forget_arrived()
        for waiter in refused:
            waiter.refused(error)

    def _take_writing(self) -> _Writing:
        writing, self._writing = self._writing, None
        if writing is None:
            raise ValueError("no batch is out")
        return writing

    def journal_renewed(self, journal: JournalState) -> None:
        """The stale journal has a new identity and every open command is settled in it. Between streams only."""
        self.journal_is_stale = False
        self.facts = FactWindow(acknowledged=journal.acknowledged_sequence, last=journal.last_sequence)
        self._journal_id = journal.journal_id
        self._acknowledged_in_journal = journal.acknowledged_sequence
        self._book.forget_all()

    def take_groups(self) -> list[Group]:
        """What the driver is to send now; each ends with `settle` for its commands and `finish_group`."""
        groups, self._groups = self._groups, []
        return groups

    # The stream, inwards.

    def connected(self) -> None:
        """A stream is open. Not while a batch is out: the hello says what the journal holds."""
        if self._writing is not None:
            raise ValueError("a batch is out")
        now = self._clock.monotonic()
        self._session = Session(last_sent_at=now, last_received_at=now)
        self._goodbye = None

    def disconnected(self) -> None:
        """The stream has ended."""
        self._session = None
        self._forget_arrived()

    def _forget_arrived(self) -> None:
        self._drop_results_of(self._book.forget_arrived())

    def _drop_results_of(self, command_ids: Container[str]) -> None:
        self._pending.facts = [p for p in self._pending.facts if p.settles not in command_ids]

    def receive(self, frame: ConnectResponse) -> None:
        """A frame from the core."""
        session = self._session
        if session is None:
            return
        session.last_received_at = self._last_contact = self._clock.monotonic()
        self.facts.acknowledge(frame.acknowledged_sequence)
        match frame.WhichOneof("frame"):
            case "welcome":
                self._welcomed(session, frame.welcome)
            case "send_commands":
                for command in frame.send_commands.commands:
                    self._offered(session, command)
            case "cancel_command":
                self._cancel(frame.cancel_command.command_id)
            case "drain":
                session.is_draining = True
            case "heartbeat" | "acknowledge" | "fact_rejected":
                pass
            case _:
                self.frames_ignored += 1

    def _welcomed(self, session: Session, welcome: Welcome) -> None:
        session.welcome = welcome
        if welcome.resume_after_sequence > self.facts.last:
            self.journal_is_stale = True
            return
        self.facts.acknowledge(welcome.resume_after_sequence)
        self.facts.resume_after(welcome.resume_after_sequence)
        for command_id in welcome.drop_command_ids:
            if self._book.phase(command_id) is Phase.HELD:
                self._book.settle(command_id)
                self._pending.forget.append(command_id)

    def _offered(self, session: Session, command: SendCommand) -> None:
        if not self._book.arrive(command) and self._book.phase(command.command_id) is not Phase.ARRIVED:
            session.accepted.append(command.command_id)

    def _cancel(self, command_id: str) -> None:
        """Give up a command that is not started. One that never came is noted: it cannot come later."""
        if command_id not in self._book:
            self._book.arrive(SendCommand(command_id=command_id))
        if self._book.phase(command_id) in (Phase.ARRIVED, Phase.HELD):
            self.settle(command_id, Cancelled())

    # The stream, outwards.

    def has_frames(self) -> bool:
        """False if `next_frame` has certainly nothing to say."""
        session = self._session
        return session is not None and (
            session.accepted_is_due
            or self.facts.has_ready()
            or self._goodbye is not None
            or not session.hello_is_sent
        )

    def next_frame(self) -> ConnectRequest | None:
        """What to write to the stream now; None if there is nothing to say."""
        if (session := self._session) is None or session.goodbye_is_sent:
            return None
        frame = self._build_frame(session)
        if frame is not None:
            session.last_sent_at = self._clock.monotonic()
        return frame

    def _build_frame(self, session: Session) -> ConnectRequest | None:
        if not session.hello_is_sent:
            session.hello_is_sent = True
            hello = build_hello(
                self._identity, self._journal_id, facts=self.facts, devices=self.devices, commands=self._book
            )
            return ConnectRequest(hello=hello)
        if self._goodbye is not None:
            session.goodbye_is_sent = True
            return ConnectRequest(goodbye=self._goodbye)
        if session.welcome is None or self.journal_is_stale:
            return None
        facts = self.facts.take(
            unacknowledged_max=session.unacknowledged_facts_max(), bytes_max=session.facts_bytes_max()
        )
        if facts:
            return ConnectRequest(facts=FactBatch(facts=facts))
        accepted = session.take_accepted(self._book)
        if accepted:
            return ConnectRequest(accepted=CommandsAccepted(command_ids=accepted))
        if self._clock.monotonic() - session.last_sent_at >= session.heartbeat_interval_s():
            return ConnectRequest(heartbeat=Heartbeat())
        return None

    def say_goodbye(self, reason: str, *, reconnect_expected: bool) -> None:
        """Make a goodbye the next and last frame of this stream."""
        self._goodbye = Goodbye(reason=reason, reconnect_expected=reconnect_expected)

    # Time and state.

    def tick(self) -> None:
        """Time has passed. Call it at least once a second and four times in a heartbeat interval."""
        self._expire(self._clock.wall_ns())
        self._acknowledgement_is_due = True
        if self._session is not None:
            self._session.accepted_is_due = True

    def stop_starting(self) -> None:
        """The process is about to end: no more sends."""
        self._is_stopping = True

    def may_start(self) -> bool:
        """Whether sends may start: the core was heard of lately, and a new stream is past its welcome."""
        if self._is_stopping or self.journal_is_stale or self._last_contact is None:
            return False
        if self._session is not None and (self._session.welcome is None or self._session.is_draining):
            return False
        return self._clock.monotonic() - self._last_contact < FENCE_S

    def is_silent(self) -> bool:
        """True if the core has said nothing for so long that the stream is to be given up."""
        if (session := self._session) is None:
            return False
        return self._clock.monotonic() - session.last_received_at > session.silence_max_s()

    @property
    def session(self) -> Session | None:
        """The stream as it stands; read only."""
        return self._session

    def is_sending(self) -> bool:
        """True while the driver is sending something."""
        return self._book.is_sending()

    def is_settled(self) -> bool:
        """True if nothing waits for the journal and the core has every fact."""
        return (
            self._writing is None and not self._pending.facts and self.facts.acknowledged == self.facts.last
        )
