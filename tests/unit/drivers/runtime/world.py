"""A driver, its network and a core in one thread, joined by links that a seed delays, cuts and crashes.

The driver's protocol and journal are the real ones, the journal in memory; the core is the contract kit's model.
Every step is one choice of the seed, so a failure is repeated by its seed alone.
"""

import random
from collections import Counter, deque
from dataclasses import dataclass, field

from google.protobuf.timestamp_pb2 import Timestamp

from drivers.runtime.commands import Group, SendingLimits
from drivers.runtime.contract_kit.core_model import OPEN, CoreModel, ModelSession
from drivers.runtime.journal import Journal, JournalUnwritable
from drivers.runtime.outcomes import Delivered, Failed, Outcome, Submitted, Unknown
from drivers.runtime.protocol import FENCE_S, DriverProtocol
from drivers.runtime.records import Batch, Committed, PendingFact
from drivers.runtime.session import Identity
from infinireach.driver.v1.command_pb2 import SendCommand, TextContent
from infinireach.driver.v1.driver_service_pb2 import ConnectRequest, ConnectResponse
from infinireach.driver.v1.fact_pb2 import Fact, InboundMessage
from infinireach.driver.v1.session_pb2 import CAPABILITY_CANCEL, DeviceDescription
from infinireach.v1.message_pb2 import FAILURE_REASON_NETWORK_REJECTED, FAILURE_REASON_NO_SERVICE

DEVICES = ("a", "b")
WINDOW = 6
START_NS = 1_700_000_000 * 10**9


class SetClock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.set_by_s = 0.0
        """By how much somebody has set the wall clock since."""

    def monotonic(self) -> float:
        return self.now_s

    def wall_ns(self) -> int:
        return START_NS + int((self.now_s + self.set_by_s) * 1e9)


@dataclass
class Link:
    """One stream: what is under way in both directions, and which end still believes in it."""

    up: deque[ConnectRequest] = field(default_factory=deque[ConnectRequest])
    down: deque[ConnectResponse] = field(default_factory=deque[ConnectResponse])
    session: ModelSession | None = None


class Waiter:
    """Counts what was written and what was refused."""

    def __init__(self, world: "World", text: str) -> None:
        self._world = world
        self._text = text

    def journalled(self, sequence: int) -> None:
        self._world.texts_journalled.append(self._text)

    def refused(self, error: Exception) -> None:
        self._world.texts_refused.append(self._text)


class World:
    """Everything, and the choices of one seed."""

    def __init__(
        self, seed: int, *, protocol_class: type[DriverProtocol] = DriverProtocol, groups_at_once: int = 1
    ) -> None:
        self.random = random.Random(seed)
        self.clock = SetClock()
        self.core = CoreModel()
        self.core.unacknowledged_facts_max = self.random.choice((1, 3, 1000))
        self.taken: Counter[str] = Counter()
        self.texts_journalled: list[str] = []
        self.texts_refused: list[str] = []
        self.heard_at = -FENCE_S
        self.journal = Journal(None, horizon_s=1e9, settled_commands_max=10**9)
        self._protocol_class = protocol_class
        self._limits = SendingLimits(groups_at_once, self.random.choice((1, 3)))
        self._instances = 0
        self._offered = 0
        self._inbound = 0
        self.boot()

    # The driver's process.

    def boot(self) -> None:
        """Start the process anew from what the journal holds."""
        self._instances += 1
        identity = Identity("sim", "sim", "1", str(self._instances), (CAPABILITY_CANCEL,))
        self.driver = self._protocol_class(
            identity, self.journal.state(), limits=self._limits, clock=self.clock
        )
        self.driver.devices = [DeviceDescription(key=key, window=WINDOW) for key in DEVICES]
        self.unresolved = list(self.driver.unresolved)
        self.sending: list[Group] = []
        self.link: Link | None = None
        self.heard_at = -FENCE_S

    def crash(self) -> None:
        """Kill the process; what was under way to the core may still arrive."""
        self.boot()

    def write_journal(self) -> None:
        """One transaction, which the disk may refuse and during which the process may die."""
        batch = self.driver.take_batch()
        if batch is None:
            wanted = self.driver.facts.wanted()
            if wanted is not None:
                self.driver.facts.loaded(
                    self.journal.facts_after(wanted, count_max=self.random.randint(1, 5))
                )
            return None
        fate = self.random.random()
        if fate < 0.03:
            return self.crash()
        if fate < 0.08:
            return self.driver.not_committed(JournalUnwritable("full"))
        committed = self.commit(batch)
        if fate < 0.12:
            return self.crash()
        if fate < 0.15:
            self.clock.now_s += 2 * FENCE_S
        self.driver.committed(committed)
        for group in self.driver.take_groups():
            assert self.clock.now_s - self.heard_at < FENCE_S, "started behind the fence"
            self.sending.append(group)
        return None

    def commit(self, batch: Batch) -> Committed:
        """Where a planted mistake can get in."""
        return self.journal.commit(batch, now_s=self.clock.now_s)

    def send(self) -> None:
        """The network takes a group, command by command; the process may die at any of them."""
        if not self.sending:
            return
        group = self.sending.pop(self.random.randrange(len(self.sending)))
        for command in group.commands:
            outcome = self._network_takes(command)
            if self.random.random() < 0.03:
                self.crash()
                return
            if isinstance(outcome, Submitted) and self.random.random() < 0.2:
                self.driver.report(command.command_id, Delivered())
            self.driver.settle(command.command_id, outcome)
        self.driver.finish_group(group.device_key)

    def _network_takes(self, command: SendCommand) -> Outcome:
        fate = self.random.random()
        if fate < 0.1:
            return Failed(FAILURE_REASON_NETWORK_REJECTED)
        self.taken[command.command_id] += 1
        return Unknown("no answer") if fate < 0.15 else Submitted(("1",))

    def resolve(self) -> None:
        """Say that nobody knows what became of a command that an earlier process had started."""
        if self.unresolved:
            self.driver.settle(self.unresolved.pop().command_id, Unknown("cut off"))

    def go_down(self) -> None:
        """A device goes down and gives back what waits for it, or is up again."""
        device_key = self.random.choice(DEVICES)
        is_down = self.random.random() < 0.5
        self.driver.pause(device_key, paused=is_down)
        if is_down:
            self.driver.give_back(device_key, Failed(FAILURE_REASON_NO_SERVICE))

    def come_in(self) -> None:
        """A message comes in from the network."""
        self._inbound += 1
        text = f"text {self._inbound}"
        fact = Fact(inbound_message=InboundMessage(text=text))
        self.driver.add_fact(PendingFact(fact, waiter=Waiter(self, text), refusable=True))

    # The link.

    def connect(self) -> None:
        """Open a stream; the driver waits for its journal first."""
        if self.link is None and not self.driver.is_writing:
            self.link = Link()
            self.driver.connected()

    def lose_link(self) -> None:
        """The driver loses its stream. The core learns of it when the next one opens, or at once."""
        if self.link is None:
            return
        if self.link.session is not None and self.random.random() < 0.5:
            self.core.close(self.link.session)
        self.link = None
        self.driver.disconnected()

    def push(self) -> None:
        """The driver writes a frame to its stream."""
        if self.link is not None and (frame := self.driver.next_frame()) is not None:
            self.link.up.append(copied(frame))

    def carry_up(self) -> None:
        """The core reads a frame."""
        link = self.link
        if link is None or not link.up:
            return
        frame = link.up.popleft()
        if link.session is None:
            link.session = self.core.open(frame.hello)
        else:
            self.core.receive(link.session, frame)
        assert link.session.fault is None, f"the core ends the stream: {link.session.fault}"

    def carry_down(self) -> None:
        """The driver reads a frame."""
        link = self.link
        if link is None or link.session is None or not link.session.out:
            return
        self.heard_at = self.clock.now_s
        frame = link.session.out.popleft()
        frame = ConnectResponse.FromString(frame.SerializeToString())
        self.driver.receive(frame)

    # The core's side.

    def offer(self) -> None:
        """The core accepts a message, some with a deadline that is close."""
        self._offered += 1
        command = SendCommand(
            command_id=f"c{self._offered}",
            device_key=self.random.choice(DEVICES),
            text=TextContent(body="hello", segments=1),
        )
        if self.random.random() < 0.2:
            seconds = self.clock.wall_ns() // 10**9 + self.random.randint(-1, 40)
            command.not_after.CopyFrom(Timestamp(seconds=seconds))
        self.core.offer([command])

    def offer_again(self) -> None:
        """The core repeats itself, which it should not."""
        candidates = [command_id for command_id, entry in self.core.commands.items() if entry.is_offered]
        if candidates:
            self.core.offer_again(self.random.choice(candidates))

    def cancel(self) -> None:
        """The core asks to give a command up."""
        candidates = [command_id for command_id, entry in self.core.commands.items() if entry.is_offered]
        if candidates:
            self.core.cancel(self.random.choice(candidates))

    def acknowledge_or_not(self) -> None:
        """The core holds its acknowledgements back, or gives them."""
        self.core.acknowledges = self.random.random() < 0.7
        if self.core.acknowledges:
            self.core.acknowledge()

    def pass_time(self) -> None:
        """Mostly a moment, sometimes so long that the fence closes."""
        self.clock.now_s += self.random.choice((0.1, 1.0, 1.0, FENCE_S + 1))
        self.driver.tick()

    # Runs.

    def step(self) -> None:
        """One choice."""
        usual = (self.write_journal, self.push, self.carry_up, self.carry_down, self.send, self.connect)
        rare = (
            self.offer, self.offer, self.come_in, self.resolve, self.pass_time, self.lose_link,
            self.offer_again, self.cancel, self.acknowledge_or_not, self.go_down,
        )  # fmt: skip
        self.random.choice(usual if self.random.random() < 0.85 else rare)()
        if self.random.random() < 0.002:
            self.crash()

    def heal(self) -> None:
        """No more faults: everything has to come to its end."""
        self.random.random = lambda: 0.99
        self.core.acknowledges = True
        self.core.acknowledge()
        for device_key in DEVICES:
            self.driver.pause(device_key, paused=False)
        for _ in range(5000):
            for action in (
                self.resolve, self.connect, self.push, self.carry_up, self.carry_down, self.write_journal, self.send,
            ):  # fmt: skip
                action()
            self.clock.now_s += 0.01
            self.driver.tick()
            if self.is_at_rest():
                return
        raise AssertionError(f"no progress: {self.core.states()}")

    def is_at_rest(self) -> bool:
        """Everything offered is settled, the core has every fact and nothing is under way."""
        return (
            OPEN not in self.core.states().values()
            and self.driver.is_settled()
            and not self.driver.is_sending()
            and not self.unresolved
        )

    def check(self) -> None:
        """What must hold in the end."""
        for command_id, entry in self.core.commands.items():
            times = self.taken[command_id]
            assert times <= 1, f"{command_id} was sent {times} times"
            if entry.state in ("submitted", "delivered"):
                assert times == 1, f"{command_id} is {entry.state} and was never sent"
            if entry.state in ("cancelled", "failed"):
                assert times == 0, f"{command_id} is {entry.state} and was sent"
        assert [fact.sequence for fact in self.core.facts] == list(range(1, len(self.core.facts) + 1))
        arrived = Counter(message.text for message in self.core.inbound)
        for text in self.texts_journalled:
            assert arrived[text] == 1, f"{text!r} was journalled and came {arrived[text]} times"
        assert max(arrived.values(), default=0) <= 1
        assert not arrived.keys() & set(self.texts_refused), "refused and reported all the same"
        assert self.core.unacknowledged_facts_seen <= self.core.unacknowledged_facts_max


def copied(frame: ConnectRequest) -> ConnectRequest:
    """The frame as it comes out at the other end."""
    return ConnectRequest.FromString(frame.SerializeToString())
