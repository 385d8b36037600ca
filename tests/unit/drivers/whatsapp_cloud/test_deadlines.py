"""What is too late is not sent, however long it had to wait here."""

import time
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from drivers.runtime.journal import Journal
from drivers.runtime.records import Batch, SegmentMark
from drivers.whatsapp_cloud.fake_graph import FakeGraph, Rules
from infinireach.driver.v1.command_pb2 import SendCommand, TextContent
from infinireach.v1.message_pb2 import FAILURE_REASON_EXPIRED
from tests.unit.drivers.whatsapp_cloud.office import NUMBERS, USER, office_with, start

SECOND_NS = 1_000_000_000


def in_s(seconds: float) -> Timestamp:
    at = Timestamp()
    at.FromNanoseconds(time.time_ns() + int(seconds * SECOND_NS))
    return at


async def test_message_that_waits_for_its_turn_until_it_is_too_late_is_not_sent(tmp_path: Path) -> None:
    async with office_with(tmp_path) as office:
        office.graph.faults.add("slow", delay_s=1.2)
        office.offer("first")
        office.offer("late", not_after=in_s(0.6))
        assert (await office.settled("late")).failed.reason == FAILURE_REASON_EXPIRED
        assert [taken.text for taken in office.graph.taken] == ["first"]


async def test_message_that_waits_for_the_rate_until_it_is_too_late_is_not_sent(tmp_path: Path) -> None:
    async with office_with(tmp_path, more="messages_per_s = 1\n") as office:
        office.offer("first", device="second")
        office.offer("late", device="second", to="+15551230001", not_after=in_s(0.5))
        office.offer("third", device="second", to="+15551230002")
        assert (await office.settled("late")).failed.reason == FAILURE_REASON_EXPIRED
        await office.settled("third")
        assert [taken.text for taken in office.graph.taken] == ["first", "third"]


@pytest.mark.parametrize("is_started", [False, True])
async def test_after_a_crash_what_is_too_late_is_not_sent(tmp_path: Path, is_started: bool) -> None:
    journal = Journal(tmp_path / "journal.db", horizon_s=1e9, settled_commands_max=10**6)
    text = TextContent(body="1234", segments=1)
    command = SendCommand(
        command_id="cmd-1", device_key="main", destination=USER, text=text, not_after=in_s(-36_000)
    )
    marks = [SegmentMark("cmd-1", 1)] if is_started else []
    journal.commit(Batch(hold=[command], start=["cmd-1"], segments=marks))
    journal.close()
    async with FakeGraph(numbers=NUMBERS, rules=Rules(is_window_open=True)) as graph:
        office = await start(tmp_path, graph, recover_s=0)
        try:
            report = await office.settled("cmd-1")
            # Of what was handed over its deadline says nothing.
            assert report.WhichOneof("outcome") == ("outcome_unknown" if is_started else "failed")
            assert is_started or report.failed.reason == FAILURE_REASON_EXPIRED
            assert not graph.posted
        finally:
            await office.close()


async def test_number_that_is_away_is_not_waited_for_beyond_the_deadline(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", horizon_s=1e9, settled_commands_max=10**6)
    text = TextContent(body="1234", segments=1)
    command = SendCommand(
        command_id="cmd-1", device_key="main", destination=USER, text=text, not_after=in_s(1.0)
    )
    journal.commit(Batch(hold=[command], start=["cmd-1"]))
    journal.close()
    async with FakeGraph(numbers=NUMBERS) as graph:
        graph.revoke_token()
        office = await start(tmp_path, graph, recover_s=3600)
        try:
            assert (await office.settled("cmd-1")).WhichOneof("outcome") == "failed"
        finally:
            await office.close()
