"""The driver's protocol behind its fence, after restarts and when its journal refuses."""

import pytest

from drivers.runtime.journal import JournalUnwritable
from drivers.runtime.outcomes import Delivered, Submitted, Unknown
from drivers.runtime.protocol import FENCE_S
from drivers.runtime.records import Notes, SegmentMark
from infinireach.driver.v1.session_pb2 import (
    Acknowledge,
    Drain,
    Welcome,
)
from tests.unit.drivers.runtime.desk import Desk, command, ids, inbound


@pytest.fixture
def desk() -> Desk:
    return Desk()


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
    desk.protocol.add_fact(inbound("from the SIM", refusable=True, waiter=refused))
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


def test_refused_inbound_message_takes_its_changes_of_the_store_with_it(desk: Desk) -> None:
    kept, refused, written = Witness(), Witness(), Witness()
    first = inbound("first", refusable=True, waiter=refused)
    first.store = [("parts", None), ("first", b"journalled")]
    desk.protocol.store({"parts": b"two of three"}, kept)
    desk.commit()
    desk.protocol.add_fact(first)
    assert desk.protocol.take_batch() is not None
    desk.protocol.not_committed(JournalUnwritable("full"))
    desk.commit()
    assert desk.journal.values("") == {"parts": b"two of three"}
    again = inbound("first", refusable=True, waiter=written)
    again.store = list(first.store)
    desk.protocol.add_fact(again)
    desk.commit()
    assert written.sequence == 1
    assert desk.journal.values("") == {"first": b"journalled"}


def test_report_that_may_be_refused_is_taken_back_with_its_notes_and_leaves_nothing(desk: Desk) -> None:
    desk.connect()
    desk.offer("a")
    desk.commit()
    refused, written = Witness(), Witness()

    def tell(witness: Witness) -> None:
        desk.protocol.report("a", Delivered(), refusable=True)
        mark = SegmentMark("a", 1, taken=True, reference="reference")
        desk.protocol.note(Notes(witness, [mark], [("key", b"value")]))

    tell(refused)
    assert desk.protocol.take_batch() is not None
    desk.protocol.not_committed(JournalUnwritable("full"))
    assert isinstance(refused.error, JournalUnwritable)
    assert not desk.protocol.has_work()
    assert (desk.journal.segments("a"), desk.journal.values("")) == ([], {})
    tell(written)
    desk.commit()
    assert written.sequence == 0
    assert [mark.reference for mark in desk.journal.segments("a")] == ["reference"]
    assert desk.journal.value("key") == b"value"
    assert [report.WhichOneof("outcome") for report in desk.reports()] == ["delivered"]


def test_mark_of_a_command_that_is_settled_meanwhile_is_not_left_behind(desk: Desk) -> None:
    desk.connect()
    desk.offer("a")
    desk.commit()
    desk.protocol.settle("a", Submitted())
    desk.protocol.note(Notes(Witness(), [SegmentMark("a", 1, taken=True)]))
    desk.commit()
    desk.protocol.note(Notes(Witness(), [SegmentMark("a", 1, taken=True)]))
    desk.commit()
    assert desk.journal.segments("a") == []


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
