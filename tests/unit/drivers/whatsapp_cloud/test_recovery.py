"""After a crash the mark in the journal, or a status that names the message, tells what became of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.runtime import Failed, Submitted
from drivers.runtime.journal import Journal
from drivers.runtime.records import Batch, SegmentMark
from drivers.whatsapp_cloud import evidence, replies
from drivers.whatsapp_cloud.fake_graph import FakeGraph, Rules
from infinireach.driver.v1.command_pb2 import SendCommand, TextContent
from infinireach.v1.message_pb2 import FAILURE_REASON_DESTINATION_UNREACHABLE
from tests.unit.drivers.modem.memory_host import MemoryHost
from tests.unit.drivers.whatsapp_cloud.office import NUMBERS, USER, Office, changes_of, start, status_of


@pytest.fixture
async def graph() -> AsyncIterator[FakeGraph]:
    async with FakeGraph(numbers=NUMBERS, rules=Rules(is_window_open=True), retry_s=0.01) as graph:
        yield graph


def crashed(folder: Path, *marks: SegmentMark, device: str = "main") -> None:
    """Leave the journal of a process that died while it sent `cmd-1`."""
    journal = Journal(folder / "journal.db", horizon_s=1e9, settled_commands_max=10**6)
    text = TextContent(body="cmd-1", segments=1)
    command = SendCommand(command_id="cmd-1", device_key=device, destination=USER, text=text)
    journal.commit(Batch(hold=[command], start=["cmd-1"], segments=list(marks)))
    journal.close()


PREFIX = f"{replies.PREFIX}{NUMBERS[0].phone_number_id}/"
STARTED = SegmentMark("cmd-1", 1)
TAKEN = SegmentMark("cmd-1", 1, taken=True, reference="wamid.cmd-1")


async def again(folder: Path, graph: FakeGraph, *, recover_s: float) -> Office:
    office = await start(folder, graph, recover_s=recover_s)
    await office.until_ready()
    return office


async def test_what_was_not_handed_over_is_sent(graph: FakeGraph, tmp_path: Path) -> None:
    crashed(tmp_path)
    office = await again(tmp_path, graph, recover_s=60)
    await office.settled("cmd-1")
    assert [taken.text for taken in graph.taken] == ["cmd-1"]
    await office.close()


async def test_what_graph_took_is_submitted_and_not_sent_again(graph: FakeGraph, tmp_path: Path) -> None:
    crashed(tmp_path, TAKEN)
    office = await again(tmp_path, graph, recover_s=60)
    report = await office.settled("cmd-1")
    assert list(report.submitted.segment_references) == ["wamid.cmd-1"]
    assert not graph.posted
    await office.close()


async def test_what_nobody_names_is_unknown_and_a_later_status_settles_it(
    graph: FakeGraph, tmp_path: Path
) -> None:
    crashed(tmp_path, STARTED)
    office = await again(tmp_path, graph, recover_s=0)
    assert (await office.settled("cmd-1")).WhichOneof("outcome") == "outcome_unknown"
    assert await office.post(changes_of({"statuses": [status_of("cmd-1", "delivered")]})) == 200
    assert office.outcomes("cmd-1") == ["outcome_unknown", "delivered"]
    assert not graph.posted
    await office.close()


@pytest.mark.parametrize(
    ("name", "outcome"), [("sent", "submitted"), ("delivered", "submitted"), ("failed", "failed")]
)
async def test_status_that_comes_while_it_is_waited_for_settles_it(
    graph: FakeGraph, tmp_path: Path, name: str, outcome: str
) -> None:
    crashed(tmp_path, STARTED)
    office = await again(tmp_path, graph, recover_s=3600)
    assert office.of("cmd-1") == []
    status = status_of("cmd-1", name, errors=[{"code": 131026}])
    assert await office.post(changes_of({"statuses": [status]})) == 200
    await office.until(lambda: outcome in office.outcomes("cmd-1"))
    assert "outcome_unknown" not in office.outcomes("cmd-1")
    await office.close()
    journal = Journal(tmp_path / "journal.db", horizon_s=1e9, settled_commands_max=10**6)
    assert journal.state().open_commands == []
    journal.close()


async def test_process_that_stops_while_it_waits_leaves_it_to_the_next(
    graph: FakeGraph, tmp_path: Path
) -> None:
    crashed(tmp_path, STARTED)
    office = await again(tmp_path, graph, recover_s=3600)
    await office.close()
    assert office.of("cmd-1") == []
    office = await again(tmp_path, graph, recover_s=3600)
    assert await office.post(changes_of({"statuses": [status_of("cmd-1", "read")]})) == 200
    await office.until(lambda: "submitted" in office.outcomes("cmd-1"))
    await office.close()


async def test_reply_names_its_message_after_a_restart(graph: FakeGraph, tmp_path: Path) -> None:
    office = await again(tmp_path, graph, recover_s=0)
    await office.settled(office.offer("cmd-1"))
    (taken,) = graph.taken
    await office.close()
    office = await again(tmp_path, graph, recover_s=0)
    message = {
        "from": "15551230000",
        "id": "wamid.in",
        "type": "text",
        "text": {"body": "yes"},
        "context": {"id": taken.id},
    }
    assert await office.post(changes_of({"messages": [message]})) == 200
    assert office.inbound[0].reply_to_command_id == "cmd-1"
    await office.close()


async def test_oldest_replies_are_forgotten_in_memory_and_on_disk(
    graph: FakeGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "REPLIES_MAX", 2)
    office = await again(tmp_path, graph, recover_s=0)
    for place in range(4):
        await office.settled(office.offer(f"cmd-{place}"))
    stored = await office.engine.read(replies.PREFIX)
    assert set(stored) == {PREFIX + taken.id for taken in graph.taken[2:]}
    await office.close()


async def test_reply_that_is_known_is_not_written_again() -> None:
    known = replies.Replies(MemoryHost().context())
    noted = known.note("1001", "wamid.1", "cmd-1")
    assert list(noted) == [f"{replies.PREFIX}1001/wamid.1"]
    assert known.note("1001", "wamid.1", "cmd-2") == {}
    assert known.command("1001", "wamid.1") == "cmd-1"
    assert (known.command("1001", "wamid.2"), known.command("1002", "wamid.1")) == ("", "")
    known.take_back(noted)
    assert known.note("1001", "wamid.1", "cmd-1") == noted


def test_failure_is_the_last_word_whatever_comes_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "EVIDENCE_MAX", 2)
    said = evidence.Evidence()
    failed = Failed(FAILURE_REASON_DESTINATION_UNREACHABLE)
    said.add("cmd-1", Submitted(["wamid.1"]))
    said.add("cmd-1", failed)
    said.add("cmd-1", Submitted(["wamid.1"]))
    assert said.of("cmd-1") == failed
    said.add("cmd-2", failed)
    said.add("cmd-3", failed)
    assert (said.of("cmd-1"), said.of("cmd-2")) == (None, failed)


async def test_replies_older_than_a_month_are_forgotten(graph: FakeGraph, tmp_path: Path) -> None:
    office = await again(tmp_path, graph, recover_s=0)
    await office.engine.write({f"{replies.PREFIX}wamid.old": b"1000 cmd-0"})
    await office.close()
    office = await again(tmp_path, graph, recover_s=0)
    await office.settled(office.offer("cmd-1"))
    assert list(await office.engine.read(replies.PREFIX)) == [PREFIX + graph.taken[0].id]
    await office.close()
