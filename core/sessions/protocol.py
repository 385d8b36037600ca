"""The core's end of the driver protocol: frames in, frames and effects out.

Rules of this file: no I/O, no waiting, no storage; time comes in as an argument. Whoever drives it (the session over
gRPC, or a simulation) carries out the effects and reports their results. The protocol itself is specified in
proto/infinireach/driver/v1/driver_service.proto; the rule numbers below are that file's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from google.protobuf.duration_pb2 import Duration

from core.dispatch import Command, ReadyDevice, Reconciled
from core.driver_sessions import Hello, OpenedSession
from core.errors import (
    FactNotApplicable,
    HelloMissing,
    ProtocolViolation,
    ReplayTimeout,
    SequenceGap,
    SilentTooLong,
)
from core.fact_values import DeviceChange, DriverFacts, Fact, Report
from core.facts import Applied
from core.sessions.frames import read_facts, read_hello, write_commands
from infinireach.driver.v1 import driver_service_pb2, session_pb2

Frame = driver_service_pb2.ConnectResponse


OWN_CAPABILITIES = (
    session_pb2.CAPABILITY_DELIVERY_REPORTS,
    session_pb2.CAPABILITY_INBOUND,
    session_pb2.CAPABILITY_IDEMPOTENT_SUBMIT,
    session_pb2.CAPABILITY_CANCEL,
)
"""What the core can do; agreed are those of them that the driver has too."""


HELLO_BYTES_MAX = 4 * 1024 * 1024
"""Largest hello: it comes before Welcome says a limit, and lists every device and every open command."""


class Phase(StrEnum):
    """How far a session is."""

    EXPECTING_HELLO = "expecting_hello"
    OPENING = "opening"
    REPLAYING = "replaying"
    RECONCILING = "reconciling"
    LIVE = "live"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """What Welcome announces."""

    heartbeat_interval_s: float
    heartbeat_timeout_s: float
    replay_timeout_s: float
    frame_bytes_max: int
    unacknowledged_facts_max: int


@dataclass(slots=True)
class Effects:
    """What to do now: write `frames`; open the session; apply facts; reconcile. `left`: the driver said goodbye."""

    frames: list[Frame] = field(default_factory=list)
    hello: Hello | None = None
    facts: DriverFacts | None = None
    reconcile: bool = False
    left: bool = False


class SessionProtocol:
    """One session from hello to its end. Methods raise ProtocolViolation when the driver broke a rule."""

    def __init__(self, limits: SessionLimits, *, tenant_id: str, token_id: str, now_s: float) -> None:
        self._limits = limits
        self._tenant_id = tenant_id
        self._token_id = token_id
        self.phase = Phase.EXPECTING_HELLO
        self.driver_id = ""
        self.epoch = 0
        self.acknowledged = 0
        self.open_commands: tuple[str, ...] = ()
        self.unknown_frames = 0
        self._capabilities: list[session_pb2.Capability] = []
        self._keys: dict[str, str] = {}
        self._device_ids: dict[str, str] = {}
        self._windows: dict[str, int] = {}
        self._open: dict[str, str] = {}
        self._open_count: dict[str, int] = {}
        self._next_sequence = 0
        self._replay_until = 0
        self._heard_s = self._spoke_s = self._opened_s = now_s

    @property
    def device_ids(self) -> list[str]:
        """The devices of this session."""
        return list(self._keys)

    def receive(self, frame: driver_service_pb2.ConnectRequest, now_s: float) -> Effects:
        """A frame came in."""
        self._heard_s = now_s
        size = frame.ByteSize()
        size_max = HELLO_BYTES_MAX if self.phase is Phase.EXPECTING_HELLO else self._limits.frame_bytes_max
        if size > size_max:
            raise ProtocolViolation(f"A frame of {size} bytes; at most {size_max} are allowed.")
        kind = frame.WhichOneof("frame")
        if self.phase is Phase.EXPECTING_HELLO:
            return self._receive_hello(frame, kind)
        match kind:
            case "hello":
                raise HelloMissing("Hello was said already.")
            case "facts":
                return self._receive_facts(read_facts(frame.facts), size)
            case "goodbye":
                return Effects(left=True)
            case "accepted" | "heartbeat":
                return Effects()
            case _:  # rule 9
                self.unknown_frames += 1
                return Effects()

    def _receive_hello(self, frame: driver_service_pb2.ConnectRequest, kind: str | None) -> Effects:
        if kind != "hello":
            raise HelloMissing
        hello = read_hello(frame.hello, tenant_id=self._tenant_id, token_id=self._token_id)
        self.phase = Phase.OPENING
        self._replay_until = hello.last_sequence
        self.open_commands = hello.open_commands
        self._capabilities = [c for c in OWN_CAPABILITIES if c in frame.hello.capabilities]
        return Effects(hello=hello)

    def opened(self, opened: OpenedSession, now_s: float) -> Effects:
        """The session is open in the database."""
        self.phase = Phase.REPLAYING
        self._opened_s = self._heard_s = self._spoke_s = now_s
        self.driver_id, self.epoch = opened.driver_id, opened.epoch
        self.acknowledged = opened.resume_after
        self._next_sequence = opened.resume_after + 1
        self._keys = dict(opened.keys)
        self._device_ids = {key: device_id for device_id, key in opened.keys.items()}
        self._windows = dict(opened.windows)
        effects = Effects(frames=[self._welcome(opened)])
        return self._after_progress(effects)

    def _welcome(self, opened: OpenedSession) -> Frame:
        refused = [
            session_pb2.DeviceRefusal(
                device_key=refusal.device_key, number=refusal.number, detail=refusal.detail
            )
            for refusal in opened.refusals
        ]
        welcome = session_pb2.Welcome(
            epoch=self.epoch,
            resume_after_sequence=opened.resume_after,
            heartbeat_interval=_duration(self._limits.heartbeat_interval_s),
            heartbeat_timeout=_duration(self._limits.heartbeat_timeout_s),
            frame_bytes_max=self._limits.frame_bytes_max,
            unacknowledged_facts_max=self._limits.unacknowledged_facts_max,
            capabilities=self._capabilities,
            drop_command_ids=opened.drop_commands,
            refused_devices=refused,
        )
        return Frame(welcome=welcome)

    def _receive_facts(self, facts: Sequence[Fact], size: int) -> Effects:
        fresh = []
        for fact in facts:
            if fact.sequence < self._next_sequence:  # rule 2: acknowledged again, changes nothing
                continue
            if fact.sequence > self._next_sequence:
                raise SequenceGap(f"Expected fact {self._next_sequence}, got {fact.sequence}.")
            self._next_sequence += 1
            is_replayed_change = isinstance(fact, DeviceChange) and fact.sequence <= self._replay_until
            fresh.append(replace(fact, is_replayed=True) if is_replayed_change else fact)
        if not fresh:
            return Effects(frames=[Frame(acknowledge=session_pb2.Acknowledge())])
        return Effects(facts=DriverFacts(self.driver_id, self.epoch, fresh, size))

    def applied(self, facts: Sequence[Fact], applied: Applied) -> Effects:
        """Facts are committed. Raises FactNotApplicable after one was kept aside; its frames come first."""
        for fact in facts:
            if isinstance(fact, Report) and fact.command_id not in applied.unsettled:
                self._close_command(fact.command_id)
            elif (
                isinstance(fact, DeviceChange)
                and fact.device_key in self._device_ids
                and not fact.is_replayed
            ):
                self._windows[self._device_ids[fact.device_key]] = fact.window
        self.acknowledged = max(self.acknowledged, applied.acknowledged)
        frames = [
            Frame(
                fact_rejected=session_pb2.FactRejected(
                    sequence=rejection.sequence, reason=rejection.reason, detail=rejection.detail
                )
            )
            for rejection in applied.rejected
        ]
        return self._after_progress(Effects(frames=frames))

    def verdict(self, applied: Applied) -> None:
        """Raises FactNotApplicable if a fact was kept aside: the driver is told, then its stream ends."""
        if applied.rejected:
            raise FactNotApplicable(f"{applied.rejected[0].reason}: {applied.rejected[0].detail}")

    def _after_progress(self, effects: Effects) -> Effects:
        if self.phase is Phase.REPLAYING and self.acknowledged >= self._replay_until:
            self.phase = Phase.RECONCILING
            effects.reconcile = True
        return effects

    def reconciled(self, result: Reconciled) -> Effects:
        """The database and the driver agree on what is open; commands may flow."""
        for device_id, command_ids in result.held.items():
            for command_id in command_ids:
                self._open_command(command_id, device_id)
        self.phase = Phase.LIVE
        self.open_commands = ()
        return Effects(frames=write_commands(result.offer, self._keys))

    def offer(self, commands: Sequence[Command]) -> list[Frame]:
        """Commands that were claimed for this session."""
        for command in commands:
            self._open_command(command.command_id, command.device_id)
        return write_commands(commands, self._keys)

    def free(self, device_id: str) -> int:
        """How many more commands the device takes now: its absolute window less what is unsettled (rule 5)."""
        if self.phase is not Phase.LIVE:
            return 0
        return max(self._windows.get(device_id, 0) - self._open_count.get(device_id, 0), 0)

    def ready(self, device_id: str) -> ReadyDevice | None:
        """The device as the dispatcher wants it, if it takes anything."""
        free = self.free(device_id)
        return ReadyDevice(device_id, self.driver_id, self.epoch, free) if free else None

    def tick(self, now_s: float) -> list[Frame]:
        """Time passed. Raises SilentTooLong, ReplayTimeout."""
        if self.phase in (Phase.EXPECTING_HELLO, Phase.OPENING):  # rule 1: nothing comes before Welcome
            return []
        timeout_s = self._limits.heartbeat_timeout_s
        if now_s - self._heard_s > timeout_s:
            raise SilentTooLong(f"Nothing was heard of the driver for {now_s - self._heard_s:.0f} s.")
        if now_s - self._spoke_s > timeout_s + self._limits.heartbeat_interval_s:
            raise SilentTooLong(f"The driver has read nothing for {now_s - self._spoke_s:.0f} s.")
        if self.phase is Phase.REPLAYING and now_s - self._opened_s > self._limits.replay_timeout_s:
            raise ReplayTimeout
        if now_s - self._spoke_s >= self._limits.heartbeat_interval_s:
            return [Frame(heartbeat=session_pb2.Heartbeat())]
        return []

    def idle_s(self, now_s: float) -> float:
        """For how long `tick` has nothing to do at least; whatever happens meanwhile makes it longer, not shorter.

        0 before Welcome, when that is not known yet.
        """
        if self.phase in (Phase.EXPECTING_HELLO, Phase.OPENING):
            return 0.0
        due_s = min(
            self._spoke_s + self._limits.heartbeat_interval_s,
            self._heard_s + self._limits.heartbeat_timeout_s,
        )
        if self.phase is Phase.REPLAYING:
            due_s = min(due_s, self._opened_s + self._limits.replay_timeout_s)
        return max(due_s - now_s, 0.0)

    def spoke(self, now_s: float) -> None:
        """A frame was written."""
        self._spoke_s = now_s

    def drain(self, reason: str, grace_s: float) -> list[Frame]:
        """The core will stop: no more commands."""
        self.phase = Phase.DRAINING
        return [Frame(drain=session_pb2.Drain(reason=reason, grace_period=_duration(grace_s)))]

    def _open_command(self, command_id: str, device_id: str) -> None:
        if command_id not in self._open:
            self._open[command_id] = device_id
            self._open_count[device_id] = self._open_count.get(device_id, 0) + 1

    def _close_command(self, command_id: str) -> None:
        device_id = self._open.pop(command_id, None)
        if device_id is not None:
            self._open_count[device_id] -= 1


def _duration(seconds: float) -> Duration:
    return Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))
