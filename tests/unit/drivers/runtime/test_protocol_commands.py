"""What becomes of commands on the driver's end of the stream."""

import pytest

from drivers.runtime.outcomes import Delivered, Failed, Submitted, Unknown
from infinireach.driver.v1.command_pb2 import CancelCommand
from infinireach.driver.v1.session_pb2 import (
    Acknowledge,
)
from infinireach.v1.message_pb2 import FAILURE_REASON_EXPIRED, FAILURE_REASON_NO_SERVICE
from tests.unit.drivers.runtime.desk import Desk, command, ids


@pytest.fixture
def desk() -> Desk:
    return Desk()


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


def test_command_that_is_given_up_while_it_is_found_to_be_settled_keeps_its_result(desk: Desk) -> None:
    desk.connect()
    desk.offer("a")
    desk.commit()
    desk.protocol.settle("a", Submitted())
    desk.protocol.finish_group("phone")
    desk.commit()
    desk.frames()
    desk.say(acknowledged=1)
    desk.protocol.pause("phone", paused=True)
    desk.offer("a")
    batch = desk.protocol.take_batch()
    assert batch is not None
    desk.protocol.give_back("phone", Failed(FAILURE_REASON_NO_SERVICE))
    desk.protocol.committed(desk.journal.commit(batch, now_s=0))
    desk.commit()
    assert [report.WhichOneof("outcome") for report in desk.reports()] == ["submitted"]


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


def test_device_that_goes_down_gives_back_what_is_not_started_and_nothing_else() -> None:
    desk = Desk(group_commands_max=1)
    desk.connect()
    desk.offer("started", "held", command("other", device_key="tablet"))
    assert ids(desk.commit()) == [["started"], ["other"]]
    desk.protocol.pause("phone", paused=True)
    desk.offer("arrived")
    given_back = desk.protocol.give_back("phone", Failed(FAILURE_REASON_NO_SERVICE, detail="No network."))
    assert given_back == 2
    desk.commit()
    reports = {report.command_id: report.failed for report in desk.reports()}
    assert reports.keys() == {"held", "arrived"}
    assert {failed.reason for failed in reports.values()} == {FAILURE_REASON_NO_SERVICE}
    desk.protocol.settle("started", Submitted())
    desk.protocol.finish_group("phone")
    desk.protocol.pause("phone", paused=False)
    assert desk.commit() == []
    assert [report.command_id for report in desk.reports()] == ["started"]
