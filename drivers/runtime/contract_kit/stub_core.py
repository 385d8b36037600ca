"""A core in memory that speaks the real driver stream over real gRPC, for tests of drivers.

Keeps the rules of driver_service.proto for one driver: epochs, windows, replay, reconciliation, acknowledgement only
after applying. Its state outlives `stop` and `start`, as a database would. What a test wants to go wrong it asks for.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc import aio

from infinireach.driver.v1.command_pb2 import CancelCommand, SendCommand, SendCommands
from infinireach.driver.v1.driver_service_pb2 import ConnectRequest, ConnectResponse
from infinireach.driver.v1.driver_service_pb2_grpc import (
    DriverServiceServicer,
    add_DriverServiceServicer_to_server,
)
from infinireach.driver.v1.fact_pb2 import CommandReport, Fact, InboundMessage
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
FLUSH_S = 1.0
"""How long the last frames of a stream may take."""
TOKEN = "irt_test"  # noqa: S105 - known to every test
OPEN = ""
"""The state of a command without a result."""


@dataclass(slots=True)
class StubCommand:
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


class _Session:
    """One stream."""

    def __init__(self, hello: Hello, epoch: int) -> None:
        self.hello = hello
        self.epoch = epoch
        self.out: asyncio.Queue[ConnectResponse | None] = asyncio.Queue()
        """Frames to write; None ends the writer."""
        self.is_reconciled = False
        self.is_silent = False
        self.end: asyncio.Future[tuple[grpc.StatusCode, str]] = asyncio.get_running_loop().create_future()

    def fail(self, code: grpc.StatusCode, reason: str) -> None:
        if not self.end.done():
            self.end.set_result((code, reason))


class StubCore(DriverServiceServicer):
    """A core for one driver."""

    def __init__(
        self, *, token: str = TOKEN, heartbeat_interval_s: float = 5.0, heartbeat_timeout_s: float = 25.0
    ) -> None:
        self.commands: dict[str, StubCommand] = {}
        self.hellos: list[Hello] = []
        self.goodbyes: list[Goodbye] = []
        self.inbound: list[InboundMessage] = []
        self.facts: list[Fact] = []
        """Every fact that was applied, once each."""
        self.repeated_facts = 0
        """Facts that came again and changed nothing."""
        self.heartbeats = 0
        self.acknowledges = True
        """False: facts are applied and not acknowledged."""
        self.ignores_windows = False
        self.unacknowledged_facts_max = 1000
        self.unacknowledged_facts_seen = 0
        """The most facts that were ever in flight while `acknowledges` was False."""
        self.address = ""
        self._token = token
        self._heartbeat_interval_s = heartbeat_interval_s
        self._heartbeat_timeout_s = heartbeat_timeout_s
        self._server: aio.Server | None = None
        self._session: _Session | None = None
        self._epoch = 0
        self._journal_id = ""
        self._applied = 0
        self._acknowledged = 0
        self._changed = asyncio.Condition()

    # Life.

    async def start(self) -> str:
        """Listen, at the same address as before if there was one; the address."""
        server = aio.server(options=[("grpc.so_reuseport", 0)])
        add_DriverServiceServicer_to_server(self, server)
        port = server.add_insecure_port(self.address or "127.0.0.1:0")
        self.address = f"127.0.0.1:{port}"
        await server.start()
        self._server = server
        return self.address

    async def stop(self) -> None:
        """Be gone at once; every stream breaks."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop(0)

    async def until(self, condition: Callable[[], bool], *, timeout_s: float = 20.0) -> None:
        """Wait until the condition holds; it is looked at whenever something came from the driver."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(condition)

    # What a test asks for.

    @property
    def is_connected(self) -> bool:
        """A driver has said hello and its stream is open."""
        return self._session is not None

    def offer(self, commands: Iterable[SendCommand]) -> None:
        """Accept commands for the driver; they are sent as its windows allow."""
        for command in commands:
            self.commands[command.command_id] = StubCommand(command)
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

    def fall_silent(self) -> None:
        """Write nothing more to the open stream, as on a link that is half open."""
        if self._session is not None:
            self._session.is_silent = True

    def break_stream(self, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE, reason: str = "TEST") -> None:
        """End the open stream with this status."""
        if self._session is not None:
            self._session.fail(code, reason)

    def acknowledge(self) -> None:
        """Acknowledge everything that was applied."""
        self._acknowledged = self._applied
        self._say(ConnectResponse(acknowledge=Acknowledge()))

    def states(self) -> dict[str, str]:
        """The state of each command by its id."""
        return {command_id: command.state for command_id, command in self.commands.items()}

    # The stream.

    async def Connect(  # noqa: N802 - the service's name for it
        self, request_iterator: object, context: aio.ServicerContext[ConnectRequest, ConnectResponse]
    ) -> None:
        """Serve one stream until it breaks, or until a newer one supersedes it."""
        metadata = dict(context.invocation_metadata() or ())
        if metadata.get("authorization") != f"Bearer {self._token}":
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such driver token")
        first = await context.read()
        if not isinstance(first, ConnectRequest) or first.WhichOneof("frame") != "hello":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "hello comes first")
            return
        session = await self._open(first.hello)
        reader = asyncio.create_task(self._read(context, session), name="stub reader")
        writer = asyncio.create_task(self._write(context, session), name="stub writer")
        try:
            await asyncio.wait([reader, writer, session.end], return_when=asyncio.FIRST_COMPLETED)
        finally:
            # A write that is cut off would still be under way when the status is to be written.
            session.out.put_nowait(None)
            await asyncio.wait([writer], timeout=FLUSH_S)
            for task in (reader, writer):
                task.cancel()
            await asyncio.wait([reader, writer])
            if self._session is session:
                self._session = None
            await self._notify()
        if session.end.done():
            code, reason = session.end.result()
            await context.abort(code, reason, trailing_metadata=_details(code, reason))

    async def _open(self, hello: Hello) -> _Session:
        if self._session is not None:
            self._session.fail(grpc.StatusCode.ABORTED, "SESSION_SUPERSEDED")
        self._epoch += 1
        session = _Session(hello, self._epoch)
        self.hellos.append(hello)
        if hello.journal_id != self._journal_id:
            for command in self.commands.values():
                if command.is_offered and command.state == OPEN:
                    command.state = "outcome_unknown"
            self._journal_id, self._applied, self._acknowledged = hello.journal_id, 0, 0
        self._session = session
        held = {o.command_id for o in hello.open_commands if o.phase == OpenCommand.PHASE_HELD}
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
        await self._notify()
        return session

    async def _read(
        self, context: aio.ServicerContext[ConnectRequest, ConnectResponse], session: _Session
    ) -> None:
        while isinstance(frame := await context.read(), ConnectRequest):
            if self._session is not session:
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
                    session.fail(grpc.StatusCode.INVALID_ARGUMENT, "UNEXPECTED_FRAME")
            await self._notify()

    async def _write(
        self, context: aio.ServicerContext[ConnectRequest, ConnectResponse], session: _Session
    ) -> None:
        while (frame := await session.out.get()) is not None:
            if not session.is_silent:
                await context.write(frame)

    def _apply(self, session: _Session, facts: Iterable[Fact]) -> None:
        for fact in facts:
            if fact.sequence <= self._applied:
                self.repeated_facts += 1
                continue
            if fact.sequence != self._applied + 1:
                session.fail(grpc.StatusCode.DATA_LOSS, "FACT_GAP")
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

    def _reconcile(self, session: _Session) -> None:
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
        session = self._session
        if session is None or not session.is_reconciled:
            return
        room = {device.key: device.window for device in session.hello.devices}
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
        if self._session is not None:
            frame.acknowledged_sequence = self._acknowledged
            self._session.out.put_nowait(frame)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _details(code: grpc.StatusCode, reason: str) -> tuple[tuple[str, bytes], ...]:
    """The machine-readable reason, where gRPC puts it."""
    detail = AnyMessage()
    detail.Pack(ErrorInfo(reason=reason, domain="infinireach"))
    status = Status(code=code.value[0], message=reason, details=[detail])
    return (("grpc-status-details-bin", status.SerializeToString()),)


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
