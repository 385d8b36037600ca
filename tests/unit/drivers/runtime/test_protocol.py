"""The driver's end of the stream, rule by rule, without I/O."""

from collections.abc import Sequence

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from drivers.runtime.commands import Group, SendingLimits
from drivers.runtime.journal import Journal, JournalUnwritable
from drivers.runtime.outcomes import Delivered, Submitted, Unknown
from drivers.runtime.protocol import FENCE_S, DriverProtocol
from drivers.runtime.session import HEARTBEAT_TIMEOUT_S, WELCOME_TIMEOUT_S, Identity
from infinireach.driver.v1.command_pb2 import CancelCommand, SendCommand, SendCommands, TextContent
from infinireach.driver.v1.driver_service_pb2 import ConnectRequest, ConnectResponse
from infinireach.driver.v1.fact_pb2 import CommandReport, Fact, InboundMessage
from infinireach.driver.v1.session_pb2 import (
    CAPABILITY_CANCEL,
    Acknowledge,
    DeviceDescription,
    Drain,
    OpenCommand,
    Welcome,
)
from infinireach.v1.message_pb2 import FAILURE_REASON_EXPIRED
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


@pytest.fixture
def desk() -> Desk:
    return Desk()


def inbound(text: str) -> Fact:
    return Fact(inbound_message=InboundMessage(text=text))


# Opening.


def test_hello_comes_first_and_nothing_follows_before_the_welcome(desk: Desk) -> None:
    desk.protocol.add_fact(inbound("hi"))
    desk.commit()
    desk.protocol.connected()
    (hello,) = desk.frames()
    assert hello.hello.driver_name == "name"
    assert hello.hello.first_unacknowledged_sequence == 1
    assert hello.hello.last_sequence == 1
    assert [device.key for device in hello.hello.devices] == ["phone"]
    desk.say(welcome=Welcome(epoch=1))
    assert [fact.sequence for fact in desk.facts()] == [1]


def test_hello_lists_what_the_journal_holds_and_how_far_it_is(desk: Desk) -> None:
    desk.connect()
    desk.offer(*(command(f"c{number}") for number in range(101)))
    desk.commit()
    desk.protocol.disconnected()
    phases = desk.open_commands()
    assert len(phases) == 101
    assert phases["c0"] == OpenCommand.PHASE_STARTED
    assert phases["c100"] == OpenCommand.PHASE_HELD


def test_command_with_a_result_that_is_not_yet_journalled_is_listed_as_started(desk: Desk) -> None:
    desk.connect()
    desk.offer("a")
    desk.commit()
    desk.protocol.settle("a", Submitted())
    desk.protocol.disconnected()
    assert desk.open_commands() == {"a": OpenCommand.PHASE_STARTED}


def test_stream_cannot_open_while_a_batch_is_out(desk: Desk) -> None:
    desk.protocol.add_fact(inbound("hi"))
    assert desk.protocol.take_batch() is not None
    with pytest.raises(ValueError, match="batch is out"):
        desk.protocol.connected()


def test_facts_after_the_one_that_the_core_names_are_sent_again_from_the_journal(desk: Desk) -> None:
    for number in range(5):
        desk.protocol.add_fact(inbound(str(number)))
    desk.commit()
    desk.connect()
    assert len(desk.facts()) == 5
    desk.protocol.disconnected()
    desk.connect(resume_after_sequence=2)
    assert desk.facts() == []
    assert desk.protocol.facts.wanted() == 2
    desk.protocol.facts.loaded(desk.journal.facts_after(2, count_max=10))
    assert [fact.sequence for fact in desk.facts()] == [3, 4, 5]


def test_facts_read_for_a_stream_that_has_ended_are_left_out(desk: Desk) -> None:
    for number in range(5):
        desk.protocol.add_fact(inbound(str(number)))
    desk.commit()
    desk.connect()
    assert len(desk.facts()) == 5
    desk.protocol.disconnected()
    desk.connect()
    late = desk.journal.facts_after(0, count_max=2)
    desk.protocol.disconnected()
    desk.connect(resume_after_sequence=3)
    desk.protocol.facts.loaded(late)
    assert desk.facts() == []


def test_facts_that_were_never_sent_go_up_from_memory(desk: Desk) -> None:
    for number in range(5):
        desk.protocol.add_fact(inbound(str(number)))
    desk.commit()
    desk.connect(resume_after_sequence=2)
    assert desk.protocol.facts.wanted() is None
    assert [fact.sequence for fact in desk.facts()] == [3, 4, 5]


# Commands.


def test_command_is_journalled_before_it_is_handed_over(desk: Desk) -> None:
    desk.connect()
    desk.offer("a", "b")
    assert desk.protocol.take_groups() == []
    batch = desk.protocol.take_batch()
    assert batch is not None
    assert [entry.command_id for entry in batch.hold] == batch.start == ["a", "b"]
    assert desk.protocol.take_groups() == []
    desk.protocol.committed(desk.journal.commit(batch))
    assert ids(desk.protocol.take_groups()) == [["a", "b"]]


def test_commands_of_one_device_are_handed_over_one_group_at_a_time_in_their_order() -> None:
    desk = Desk(group_commands_max=2)
    desk.connect()
    desk.offer("a", "b", "c", command("x", device_key="other"))
    assert ids(desk.commit()) == [["a", "b"], ["x"]]
    assert desk.commit() == []
    desk.protocol.settle("a", Submitted())
    desk.protocol.settle("b", Submitted())
    desk.protocol.finish_group("phone")
    assert ids(desk.commit()) == [["c"]]


def test_command_is_named_as_accepted_unless_its_result_goes_up_first(desk: Desk) -> None:
    desk.connect()
    desk.offer("a", "b")
    desk.commit()
    assert desk.frames() == []
    desk.protocol.settle("a", Submitted())
    desk.commit()
    desk.protocol.tick()
    frames = desk.frames()
    assert [frame.WhichOneof("frame") for frame in frames] == ["facts", "accepted"]
    assert list(frames[1].accepted.command_ids) == ["b"]


def test_open_command_that_comes_again_is_accepted_again_and_not_handed_over_again(desk: Desk) -> None:
    desk.connect()
    desk.offer("a", "a")
    assert ids(desk.commit()) == [["a"]]
    desk.offer("a")
    assert desk.commit() == []
    desk.protocol.tick()
    assert {i for frame in desk.frames() for i in frame.accepted.command_ids} == {"a"}


def test_settled_command_that_comes_again_is_answered_with_its_result_once_the_core_had_it(
    desk: Desk,
) -> None:
    desk.connect()
    desk.offer("a")
    desk.commit()
    desk.protocol.settle("a", Submitted(("7",)))
    desk.commit()
    desk.offer("a")
    assert desk.commit() == []
    assert len(desk.reports()) == 1
    desk.say(acknowledged=1, acknowledge=Acknowledge())
    desk.offer("a")
    assert desk.commit() == []
    (again,) = desk.reports()
    assert list(again.submitted.segment_references) == ["7"]


def test_command_past_its_deadline_is_failed_and_not_handed_over(desk: Desk) -> None:
    desk.connect()
    now_s = desk.clock.wall_ns() / 1e9
    desk.offer(command("late", not_after_s=now_s - 1), command("good", not_after_s=now_s + 1))
    assert ids(desk.commit()) == [["good"]]
    (report,) = desk.reports()
    assert report.command_id == "late"
    assert report.failed.reason == FAILURE_REASON_EXPIRED


def test_command_whose_deadline_passes_while_the_device_is_busy_is_failed() -> None:
    desk = Desk(group_commands_max=1)
    desk.connect()
    desk.offer("busy", command("waits", not_after_s=desk.clock.wall_ns() / 1e9 + 5))
    assert ids(desk.commit()) == [["busy"]]
    desk.clock.now_s += 6
    desk.protocol.tick()
    desk.commit()
    (report,) = desk.reports()
    assert (report.command_id, report.WhichOneof("outcome")) == ("waits", "failed")
    desk.protocol.finish_group("phone")
    assert desk.commit() == []


def test_held_command_is_cancelled_and_a_started_one_is_not() -> None:
    desk = Desk(group_commands_max=1)
    desk.connect()
    desk.offer("started", "held")
    desk.commit()
    desk.say(cancel_command=CancelCommand(command_id="started"))
    desk.say(cancel_command=CancelCommand(command_id="held"))
    desk.commit()
    (report,) = desk.reports()
    assert (report.command_id, report.WhichOneof("outcome")) == ("held", "cancelled")
    desk.protocol.finish_group("phone")
    assert desk.commit() == []


def test_command_that_is_cancelled_before_it_comes_is_not_handed_over(desk: Desk) -> None:
    desk.connect()
    desk.say(cancel_command=CancelCommand(command_id="a"))
    desk.commit()
    desk.offer("a")
    assert desk.commit() == []
    assert {report.WhichOneof("outcome") for report in desk.reports()} == {"cancelled"}


def test_held_commands_that_the_core_has_settled_are_forgotten_and_started_ones_are_kept() -> None:
    desk = Desk(group_commands_max=1)
    desk.connect()
    desk.offer("started", "held")
    desk.commit()
    desk.protocol.disconnected()
    desk.connect(drop_command_ids=["started", "held"])
    desk.protocol.finish_group("phone")
    assert desk.commit() == []
    desk.protocol.settle("started", Submitted())
    desk.commit()
    assert [report.command_id for report in desk.reports()] == ["started"]
    assert desk.journal.state().open_commands == []


def test_second_result_is_one_more_report_and_no_second_settlement(desk: Desk) -> None:
    desk.connect()
    desk.offer("a")
    desk.commit()
    desk.protocol.report("a", Delivered())
    desk.protocol.settle("a", Submitted())
    desk.protocol.settle("a", Unknown())
    desk.commit()
    outcomes = [report.WhichOneof("outcome") for report in desk.reports()]
    assert outcomes == ["delivered", "submitted", "outcome_unknown"]
    desk.offer("a")
    desk.commit()
    desk.say(acknowledged=3, acknowledge=Acknowledge())
    desk.offer("a")
    desk.commit()
    assert [report.WhichOneof("outcome") for report in desk.reports()] == ["submitted"]


def test_paused_device_starts_nothing_until_it_goes_on(desk: Desk) -> None:
    desk.connect()
    desk.protocol.pause("phone", paused=True)
    desk.offer("a")
    assert desk.commit() == []
    assert [entry.started for entry in desk.journal.state().open_commands] == [False]
    desk.protocol.pause("phone", paused=False)
    assert ids(desk.commit()) == [["a"]]


# Start-up and the fence.


def test_after_a_restart_held_commands_wait_for_a_welcome_and_started_ones_for_a_verdict() -> None:
    desk = Desk(group_commands_max=1)
    desk.connect()
    desk.offer("started", "held")
    desk.commit()
    desk.boot()
    assert [entry.command_id for entry in desk.protocol.unresolved] == ["started"]
    assert desk.commit() == []
    desk.protocol.connected()
    assert desk.commit() == []
    desk.frame()
    desk.say(welcome=Welcome(epoch=2))
    assert ids(desk.commit()) == [["held"]]
    desk.protocol.settle("started", Unknown("cut off"))
    desk.commit()
    (report,) = desk.reports()
    assert report.outcome_unknown.detail == "cut off"


def test_nothing_starts_between_hello_and_welcome(desk: Desk) -> None:
    desk.connect()
    desk.protocol.pause("phone", paused=True)
    desk.offer("a")
    desk.commit()
    desk.protocol.disconnected()
    desk.protocol.connected()
    desk.protocol.pause("phone", paused=False)
    assert desk.commit() == []
    desk.frame()
    desk.say(welcome=Welcome(epoch=2, drop_command_ids=["a"]))
    assert desk.commit() == []


def test_sends_go_on_for_a_while_without_the_core_and_stop_at_the_fence() -> None:
    desk = Desk(group_commands_max=1)
    desk.connect()
    desk.offer("a", "b", "c")
    assert ids(desk.commit()) == [["a"]]
    desk.protocol.disconnected()
    desk.clock.now_s += FENCE_S - 0.1
    desk.protocol.finish_group("phone")
    assert ids(desk.commit()) == [["b"]]
    desk.clock.now_s += 0.2
    desk.protocol.finish_group("phone")
    assert desk.commit() == []
    desk.connect()
    assert ids(desk.commit()) == [["c"]]


def test_any_frame_of_the_core_opens_the_fence(desk: Desk) -> None:
    desk.connect()
    desk.clock.now_s += FENCE_S + 1
    assert not desk.protocol.may_start()
    desk.say(acknowledge=Acknowledge())
    assert desk.protocol.may_start()


def test_group_whose_commit_took_longer_than_the_fence_is_held_again(desk: Desk) -> None:
    desk.connect()
    desk.offer("a", "b")
    batch = desk.protocol.take_batch()
    assert batch is not None
    desk.clock.now_s += FENCE_S + 1
    desk.protocol.committed(desk.journal.commit(batch))
    assert desk.protocol.take_groups() == []
    assert desk.commit() == []
    assert [entry.started for entry in desk.journal.state().open_commands] == [False, False]
    desk.say(acknowledge=Acknowledge())
    assert ids(desk.commit()) == [["a", "b"]]


def test_draining_core_and_ending_process_start_nothing(desk: Desk) -> None:
    desk.connect()
    desk.say(drain=Drain(reason="restart"))
    desk.offer("a")
    assert desk.commit() == []
    desk.protocol.disconnected()
    desk.connect()
    desk.protocol.stop_starting()
    assert desk.commit() == []
    assert [entry.started for entry in desk.journal.state().open_commands] == [False]


# The journal refuses.


class Witness:
    def __init__(self) -> None:
        self.sequence: int | None = None
        self.error: Exception | None = None

    def journalled(self, sequence: int) -> None:
        self.sequence = sequence

    def refused(self, error: Exception) -> None:
        self.error = error


def test_batch_that_is_not_written_waits_and_hands_nothing_over(desk: Desk) -> None:
    kept, refused = Witness(), Witness()
    desk.connect()
    desk.offer("a", command("late", not_after_s=1))
    desk.protocol.add_fact(inbound("from the SIM"), waiter=refused, refusable=True)
    desk.protocol.store({"key": b"value"}, kept)
    assert desk.protocol.take_batch() is not None
    desk.protocol.not_committed(JournalUnwritable("full"))
    assert desk.protocol.take_groups() == []
    assert isinstance(refused.error, JournalUnwritable)
    assert ids(desk.commit()) == [["a"]]
    assert kept.sequence == 0
    assert desk.journal.value("key") == b"value"
    (report,) = desk.reports()
    assert report.command_id == "late"


def test_commands_of_a_stream_that_ended_before_they_were_written_are_left_to_the_core(desk: Desk) -> None:
    desk.connect()
    desk.offer("a", command("late", not_after_s=1))
    assert desk.protocol.take_batch() is not None
    desk.offer("b")
    desk.protocol.disconnected()
    desk.protocol.not_committed(JournalUnwritable("full"))
    assert desk.commit() == []
    assert desk.open_commands() == {}
    assert desk.facts() == []


def test_result_is_reported_only_once_it_is_written(desk: Desk) -> None:
    desk.connect()
    desk.offer("a")
    desk.commit()
    desk.protocol.settle("a", Submitted())
    assert desk.protocol.take_batch() is not None
    assert desk.facts() == []
    desk.protocol.not_committed(JournalUnwritable("full"))
    assert desk.facts() == []
    desk.commit()
    assert len(desk.reports()) == 1


def test_older_copy_of_the_journal_is_noticed_and_starts_anew_under_another_identity(desk: Desk) -> None:
    desk.connect()
    desk.offer("a")
    desk.commit()
    desk.protocol.disconnected()
    first = desk.connect(resume_after_sequence=100)
    assert desk.protocol.journal_is_stale
    assert desk.commit() == []
    assert desk.frames() == []
    desk.protocol.disconnected()
    desk.journal.renew(reason="put back")
    desk.protocol.journal_renewed(desk.journal.state())
    second = desk.connect()
    assert second.hello.journal_id != first.hello.journal_id
    assert list(second.hello.open_commands) == []
    desk.protocol.facts.loaded(desk.journal.facts_after(0, count_max=10))
    (report,) = desk.reports()
    assert report.outcome_unknown.detail == "put back"


# Facts, frames and time.


def test_no_more_facts_are_in_flight_than_the_core_allows(desk: Desk) -> None:
    desk.connect(unacknowledged_facts_max=3)
    for number in range(7):
        desk.protocol.add_fact(inbound(str(number)))
    desk.commit()
    assert [fact.sequence for fact in desk.facts()] == [1, 2, 3]
    desk.say(acknowledged=2, acknowledge=Acknowledge())
    assert [fact.sequence for fact in desk.facts()] == [4, 5]
    desk.say(acknowledged=5, acknowledge=Acknowledge())
    assert [fact.sequence for fact in desk.facts()] == [6, 7]


def test_frames_of_facts_stay_below_the_size_that_the_core_allows(desk: Desk) -> None:
    desk.connect(frame_bytes_max=20_000)
    for number in range(10):
        desk.protocol.add_fact(inbound(f"{number}" * 5000))
    desk.commit()
    frames = desk.frames()
    assert all(frame.ByteSize() <= 20_000 for frame in frames)
    assert [fact.sequence for frame in frames for fact in frame.facts.facts] == list(range(1, 11))


def test_acknowledged_facts_leave_the_journal_without_a_transaction_of_their_own(desk: Desk) -> None:
    desk.connect()
    desk.protocol.add_fact(inbound("hi"))
    desk.commit()
    desk.frames()
    desk.say(acknowledged=1, acknowledge=Acknowledge())
    assert desk.protocol.take_batch() is None
    desk.protocol.tick()
    desk.commit()
    assert desk.journal.facts_after(0, count_max=10) == []
    assert desk.protocol.take_batch() is None


def test_heartbeat_is_sent_after_the_interval_unless_something_else_was(desk: Desk) -> None:
    desk.connect(heartbeat_interval=Duration(seconds=4))
    desk.clock.now_s += 3
    desk.protocol.add_fact(inbound("hi"))
    desk.commit()
    assert [frame.WhichOneof("frame") for frame in desk.frames()] == ["facts"]
    desk.clock.now_s += 3
    assert desk.frames() == []
    desk.clock.now_s += 1
    assert [frame.WhichOneof("frame") for frame in desk.frames()] == ["heartbeat"]
    assert desk.frames() == []


def test_silent_core_is_given_up_after_the_timeout_that_it_told(desk: Desk) -> None:
    desk.protocol.connected()
    desk.clock.now_s += WELCOME_TIMEOUT_S + 0.1
    assert desk.protocol.is_silent()
    desk.protocol.disconnected()
    assert not desk.protocol.is_silent()
    desk.connect(heartbeat_timeout=Duration(seconds=7))
    desk.clock.now_s += 7
    assert not desk.protocol.is_silent()
    desk.clock.now_s += 0.1
    assert desk.protocol.is_silent()
    desk.protocol.disconnected()
    desk.connect()
    desk.clock.now_s += HEARTBEAT_TIMEOUT_S
    assert not desk.protocol.is_silent()


def test_goodbye_is_the_last_frame_of_its_stream_and_not_of_the_next(desk: Desk) -> None:
    desk.connect()
    desk.protocol.say_goodbye("bye", reconnect_expected=True)
    desk.protocol.add_fact(inbound("hi"))
    desk.commit()
    assert [frame.WhichOneof("frame") for frame in desk.frames()] == ["goodbye"]
    desk.protocol.disconnected()
    assert desk.connect().WhichOneof("frame") == "hello"
    desk.protocol.facts.loaded(desk.journal.facts_after(0, count_max=10))
    assert len(desk.facts()) == 1


def test_frame_of_a_later_version_is_counted_and_ignored(desk: Desk) -> None:
    desk.connect()
    desk.protocol.receive(ConnectResponse.FromString(b"\x08\x00\xfa\x01\x00"))
    assert desk.protocol.frames_ignored == 1
    assert desk.frames() == []


def test_facts_carry_the_time_at_which_the_driver_saw_them(desk: Desk) -> None:
    desk.connect()
    desk.protocol.add_fact(inbound("hi"))
    seen = Timestamp()
    seen.FromNanoseconds(desk.clock.wall_ns())
    desk.clock.now_s += 5
    desk.commit()
    assert desk.facts()[0].event_time == seen
