"""The promises of the driver stream, checked at every commit, at every frame that a core writes, at every hand-over.

Owns the rules as they stand in the contract, written down a second time and independently of the code that is to keep
them: a rule here never asks the product's own tables. Looks at committed rows, at the radio and at the journals.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import NamedTuple

from core.dispatch import Holdings, ReadyDevice
from core.errors import InfiniReachError
from core.facts import DriverFacts, Report
from core.sessions.protocol import Frame
from infinireach.driver.v1.command_pb2 import SendCommand
from tests.simulation.database import Database, Job
from tests.simulation.network import Stream
from tests.simulation.radio import HandOver


class Rule(StrEnum):
    """What was broken."""

    STATE = auto()
    """A state changed in a way that no evidence allows; terminal states never do, unknown does once."""
    EVENTS = auto()
    """Every change has exactly its events, numbered 1 to n."""
    WINDOW = auto()
    """Never more unsettled commands than the device's window."""
    EPOCH = auto()
    """A superseded session changes nothing."""
    ACKNOWLEDGED = auto()
    """An acknowledgement covers only what is committed, and the number never goes back."""
    REPLAY_FIRST = auto()
    """Commands are offered only after the driver's facts were replayed."""
    JOURNAL_FIRST = auto()
    """A command is in the journal as started before the radio gets it."""
    COMMAND_TWICE = auto()
    """A command reaches the network once."""
    MESSAGE_TWICE = auto()
    """A message reaches the network again only after proof that it was not sent."""
    NOT_OPEN = auto()
    """Only what is open in the core is sent, and never another attempt at what is unknown."""
    UNKNOWN = auto()
    """Unknown only where nobody can know."""
    EXTERNAL_ID = auto()
    """The same external id and content is the same message; other content is refused."""
    ACCEPTED = auto()
    """What was accepted is there, and nothing else is."""
    INBOUND = auto()
    """What came in is there once for each journal that reported it."""
    OUTCOME = auto()
    """The final state is what the network did."""
    LIVENESS = auto()
    """Once the faults are over everything settles in bounded time."""
    FAULT = auto()
    """Code raised what nobody foresaw."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A broken rule."""

    at_s: float
    rule: Rule
    text: str


FINDINGS_MAX = 50

WINDOW_NEWS_S = 1.0
"""How long a core may take from the commit of a new window until its claims know of it."""


class MessageNow(NamedTuple):
    """A message as it is committed."""

    state: str
    attempt: int
    device_id: str
    driver_id: str | None
    epoch: int | None
    events: int
    direction: str


class DriverNow(NamedTuple):
    """A driver as it is committed."""

    name: str
    epoch: int
    applied: int
    journal_id: str


NEXT = {
    "queued": {"sending", "scheduled", "sent", "delivered", "failed", "expired", "cancelled"},
    "scheduled": {"queued", "sent", "delivered", "failed", "expired", "cancelled"},
    "sending": {"sent", "delivered", "failed", "scheduled", "expired", "cancelled", "unknown"},
    "sent": {"delivered", "failed"},
    "unknown": {"sent", "delivered", "failed"},
}
"""What may follow a state in one step; in one transaction several steps may."""

HISTORY = re.compile(r"(unknown )?(sent (delivered (read )?|failed )?|failed )?|expired |cancelled ")
"""The statuses of a message's events, in their order; `read` for the one that tells of it."""

WITHOUT_EVENTS = {"queued", "scheduled", "sending"}


def follows(before: str, after: str) -> bool:
    """Whether one or more allowed steps lead from one state to the other."""
    seen, reached = set[str](), {before}
    while reached - seen:
        seen |= reached
        reached = seen.union(*(NEXT.get(state, set()) for state in seen))
    return after in seen.union(*(NEXT.get(state, set()) for state in seen)) and after != before


@dataclass(slots=True)
class Snapshot:
    """Everything that the checker compares, as of one commit."""

    messages: dict[str, MessageNow] = field(default_factory=dict[str, MessageNow])
    drivers: dict[str, DriverNow] = field(default_factory=dict[str, DriverNow])

    @classmethod
    def of(cls, database: Database) -> "Snapshot":
        """As it is now, uncommitted changes included."""
        messages = database.query(
            "SELECT id, state, attempt, device_id, driver_id, epoch, events, direction FROM message"
        )
        drivers = database.query("SELECT id, name, epoch, applied_sequence, journal_id FROM driver")
        return cls(
            {row[0]: MessageNow(*row[1:]) for row in messages},
            {row[0]: DriverNow(*row[1:]) for row in drivers},
        )

    def sending(self, device_id: str) -> int:
        """Commands of the device that are not settled."""
        return sum(row.state == "sending" and row.device_id == device_id for row in self.messages.values())

    def moved(self, before: "Snapshot") -> dict[str, tuple[MessageNow | None, MessageNow]]:
        """Messages that are not as they were."""
        return {
            message_id: (before.messages.get(message_id), now)
            for message_id, now in self.messages.items()
            if before.messages.get(message_id) != now
        }


class Checker:
    """Looks on and notes what is wrong."""

    def __init__(
        self, database: Database, now_s: Callable[[], float], *, network_knows_command_ids: bool
    ) -> None:
        self.findings: list[Finding] = []
        self.excuses: dict[str, str] = {}
        """Commands of which nobody can know what became of them, and why."""
        self.unknown: dict[str, int] = {}
        """Messages that are or were unknown, with the attempt."""
        self.now = Snapshot()
        self.applied: dict[tuple[str, str], int] = {}
        """Facts that were ever committed, by driver name and journal."""
        self._database = database
        self._now_s = now_s
        self._network_knows_command_ids = network_knows_command_ids
        self._events_seen = 0
        self._history: dict[str, list[str]] = {}
        self._windows: dict[str, list[tuple[float, int]]] = {}

    def find(self, rule: Rule, text: str) -> None:
        """Note a broken rule."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(self._now_s(), rule, text))

    # Commits.

    def failed(self, job: Job) -> None:
        """A transaction raised; only the errors of the contract are expected."""
        if not isinstance(job.error, InfiniReachError):
            self.find(Rule.FAULT, f"{_name(job)} raised {job.error!r}")

    def changed(self, job: Job) -> None:
        """A transaction is about to be committed."""
        before, self.now = self.now, Snapshot.of(self._database)
        moved = self.now.moved(before)
        self._read_events()
        self._read_windows()
        self._check_drivers(job, before)
        for message_id, (was, now) in moved.items():
            self._check_message(job, message_id, was, now)
        self._check_fence(job, before, moved)
        if _name(job) == "claim":
            self._check_claim(job, before, moved)
        if gone := before.messages.keys() - self.now.messages.keys():
            self.find(Rule.ACCEPTED, f"{_name(job)} removed {sorted(gone)}")

    def _read_events(self) -> None:
        rows = self._database.query(
            "SELECT rowid, message_id, type, body FROM event WHERE rowid > ? ORDER BY rowid",
            self._events_seen,
        )
        for row_id, message_id, event_type, body in rows:
            self._events_seen = row_id
            if message_id is None:
                continue
            data = json.loads(body)["data"]
            history = self._history.setdefault(message_id, [])
            is_read = event_type == "message.read" and data["status"] == "delivered" and "readAt" in data
            history.append("read" if is_read else data["status"])
            if data["sequence"] != len(history):
                self.find(Rule.EVENTS, f"{message_id}: event {len(history)} has number {data['sequence']}")

    def _read_windows(self) -> None:
        for device_id, window in self._database.query("SELECT id, window FROM device"):
            history = self._windows.setdefault(device_id, [])
            if not history or history[-1][1] != window:
                history.append((self._now_s(), window))

    def _window(self, device_id: str, since_s: float) -> int:
        """The largest window that was in force after a moment."""
        largest = 0
        for at_s, window in reversed(self._windows[device_id]):
            largest = max(largest, window)
            if at_s <= since_s:
                break
        return largest

    def _check_drivers(self, job: Job, before: Snapshot) -> None:
        for driver_id, now in self.now.drivers.items():
            was = before.drivers.get(driver_id)
            key = (now.name, now.journal_id)
            if was is not None and was.journal_id == now.journal_id and now.applied < was.applied:
                self.find(Rule.ACKNOWLEDGED, f"{now.name}: applied went from {was.applied} to {now.applied}")
            if was is not None and now.epoch < was.epoch:
                self.find(Rule.EPOCH, f"{now.name}: the epoch went from {was.epoch} to {now.epoch}")
            self.applied[key] = max(self.applied.get(key, 0), now.applied)
            if was is not None and was.journal_id != now.journal_id:
                self._excuse_open(driver_id, before)

    def _excuse_open(self, driver_id: str, before: Snapshot) -> None:
        for message_id, row in before.messages.items():
            if row.state == "sending" and row.driver_id == driver_id:
                self.excuses[f"{message_id}-{row.attempt}"] = "the journal was lost"

    def _check_message(self, job: Job, message_id: str, was: MessageNow | None, now: MessageNow) -> None:
        history = self._history.get(message_id, [])
        if len(history) != now.events:
            self.find(Rule.EVENTS, f"{message_id}: {len(history)} events, the row says {now.events}")
        if now.direction == "inbound":
            if was is not None or history != ["delivered"]:
                self.find(Rule.EVENTS, f"{message_id}: inbound, with the events {history}")
            return
        if was is not None and was.state != now.state and not follows(was.state, now.state):
            self.find(Rule.STATE, f"{message_id}: {was.state} to {now.state} by {_name(job)}")
        shown = "".join(f"{status} " for status in history)
        last = history[-1].replace("read", "delivered") if history else ""
        if not HISTORY.fullmatch(shown) or last != ("" if now.state in WITHOUT_EVENTS else now.state):
            self.find(Rule.EVENTS, f"{message_id}: is {now.state} after the events {history}")
        if "unknown" in history and message_id not in self.unknown:
            self.unknown[message_id] = now.attempt
            self._check_unknown(job, f"{message_id}-{now.attempt}")
        attempts = now.attempt - (was.attempt if was is not None else 0)
        if attempts not in (
            (1,) if was is not None and was.state == "queued" and now.state == "sending" else (0,)
        ):
            self.find(Rule.STATE, f"{message_id}: attempt {now.attempt} after {was} by {_name(job)}")

    def _check_unknown(self, job: Job, command_id: str) -> None:
        if _name(job) == "give_up_on_abandoned":
            self.excuses.setdefault(command_id, "given up")
        if command_id not in self.excuses:
            self.find(Rule.UNKNOWN, f"{command_id} became unknown by {_name(job)}, and somebody could know")

    def _check_fence(self, job: Job, before: Snapshot, moved: Iterable[str]) -> None:
        """What a job of a superseded session may not touch."""
        name, argument = _name(job), job.args[0] if job.args else None
        if name == "reconcile":
            self._check_reconcile(job.args[0], before, moved)
        if name != "apply_facts" or not isinstance(argument, list):
            return
        allowed: set[str] = set()
        entitled: set[str] = set()
        for batch in argument:
            assert isinstance(batch, DriverFacts)
            driver = before.drivers.get(batch.driver_id)
            if driver is not None and driver.epoch == batch.epoch:
                entitled.add(batch.driver_id)
                allowed |= {fact.command_id[:24] for fact in batch.facts if isinstance(fact, Report)}
        for message_id in moved:
            if self.now.messages[message_id].direction == "outbound" and message_id not in allowed:
                self.find(Rule.EPOCH, f"{message_id} was changed by facts of a superseded session")
        for driver_id, driver in self.now.drivers.items():
            if driver_id not in entitled and driver != before.drivers.get(driver_id):
                self.find(Rule.EPOCH, f"{driver.name} was changed by facts of a superseded session")

    def _check_reconcile(self, holdings: Sequence[Holdings], before: Snapshot, moved: Iterable[str]) -> None:
        epochs = {driver_id: driver.epoch for driver_id, driver in before.drivers.items()}
        newest = {own.driver_id for own in holdings if epochs.get(own.driver_id) == own.epoch}
        if not newest:
            self.find(Rule.EPOCH, f"reconcile of superseded sessions changed something: {holdings}")
        for message_id in moved:
            if before.messages[message_id].driver_id not in newest:
                self.find(Rule.EPOCH, f"{message_id} was changed by the reconcile of a superseded session")

    def _check_claim(
        self, job: Job, before: Snapshot, moved: dict[str, tuple[MessageNow | None, MessageNow]]
    ) -> None:
        ready: dict[str, ReadyDevice] = {device.device_id: device for device in job.args[0]}
        for message_id, (_, now) in moved.items():
            device = ready.get(now.device_id)
            driver = self.now.drivers.get(now.driver_id or "")
            if device is None or driver is None or not device.epoch == driver.epoch == now.epoch:
                self.find(Rule.EPOCH, f"{message_id} was claimed by {device}, the driver is {driver}")
            if message_id in self.unknown:
                self.find(Rule.NOT_OPEN, f"{message_id} was claimed again after it was unknown")
        for device_id in ready:
            count, window = (
                self.now.sending(device_id),
                self._window(device_id, job.asked_at_s - WINDOW_NEWS_S),
            )
            if before.sending(device_id) < count > window:
                self.find(Rule.WINDOW, f"{count} commands of {device_id}, its window is {window}")

    # Frames and hand-overs.

    def wire(self, stream: Stream, frame: Frame) -> None:
        """A core writes a frame."""
        applied = self.applied.get((stream.driver, stream.journal_id), 0)
        if frame.acknowledged_sequence > applied:
            text = f"{stream.driver}: {frame.acknowledged_sequence} acknowledged, {applied} committed"
            self.find(Rule.ACKNOWLEDGED, text)
        if frame.WhichOneof("frame") == "send_commands" and applied < stream.last_sequence:
            text = f"{stream.driver}: commands offered at fact {applied} of {stream.last_sequence}"
            self.find(Rule.REPLAY_FIRST, text)

    def handed_over(
        self, hand_over: HandOver, command: SendCommand, earlier: list[HandOver], started: set[str]
    ) -> None:
        """The radio gets a message."""
        command_id, message_id = hand_over.command_id, hand_over.message_id
        if command_id not in started:
            self.find(Rule.JOURNAL_FIRST, f"{command_id} was handed over before the journal had it")
        again = any(each.command_id == command_id for each in earlier)
        if again and not self._network_knows_command_ids:
            self.find(Rule.COMMAND_TWICE, f"{command_id} was handed over twice")
        if any(each.message_id == message_id and each.is_taken for each in earlier):
            self.find(Rule.MESSAGE_TWICE, f"{message_id} was taken already, now comes {command_id}")
        row = self.now.messages.get(message_id)
        if (
            row is None
            or row.state not in ("sending", "unknown")
            or command_id != f"{message_id}-{row.attempt}"
        ):
            self.find(Rule.NOT_OPEN, f"{command_id} was handed over, the message is {row}")


def _name(job: Job) -> str:
    return getattr(job.function, "__name__", repr(job.function))
