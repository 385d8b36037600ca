"""A core in memory, without I/O: frames in, frames out, for the tests of drivers and of the driver protocol.

Keeps the rules of driver_service.proto for one driver: epochs, windows, replay, reconciliation, acknowledgement only
after applying. What it holds outlives its streams, as a database would. What a test wants to go wrong it asks for.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from google.protobuf.duration_pb2 import Duration

from infinireach.driver.v1.command_pb2 import CancelCommand, SendCommand, SendCommands
from infinireach.driver.v1.driver_service_pb2 import ConnectRequest, ConnectResponse
from infinireach.driver.v1.fact_pb2 import CommandReport, DeviceChanged, Fact, InboundMessage
from infinireach.driver.v1.session_pb2 import (
    Acknowledge,
    Drain,
    Goodbye,
    Heartbeat,
    Hello,
    OpenCommand,
    Welcome,
)

FRAME_BYTES_MAX = 256 * 1024
FRAME_COMMANDS_MAX = 1000
OPEN = ""
"""The state of a command without a result."""


class Fault(StrEnum):
    """Why the core ends a stream."""

    SUPERSEDED = "SESSION_SUPERSEDED"
    GAP = "FACT_GAP"
    UNEXPECTED_FRAME = "UNEXPECTED_FRAME"


@dataclass(slots=True)
class ModelCommand:
    """A command as the core sees it."""

    command: SendCommand
    state: str = OPEN
    """The last outcome that counts: submitted, delivered, failed, cancelled or outcome_unknown."""
    is_offered: bool = False
    is_accepted: bool = False
    reports: list[CommandReport] = field(default_factory=list[CommandReport])
    """Every report, in the order of its fact."""
    delivered_segments: set[int] = field(default_factory=set[int])

    def apply(self, report: CommandReport) -> None:
        """Move the state as the core does: late evidence settles an unknown outcome, nothing goes back."""
        self.reports.append(report)
        outcome = report.WhichOneof("outcome") or OPEN
        if outcome == "delivered":
            self.delivered_segments.update(report.delivered.segments or range(1, self._segments() + 1))
            if len(self.delivered_segments) >= self._segments() and self.state not in ("failed", "cancelled"):
                self.state = "delivered"
        elif self.state in (OPEN, "outcome_unknown") or (self.state == "submitted" and outcome == "failed"):
            self.state = outcome

    def _segments(self) -> int:
        return max(1, self.command.text.segments)


class ModelSession:
    """One stream."""

    def __init__(self, hello: Hello, epoch: int) -> None:
        self.hello = hello
        self.windows = {device.key: device.window for device in hello.devices}
        """How many unsettled commands each device takes now."""
        self.epoch = epoch
        self.out: deque[ConnectResponse] = deque()
        """Frames for the driver, in order."""
        self.is_reconciled = False
        self.fault: Fault | None = None
        """Set once the stream is to end."""


class CoreModel:
    """A core for one driver."""

    def __init__(self, *, heartbeat_interval_s: float = 5.0, heartbeat_timeout_s: float = 25.0) -> None:
        self.commands: dict[str, ModelCommand] = {}
        self.hellos: list[Hello] = []
        self.goodbyes: list[Goodbye] = []
        self.inbound: list[InboundMessage] = []
        self.facts: list[Fact] = []
        """Every fact that was applied, once each."""
        self.device_changes: list[DeviceChanged] = []
        """What the driver said of its devices since their first hello, in order."""
        self.repeated_facts = 0
        """Facts that came again and changed nothing."""
        self.heartbeats = 0
        self.acknowledges = True
        """False: facts are applied and not acknowledged."""
        self.ignores_windows = False
        self.unacknowledged_facts_max = 1000
        self.unacknowledged_facts_seen = 0
        """The most facts that were ever applied and not acknowledged."""
        self.session: ModelSession | None = None
        """The live stream."""
        self._heartbeat_interval_s = heartbeat_interval_s
        self._heartbeat_timeout_s = heartbeat_timeout_s
        self._epoch = 0
        self._journal_id = ""
        self._applied = 0
        self._acknowledged = 0

    # What a test asks for.

    def offer(self, commands: Iterable[SendCommand]) -> None:
        """Accept commands for the driver; they are sent as its windows allow."""
        for command in commands:
            self.commands[command.command_id] = ModelCommand(command)
        self._dispatch()

    def offer_again(self, command_id: str) -> None:
        """Send a command once more on the open stream, which a correct core would not."""
        command = self.commands[command_id].command
        self._say(ConnectResponse(send_commands=SendCommands(commands=[command])))

    def cancel(self, command_id: str) -> None:
        """Ask the driver to give up a command."""
        self._say(ConnectResponse(cancel_command=CancelCommand(command_id=command_id)))

    def drain(self) -> None:
        """Ask the driver to leave."""
        self._say(ConnectResponse(drain=Drain(reason="test", grace_period=Duration(seconds=5))))

    def acknowledge(self) -> None:
        """Acknowledge everything that was applied."""
        self._acknowledged = self._applied
        self._say(ConnectResponse(acknowledge=Acknowledge()))

    def window(self, device_key: str) -> int:
        """How many unsettled commands a device takes now; 0 without a stream."""
        return 0 if self.session is None else self.session.windows.get(device_key, 0)

    def states(self) -> dict[str, str]:
        """The state of each command by its id."""
        return {command_id: command.state for command_id, command in self.commands.items()}

    # The stream.

    def open(self, hello: Hello) -> ModelSession:
        """A driver has said hello on a new stream. The live one, if there is one, is superseded."""
        if self.session is not None:
            self.session.fault = Fault.SUPERSEDED
        self._epoch += 1
        self.session = session = ModelSession(hello, self._epoch)
        self.hellos.append(hello)
        if hello.journal_id != self._journal_id:
            self._forget_journal(hello.journal_id)
        held = {entry.command_id for entry in hello.open_commands if entry.phase == OpenCommand.PHASE_HELD}
        welcome = Welcome(
            epoch=session.epoch,
            resume_after_sequence=self._acknowledged,
            heartbeat_interval=_duration(self._heartbeat_interval_s),
            heartbeat_timeout=_duration(self._heartbeat_timeout_s),
            frame_bytes_max=FRAME_BYTES_MAX,
            unacknowledged_facts_max=self.unacknowledged_facts_max,
            capabilities=hello.capabilities,
            drop_command_ids=[i for i in held if i in self.commands and self.commands[i].state != OPEN],
        )
        self._say(ConnectResponse(welcome=welcome))
        self._reconcile(session)
        return session

    def _forget_journal(self, journal_id: str) -> None:
        for command in self.commands.values():
            if command.is_offered and command.state == OPEN:
                command.state = "outcome_unknown"
        self._journal_id, self._applied, self._acknowledged = journal_id, 0, 0

    def close(self, session: ModelSession) -> None:
        """The stream has ended."""
        if self.session is session:
            self.session = None

    def receive(self, session: ModelSession, frame: ConnectRequest) -> None:
        """A frame has come on a stream; one that is superseded changes nothing."""
        if self.session is not session:
            return
        match frame.WhichOneof("frame"):
            case "facts":
                self._apply(session, frame.facts.facts)
            case "accepted":
                for command_id in frame.accepted.command_ids:
                    if command_id in self.commands:
                        self.commands[command_id].is_accepted = True
            case "heartbeat":
                self.heartbeats += 1
                self._say(ConnectResponse(heartbeat=Heartbeat()))
            case "goodbye":
                self.goodbyes.append(frame.goodbye)
            case _:
                session.fault = Fault.UNEXPECTED_FRAME

    def _apply(self, session: ModelSession, facts: Iterable[Fact]) -> None:
        for fact in facts:
            if fact.sequence <= self._applied:
                self.repeated_facts += 1
                continue
            if fact.sequence != self._applied + 1:
                session.fault = Fault.GAP
                return
            self._applied = fact.sequence
            self.facts.append(fact)
            match fact.WhichOneof("fact"):
                case "command_report":
                    command = self.commands.get(fact.command_report.command_id)
                    if command is not None:
                        command.apply(fact.command_report)
                case "inbound_message":
                    self.inbound.append(fact.inbound_message)
                case "device_changed":
                    self._change_device(session, fact)
                case _:
                    pass
        self.unacknowledged_facts_seen = max(
            self.unacknowledged_facts_seen, self._applied - self._acknowledged
        )
        if self.acknowledges:
            self._acknowledged = self._applied
        self._reconcile(session)
        self._dispatch()
        self._say(ConnectResponse(acknowledge=Acknowledge()))

    def _change_device(self, session: ModelSession, fact: Fact) -> None:
        change = fact.device_changed
        self.device_changes.append(change)
        # What was replayed is older than the hello, which says how the devices are now.
        if fact.sequence > session.hello.last_sequence:
            session.windows[change.device_key] = change.window

    def _reconcile(self, session: ModelSession) -> None:
        """Once the replay is through: what is open here and not there never reached the network."""
        if session.is_reconciled or self._applied < session.hello.last_sequence:
            return
        session.is_reconciled = True
        there = {entry.command_id for entry in session.hello.open_commands}
        for command in self.commands.values():
            if command.state == OPEN and command.command.command_id not in there:
                command.is_offered = False
        self._dispatch()

    def _dispatch(self) -> None:
        """Send what the windows have room for."""
        session = self.session
        if session is None or not session.is_reconciled:
            return
        room = dict(session.windows)
        ready: list[SendCommand] = []
        for entry in self.commands.values():
            if entry.is_offered and entry.state == OPEN:
                room[entry.command.device_key] = room.get(entry.command.device_key, 0) - 1
        for entry in self.commands.values():
            key = entry.command.device_key
            if (
                not entry.is_offered
                and entry.state == OPEN
                and (room.get(key, 0) > 0 or self.ignores_windows)
            ):
                room[key] = room.get(key, 0) - 1
                entry.is_offered = True
                ready.append(entry.command)
        for start in range(0, len(ready), FRAME_COMMANDS_MAX):
            commands = SendCommands(commands=ready[start : start + FRAME_COMMANDS_MAX])
            self._say(ConnectResponse(send_commands=commands))

    def _say(self, frame: ConnectResponse) -> None:
        if self.session is not None:
            frame.acknowledged_sequence = self._acknowledged
            self.session.out.append(frame)


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
