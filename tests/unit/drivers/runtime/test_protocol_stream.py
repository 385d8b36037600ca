"""Hello, facts, frames and time on the driver's end of the stream."""

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from drivers.runtime.outcomes import Submitted
from drivers.runtime.session import HEARTBEAT_TIMEOUT_S, WELCOME_TIMEOUT_S
from infinireach.driver.v1.driver_service_pb2 import ConnectResponse
from infinireach.driver.v1.session_pb2 import (
    Acknowledge,
    OpenCommand,
    Welcome,
)
from tests.unit.drivers.runtime.desk import Desk, command, inbound


@pytest.fixture
def desk() -> Desk:
    return Desk()


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
