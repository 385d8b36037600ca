"""The journal keeps what it committed and nothing else, whatever happens to the process or the disk."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from drivers.runtime.journal import Journal, JournalInUse, JournalUnreadable, JournalUnwritable
from drivers.runtime.outcomes import Cancelled, Report, Submitted, Unknown, to_report
from drivers.runtime.records import Batch, PendingFact, SegmentMark
from infinireach.driver.v1.command_pb2 import SendCommand, TextContent
from infinireach.driver.v1.fact_pb2 import Fact, InboundMessage

DAY_S = 86_400


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def opened(path: Path | None, *, horizon_s: float = 7 * DAY_S, settled_max: int = 1_000_000) -> Journal:
    return Journal(path, horizon_s=horizon_s, settled_commands_max=settled_max)


def command(command_id: str, body: str = "hello") -> SendCommand:
    return SendCommand(command_id=command_id, device_key="phone", text=TextContent(body=body, segments=1))


def result(command_id: str, report: Report | None = None) -> PendingFact:
    fact = Fact(command_report=to_report(command_id, report or Submitted(("7",))))
    return PendingFact(fact, settles=command_id)


def inbound(text: str, identity: str = "") -> PendingFact:
    return PendingFact(Fact(inbound_message=InboundMessage(text=text)), identity=identity)


def settle(journal: Journal, command_ids: Iterable[str], *, now_s: float) -> None:
    for command_id in command_ids:
        journal.commit(Batch(hold=[command(command_id)], start=[command_id]), now_s=now_s)
        sequences = journal.commit(Batch(facts=[result(command_id)]), now_s=now_s).sequences
        journal.commit(Batch(acknowledged=sequences[0]), now_s=now_s)


def known_to(journal: Journal, command_id: str, *, now_s: float) -> bool:
    """Whether the journal still knows the command; it does afterwards."""
    return command_id in journal.commit(Batch(hold=[command(command_id)]), now_s=now_s).known


def test_what_was_committed_is_there_after_a_crash(path: Path) -> None:
    journal = opened(path)
    journal.commit(Batch(hold=[command("a"), command("b"), command("c")], start=["b"]))
    journal.commit(Batch(start=["c"], facts=[inbound("hi")]))
    journal.commit(Batch(facts=[result("c")]))
    state = journal.state()
    journal.close()
    again = opened(path)
    assert again.state() == state
    assert [(entry.command.command_id, entry.started) for entry in state.open_commands] == [
        ("a", False),
        ("b", True),
    ]
    assert state.last_sequence == 2
    facts = again.facts_after(0, count_max=10)
    assert [fact.sequence for fact in facts] == [1, 2]
    assert facts[0].inbound_message.text == "hi"
    assert list(facts[1].command_report.submitted.segment_references) == ["7"]
    again.close()


def test_numbers_go_on_after_every_fact_was_acknowledged_and_the_journal_reopened(path: Path) -> None:
    journal = opened(path)
    assert journal.commit(Batch(facts=[inbound("1"), inbound("2")])).sequences == [1, 2]
    journal.commit(Batch(acknowledged=2))
    journal.close()
    again = opened(path)
    assert again.facts_after(0, count_max=10) == []
    assert again.state().acknowledged_sequence == 2
    assert again.commit(Batch(facts=[inbound("3")])).sequences == [3]
    again.close()


def test_settled_command_is_known_and_neither_held_nor_settled_again(path: Path) -> None:
    journal = opened(path)
    settle(journal, ["a"], now_s=0)
    batch = Batch(hold=[command("b"), command("a")], start=["a", "b"], facts=[result("a", Cancelled())])
    committed = journal.commit(batch)
    assert committed.known["a"].report == to_report("a", Submitted(("7",)))
    assert committed.known["a"].result_sequence == 1
    assert committed.sequences == [0]
    assert [entry.command.command_id for entry in journal.state().open_commands] == ["b"]
    journal.close()


def test_commands_are_remembered_open_and_settled_and_strangers_are_not(path: Path) -> None:
    journal = opened(path)
    settle(journal, ["settled"], now_s=1000)
    journal.commit(Batch(hold=[command("open")]), now_s=1000)
    assert journal.known(["settled", "stranger", "open", "\ud800", "a\0"]) == {"settled", "open"}


def test_text_of_a_settled_command_is_no_longer_kept(path: Path) -> None:
    journal = opened(path)
    journal.commit(Batch(hold=[command("a", "a secret text")], start=["a"]))
    journal.commit(Batch(facts=[result("a")]))
    with sqlite3.connect(path) as reader:
        assert reader.execute("SELECT payload FROM commands").fetchall() == [(None,)]
    reader.close()
    journal.close()


def test_released_command_is_held_again(path: Path) -> None:
    journal = opened(path)
    journal.commit(Batch(hold=[command("a")], start=["a"]))
    journal.commit(Batch(release=["a"]))
    assert [entry.started for entry in journal.state().open_commands] == [False]
    journal.close()


def test_command_that_is_released_and_starts_in_the_same_batch_is_started(path: Path) -> None:
    journal = opened(path)
    journal.commit(Batch(hold=[command("a")], start=["a"]))
    journal.commit(Batch(release=["a"], start=["a"]))
    assert [entry.started for entry in journal.state().open_commands] == [True]
    journal.close()


def test_forgotten_command_counts_as_cancelled_if_it_comes_again(path: Path) -> None:
    journal = opened(path)
    journal.commit(Batch(hold=[command("a")]))
    journal.commit(Batch(forget=["a"]))
    assert journal.state().open_commands == []
    assert journal.commit(Batch(hold=[command("a")])).known["a"].report == to_report("a", Cancelled())
    journal.close()


def test_forgotten_command_may_come_again_in_the_same_batch(path: Path) -> None:
    journal = opened(path)
    journal.commit(Batch(hold=[command("a")]))
    committed = journal.commit(Batch(forget=["a"], hold=[command("a")], start=["a"]))
    assert committed.known["a"].report == to_report("a", Cancelled())
    assert journal.state().open_commands == []
    journal.close()


def test_inbound_message_with_a_known_identity_is_not_written_again(path: Path) -> None:
    journal = opened(path)
    batch = Batch(facts=[inbound("x", "sim:1"), inbound("y"), inbound("x", "sim:1")])
    assert journal.commit(batch).sequences == [1, 2, 1]
    journal.close()
    again = opened(path)
    assert again.commit(Batch(facts=[inbound("x", "sim:1"), inbound("z", "sim:2")])).sequences == [1, 3]
    assert [fact.sequence for fact in again.facts_after(0, count_max=10)] == [1, 2, 3]
    again.close()


def test_identity_is_forgotten_after_the_horizon_but_not_before_the_core_has_the_message(path: Path) -> None:
    journal = opened(path, horizon_s=DAY_S)
    journal.commit(Batch(facts=[inbound("x", "sim:1"), inbound("y", "sim:2")]), now_s=0)
    journal.commit(Batch(facts=[inbound("z", "sim:3")]), now_s=2 * DAY_S)
    assert journal.commit(Batch(facts=[inbound("x", "sim:1")]), now_s=2 * DAY_S).sequences == [1]
    journal.commit(Batch(acknowledged=1))
    journal.commit(Batch(facts=[inbound("z", "sim:4")]), now_s=2 * DAY_S)
    assert journal.commit(Batch(facts=[inbound("y", "sim:2")]), now_s=2 * DAY_S).sequences == [2]
    assert journal.commit(Batch(facts=[inbound("x", "sim:1")]), now_s=2 * DAY_S).sequences == [5]
    journal.close()


def test_facts_are_read_in_pages(path: Path) -> None:
    journal = opened(path)
    journal.commit(Batch(facts=[inbound(str(number)) for number in range(10)]))
    assert [fact.sequence for fact in journal.facts_after(3, count_max=4)] == [4, 5, 6, 7]
    journal.close()


def test_segment_marks_last_until_the_command_is_settled(path: Path) -> None:
    journal = opened(path)
    journal.commit(Batch(hold=[command("a")], start=["a"], segments=[SegmentMark("a", 1)]))
    marks = [SegmentMark("a", 1, taken=True, reference="42"), SegmentMark("a", 2)]
    journal.commit(Batch(segments=marks))
    journal.close()
    again = opened(path)
    assert again.segments("a") == marks
    again.commit(Batch(facts=[result("a", Unknown())]))
    assert again.segments("a") == []
    again.close()


def test_store_keeps_replaces_and_deletes(path: Path) -> None:
    journal = opened(path)
    journal.commit(Batch(store=[("ref:1", b"a"), ("ref:2", b"b"), ("other", b"c")]))
    journal.commit(Batch(store=[("ref:1", None), ("ref:2", b"d")]))
    journal.close()
    again = opened(path)
    assert again.values("ref:") == {"ref:2": b"d"}
    assert again.values("") == {"other": b"c", "ref:2": b"d"}
    again.close()


def test_full_disk_refuses_the_whole_batch_and_goes_on_when_there_is_room(path: Path) -> None:
    journal = opened(path)
    journal.commit(Batch(hold=[command("a")]))
    before = journal.state()
    journal.limit_pages(journal.pages())
    big = Batch(
        hold=[command("b", "x" * 100_000)],
        start=["a", "b"],
        facts=[inbound("hi", "sim:1")],
        store=[("k", b"v")],
    )
    with pytest.raises(JournalUnwritable):
        journal.commit(big)
    assert journal.state() == before
    assert journal.facts_after(0, count_max=10) == []
    assert journal.values("") == {}
    journal.limit_pages(1_000_000)
    assert journal.commit(big).sequences == [1]
    assert [entry.started for entry in journal.state().open_commands] == [True, True]
    journal.close()


def test_settled_commands_are_forgotten_after_the_horizon(path: Path) -> None:
    journal = opened(path, horizon_s=DAY_S)
    settle(journal, ["a", "b"], now_s=0)
    settle(journal, ["c"], now_s=DAY_S / 2)
    assert known_to(journal, "c", now_s=DAY_S + 1)
    settle(journal, ["d"], now_s=DAY_S + 1)
    assert not known_to(journal, "a", now_s=DAY_S + 1)
    assert known_to(journal, "c", now_s=DAY_S + 1)
    journal.close()


def test_no_more_settled_commands_are_kept_than_allowed(path: Path) -> None:
    journal = opened(path, settled_max=10)
    settle(journal, [f"c{number}" for number in range(100)], now_s=0)
    with sqlite3.connect(path) as reader:
        assert reader.execute("SELECT count(*) FROM commands").fetchone()[0] <= 13
    reader.close()
    assert known_to(journal, "c99", now_s=0)
    journal.close()


def test_settled_command_whose_result_the_core_lacks_is_never_forgotten(path: Path) -> None:
    journal = opened(path, horizon_s=0, settled_max=1)
    journal.commit(Batch(hold=[command("a")], start=["a"]), now_s=0)
    journal.commit(Batch(facts=[result("a")]), now_s=0)
    for number in range(50):
        journal.commit(Batch(hold=[command(f"c{number}")]), now_s=DAY_S)
    assert known_to(journal, "a", now_s=DAY_S)
    journal.close()


def test_only_its_owner_can_read_it(path: Path) -> None:
    journal = opened(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.with_name("journal.db-wal").stat().st_mode) == 0o600
    journal.close()


def test_second_owner_is_refused_with_the_number_of_the_first(path: Path) -> None:
    journal = opened(path)
    with pytest.raises(JournalInUse, match=f"running process {os.getpid()}"):
        opened(path)
    journal.close()
    opened(path).close()


def test_lock_of_a_dead_process_is_no_obstacle(path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from drivers.runtime.journal import Journal;"
        "Journal(Path(sys.argv[1]), horizon_s=1, settled_commands_max=1); os.abort()"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=False, stderr=subprocess.DEVNULL)
    assert path.exists()
    opened(path).close()


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 200])
def test_file_that_is_no_journal_is_refused_and_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(JournalUnreadable, match=r"journal\.db"):
        opened(path)
    assert path.read_bytes() == content


def test_journal_of_another_version_is_refused(path: Path) -> None:
    opened(path).close()
    with sqlite3.connect(path) as writer:
        writer.execute("PRAGMA user_version = 99")
    writer.close()
    with pytest.raises(JournalUnreadable, match="version 99"):
        opened(path)


def test_renewed_journal_has_a_new_identity_and_no_open_command(path: Path) -> None:
    journal = opened(path)
    settle(journal, ["old"], now_s=0)
    batch = Batch(hold=[command("a"), command("b")], start=["b"], facts=[inbound("hi", "sim:1")])
    journal.commit(batch, now_s=0)
    before = journal.state()
    journal.renew(reason="put back", now_s=0)
    after = journal.state()
    assert after.journal_id != before.journal_id
    assert after.open_commands == []
    facts = journal.facts_after(0, count_max=10)
    assert [fact.sequence for fact in facts] == [1, 2, 3]
    assert facts[0].inbound_message.text == "hi"
    assert [fact.command_report.outcome_unknown.detail for fact in facts[1:]] == ["put back", "put back"]
    assert (after.acknowledged_sequence, after.last_sequence) == (0, 3)
    # What was settled before and what is unknown now are both known, should they be offered again.
    assert known_to(journal, "old", now_s=0)
    assert known_to(journal, "a", now_s=0)
    journal.close()
