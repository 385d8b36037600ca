"""The driver's protocol on a desk: a test plays the core and the driver, and commits when it likes."""

from collections.abc import Sequence

from drivers.runtime.commands import Group, SendingLimits
from drivers.runtime.journal import Journal
from drivers.runtime.protocol import DriverProtocol
from drivers.runtime.records import PendingFact, Waiter
from drivers.runtime.session import Identity
from infinireach.driver.v1.command_pb2 import SendCommand, SendCommands, TextContent
from infinireach.driver.v1.driver_service_pb2 import ConnectRequest, ConnectResponse
from infinireach.driver.v1.fact_pb2 import CommandReport, Fact, InboundMessage
from infinireach.driver.v1.session_pb2 import CAPABILITY_CANCEL, DeviceDescription, Welcome
from tests.unit.drivers.runtime.world import SetClock


class Desk:
    """A protocol with its journal and clock; the test plays core and driver."""

    def __init__(self, *, groups_at_once: int = 1, group_commands_max: int = 100) -> None:
        self.clock = SetClock()
        self.journal = Journal(None, horizon_s=1e9, settled_commands_max=10**9)
        self._limits = SendingLimits(groups_at_once, group_commands_max)
        self.boot()

    def boot(self) -> None:
        identity = Identity("name", "kind", "1", "instance", (CAPABILITY_CANCEL,))
        self.protocol = DriverProtocol(identity, self.journal.state(), limits=self._limits, clock=self.clock)
        self.protocol.devices = [DeviceDescription(key="phone", window=3)]

    def say(self, acknowledged: int = 0, **frame: object) -> None:
        self.protocol.receive(ConnectResponse(acknowledged_sequence=acknowledged, **frame))  # pyright: ignore[reportArgumentType]

    def connect(self, **welcome: object) -> ConnectRequest:
        """Open a stream up to the welcome; the hello."""
        self.protocol.connected()
        hello = self.frame()
        self.say(welcome=Welcome(epoch=1, **welcome))  # pyright: ignore[reportArgumentType]
        return hello

    def offer(self, *commands: SendCommand | str) -> None:
        sent = [command(c) if isinstance(c, str) else c for c in commands]
        self.say(send_commands=SendCommands(commands=sent))

    def commit(self) -> list[Group]:
        """Write until nothing waits; the groups that were to be handed over."""
        groups: list[Group] = []
        while (batch := self.protocol.take_batch()) is not None:
            self.protocol.committed(self.journal.commit(batch, now_s=0))
            groups += self.protocol.take_groups()
        return groups

    def frame(self) -> ConnectRequest:
        frame = self.protocol.next_frame()
        assert frame is not None
        return frame

    def frames(self) -> list[ConnectRequest]:
        frames: list[ConnectRequest] = []
        while (frame := self.protocol.next_frame()) is not None:
            frames.append(ConnectRequest.FromString(frame.SerializeToString()))
        return frames

    def facts(self) -> list[Fact]:
        return [fact for frame in self.frames() for fact in frame.facts.facts]

    def reports(self) -> list[CommandReport]:
        return [fact.command_report for fact in self.facts()]

    def open_commands(self) -> dict[str, int]:
        """What a hello would list."""
        return {entry.command_id: entry.phase for entry in self.connect().hello.open_commands}


def command(command_id: str, *, not_after_s: float | None = None, device_key: str = "phone") -> SendCommand:
    content = TextContent(body="hello", segments=1)
    built = SendCommand(command_id=command_id, device_key=device_key, text=content)
    if not_after_s is not None:
        built.not_after.FromNanoseconds(int(not_after_s * 1e9))
    return built


def ids(groups: Sequence[Group]) -> list[list[str]]:
    return [[entry.command_id for entry in group.commands] for group in groups]


def inbound(text: str, *, refusable: bool = False, waiter: Waiter | None = None) -> PendingFact:
    return PendingFact(Fact(inbound_message=InboundMessage(text=text)), refusable=refusable, waiter=waiter)
