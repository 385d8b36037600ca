"""A number that must not send says why, gives back what waits, and finds its way back by itself."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.whatsapp_cloud.conditions import CONDITIONS, Reason
from drivers.whatsapp_cloud.fake_graph import FakeGraph, Number, Rules
from drivers.whatsapp_cloud.troubles import Timing
from infinireach.v1.device_pb2 import DEVICE_STATE_ATTENTION, DEVICE_STATE_DEGRADED, DEVICE_STATE_ONLINE
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_DEVICE_FAULT,
    FAILURE_REASON_RATE_LIMITED,
)
from tests.unit.drivers.whatsapp_cloud.office import (
    NUMBERS,
    Office,
    changes_of,
    office_with,
    start,
    status_of,
)

SENT = {"submitted", "delivered"}
HOUR_S = 3600.0
PATIENT = Timing(
    slowed_s=(HOUR_S, HOUR_S), away_s=(HOUR_S, HOUR_S), person_s=(HOUR_S, HOUR_S), token_look_s=0.01
)
"""Comes back only for a reason, not because time has passed."""


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with office_with(tmp_path) as office:
        yield office


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (190, Reason.TOKEN_REFUSED),
        (0, Reason.TOKEN_REFUSED),
        (10, Reason.PERMISSION_MISSING),
        (200, Reason.PERMISSION_MISSING),
        (299, Reason.PERMISSION_MISSING),
        (33, Reason.NUMBER_UNKNOWN),
        (133010, Reason.NOT_REGISTERED),
        (131048, Reason.SPAM_LIMIT),
        (368, Reason.RESTRICTED),
        (131031, Reason.RESTRICTED),
    ],
)
async def test_what_a_person_has_to_mend_stops_the_number_with_a_remedy(
    office: Office, code: int, reason: Reason
) -> None:
    office.graph.faults.add("error", code=code)
    report = await office.settled(office.offer("cmd-1"))
    assert (report.failed.reason, report.failed.network_code) == (FAILURE_REASON_DEVICE_FAULT, str(code))
    await office.until(lambda: any(change.reason == reason for change in office.changes))
    change = next(change for change in office.changes if change.reason == reason)
    assert (change.device_key, change.state, change.window) == ("main", DEVICE_STATE_ATTENTION, 0)
    assert change.remedy == CONDITIONS[reason].remedy
    await office.until_ready()
    assert office.changes[-1].state == DEVICE_STATE_ONLINE
    assert (await office.settled(office.offer("cmd-2"))).WhichOneof("outcome") in SENT


@pytest.mark.parametrize("code", [130429, 80007, 4, 131057])
async def test_throughput_pauses_the_number_and_says_how_long(office: Office, code: int) -> None:
    office.graph.faults.add("error", code=code)
    report = await office.settled(office.offer("cmd-1"))
    assert report.failed.reason == FAILURE_REASON_RATE_LIMITED
    assert report.retry_delay.ToMilliseconds() == 10
    await office.until(lambda: any(change.reason == Reason.SLOWED_DOWN for change in office.changes))
    await office.until_ready()


@pytest.mark.parametrize("has_object", [True, False])
async def test_http_429_pauses_for_as_long_as_it_says(tmp_path: Path, has_object: bool) -> None:
    async with office_with(tmp_path) as office:
        office.graph.faults.add("too_many_requests", object=has_object, retry_after_s=77)
        report = await office.settled(office.offer("cmd-1"))
        assert report.failed.reason == FAILURE_REASON_RATE_LIMITED
        assert report.retry_delay.seconds == 77


async def test_pauses_in_a_row_grow_and_the_first_message_that_is_taken_ends_the_row(tmp_path: Path) -> None:
    timing = Timing(slowed_s=(0.01, 0.03), token_look_s=0.01)
    async with office_with(tmp_path, timing=timing) as office:
        delays: list[int] = []
        for place in range(3):
            office.graph.faults.add("error", code=130429)
            report = await office.settled(office.offer(f"cmd-{place}"))
            delays.append(report.retry_delay.ToMilliseconds())
            await office.until_ready()
        await office.settled(office.offer("taken"))
        office.graph.faults.add("error", code=130429)
        delays.append((await office.settled(office.offer("cmd-3"))).retry_delay.ToMilliseconds())
        assert delays == [10, 20, 30, 10]


async def test_commands_that_wait_are_given_back_and_those_under_way_end(tmp_path: Path) -> None:
    async with office_with(tmp_path, timing=PATIENT) as office:
        office.graph.faults.add("error", code=190)
        for place in range(200):
            office.offer(f"cmd-{place}", to=f"+1555{place:07d}")
        await office.until(lambda: len({report.command_id for report in office.reports}) == 200)
        outcomes = [office.of(f"cmd-{place}")[0] for place in range(200)]
        failed = [report for report in outcomes if report.WhichOneof("outcome") == "failed"]
        assert {report.failed.reason for report in failed} == {FAILURE_REASON_DEVICE_FAULT}
        assert len(failed) == 200 - len(office.graph.taken)
        assert office.windows == {"main": 0, "second": 50}


async def test_short_pause_gives_nothing_back(tmp_path: Path) -> None:
    async with office_with(tmp_path, timing=Timing(slowed_s=(0.2, 0.2))) as office:
        office.graph.faults.add("error", code=130429)
        office.graph.faults.add("slow", count=None, delay_s=0.01)
        await office.settled(office.offer("cmd-0"))
        await office.until(lambda: office.windows["main"] == 0)
        waiting = [office.offer(f"cmd-{place}", to=f"+1555{place:07d}") for place in range(1, 5)]
        await office.until(lambda: all(office.of(command_id) for command_id in waiting))
        assert not any("failed" in office.outcomes(command_id) for command_id in waiting)


async def test_new_token_in_the_file_ends_the_pause_at_once(tmp_path: Path) -> None:
    async with office_with(tmp_path, timing=PATIENT) as office:
        token = office.graph.new_token()
        await office.settled(office.offer("cmd-1"))
        await office.until(lambda: office.changes[-1].reason == Reason.TOKEN_REFUSED)
        replaced = tmp_path / "token.new"
        replaced.write_text(token)
        replaced.rename(tmp_path / "token")
        await office.until_ready()
        assert (await office.settled(office.offer("cmd-2"))).WhichOneof("outcome") in SENT


async def test_number_that_meta_does_not_know_never_comes_up(tmp_path: Path) -> None:
    async with FakeGraph(numbers=NUMBERS[:1], rules=Rules(is_window_open=True)) as graph:
        office = await start(tmp_path, graph)
        try:
            await office.until(lambda: any(each.reason == Reason.NUMBER_UNKNOWN for each in office.changes))
            graph.numbers["100000000000002"] = Number(NUMBERS[1].number, "100000000000002")
            await office.until_ready()
        finally:
            await office.close()


async def test_graph_that_is_not_there_at_the_start_is_waited_for(tmp_path: Path) -> None:
    graph = FakeGraph(numbers=NUMBERS, rules=Rules(is_window_open=True))
    async with graph:
        pass
    office = await start(tmp_path, graph)
    try:
        await office.until(lambda: len({change.device_key for change in office.changes}) == 2)
        assert {change.reason for change in office.changes} == {Reason.UNREACHABLE}
        assert {change.state for change in office.changes} == {DEVICE_STATE_DEGRADED}
    finally:
        await office.close()


async def test_lost_answer_pauses_until_graph_answers_again(tmp_path: Path) -> None:
    async with office_with(tmp_path, timing=PATIENT) as office:
        office.graph.faults.add("disconnect", taken=False)
        await office.settled(office.offer("cmd-1"))
        await office.until(lambda: office.changes[-1].reason == Reason.GRAPH_FAILING)
        assert office.windows["main"] == 0


async def test_status_of_now_pauses_the_number_and_one_of_last_week_does_not(tmp_path: Path) -> None:
    async with office_with(tmp_path, timing=PATIENT) as office:
        office.graph.faults.add("statuses_lost", count=None)
        for command_id in ("cmd-1", "cmd-2"):
            await office.settled(office.offer(command_id))
        now = int(office.graph.clock.now())
        errors = [{"code": 131048, "title": "Spam rate limit hit"}]
        old = status_of("cmd-1", "failed", at=str(now - 7 * 86400), errors=errors)
        assert await office.post(changes_of({"statuses": [old]})) == 200
        assert (await office.settled(office.offer("cmd-3"))).WhichOneof("outcome") == "submitted"
        new = status_of("cmd-2", "failed", at=str(now), errors=errors)
        assert await office.post(changes_of({"statuses": [new]})) == 200
        await office.until(lambda: office.changes[-1].reason == Reason.SPAM_LIMIT)
        assert office.outcomes("cmd-1")[-1] == office.outcomes("cmd-2")[-1] == "failed"


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.READY])
def test_every_condition_that_pauses_has_a_pause_and_a_remedy_that_fits(reason: Reason) -> None:
    timing = Timing()
    assert 0 < timing.pause_s(reason, 1) < timing.pause_s(reason, 2) <= timing.pause_s(reason, 10_000)
    assert len(CONDITIONS[reason].remedy) <= 500
    assert bool(CONDITIONS[reason].remedy) or reason is Reason.STARTING
