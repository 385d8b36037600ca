"""Each fault of the fake Graph with the real driver: what the core is told, and that the next message goes out."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from drivers.whatsapp_cloud.conditions import WINDOW
from drivers.whatsapp_cloud.fake_graph import APP_SECRET, FAULTS, Credentials, FakeGraph, Number, Occasion
from drivers.whatsapp_cloud.number import WAITING_MAX
from infinireach.v1.device_pb2 import DEVICE_STATE_ATTENTION, DEVICE_STATE_DEGRADED, DEVICE_STATE_ONLINE
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_CONTENT_UNSUPPORTED,
    FAILURE_REASON_DESTINATION_UNREACHABLE,
    FAILURE_REASON_DEVICE_FAULT,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_RATE_LIMITED,
    FAILURE_REASON_TEMPLATE_REJECTED,
    FAILURE_REASON_WINDOW_CLOSED,
)
from tests.fakes.whatsapp_files import DEVICES
from tests.integration.whatsapp_cloud.bench import NUMBERS, Bench, bench

pytestmark = pytest.mark.asyncio(loop_scope="module")

DELIVERED, UNKNOWN = "delivered", "outcome_unknown"
FOREIGN = Number("+15550009999", "999")
OTHER_SECRET = "fedcba9876543210fedcba9876543210"


@dataclass(slots=True, frozen=True)
class Case:
    """A fault of a request, and what has to come of the message."""

    name: str
    end: str | int
    """A state, or the reason of a failure."""
    told: dict[str, Any] = field(default_factory=dict[str, Any])
    is_paused: bool = True
    """Whether the number pauses."""


CASES = (
    Case("no_answer", DELIVERED),
    Case("no_answer", UNKNOWN, {"taken": False}),
    Case("disconnect", DELIVERED),
    Case("disconnect", UNKNOWN, {"taken": False}),
    Case("slow", DELIVERED, {"delay_s": 0.1}, is_paused=False),
    Case("slow", DELIVERED, {"delay_s": 3600.0}),
    Case("server_error", UNKNOWN),
    Case("server_error", DELIVERED, {"taken": True}),
    Case("error", FAILURE_REASON_NO_SERVICE, {"code": 131000, "status": 400}, is_paused=False),
    Case("server_error", UNKNOWN, {"object": False}),
    Case("server_error", DELIVERED, {"object": False, "taken": True}),
    Case("garbage", DELIVERED),
    Case("garbage", UNKNOWN, {"taken": False}),
    Case("answer_without_id", DELIVERED),
    Case("answer_without_id", UNKNOWN, {"taken": False}),
    Case("huge_answer", DELIVERED),
    Case("huge_answer", UNKNOWN, {"taken": False}),
    Case("redirect", UNKNOWN),
    Case("too_many_requests", FAILURE_REASON_RATE_LIMITED),
    Case("too_many_requests", FAILURE_REASON_RATE_LIMITED, {"object": False, "retry_after_s": 1}),
    Case("error", FAILURE_REASON_RATE_LIMITED, {"code": 130429}),
    Case("error", FAILURE_REASON_RATE_LIMITED, {"code": 131056}, is_paused=False),
    Case("error", FAILURE_REASON_WINDOW_CLOSED, {"code": 131047}, is_paused=False),
    Case("error", FAILURE_REASON_DESTINATION_UNREACHABLE, {"code": 131026}, is_paused=False),
    Case("error", FAILURE_REASON_TEMPLATE_REJECTED, {"code": 132015}, is_paused=False),
    Case("error", FAILURE_REASON_CONTENT_UNSUPPORTED, {"code": 100}, is_paused=False),
)


def name_of(case: Case) -> str:
    return " ".join([case.name, *(f"{key}={value}" for key, value in case.told.items())])


@pytest.mark.parametrize("case", CASES, ids=name_of)
async def test_a_fault_of_a_request(desk: Bench, case: Case) -> None:
    desk.begin()
    desk.graph.faults.add(case.name, **case.told)
    command_id = desk.offer()
    await desk.settled(command_id)
    command = desk.command(command_id)
    if case.end == DELIVERED:
        await desk.delivered(command_id)
    elif case.end == UNKNOWN:
        assert command.state == UNKNOWN
    else:
        assert (command.state, command.reports[-1].failed.reason) == ("failed", case.end)
    if case.is_paused:
        # Where a status came instead of the answer, the driver still waits for that.
        await desk.until(lambda: bool(desk.changes()))
    await desk.check(refused=[command_id])
    if case.is_paused:
        # With room for one message where only that shows that Meta takes them again.
        await desk.given_out_until_taken(desk.offer())
        await desk.until(lambda: desk.changes()[-1].window == WINDOW)
    states = list(dict.fromkeys(change.state for change in desk.changes()))
    assert states == ([DEVICE_STATE_DEGRADED, DEVICE_STATE_ONLINE] if case.is_paused else [])


@pytest.mark.parametrize("name", [name for name, kind in FAULTS.items() if kind.when is not Occasion.REQUEST])
async def test_a_fault_of_statuses_and_webhooks(desk: Bench, name: str) -> None:
    desk.begin()
    if name == "statuses_late":
        desk.graph.faults.add(name, delay_s=0.05)
    else:
        desk.graph.faults.add(name)
    command_id = desk.offer()
    if name == "status_failed":
        await desk.until(lambda: desk.command(command_id).state == "failed")
        reasons = [report.failed.reason for report in desk.command(command_id).reports]
        assert FAILURE_REASON_DESTINATION_UNREACHABLE in reasons
        return
    if name == "statuses_lost":
        await desk.until(lambda: desk.command(command_id).state == "submitted")
        await desk.webhooks_are_through()
        desk.graph.report(desk.taken(command_id)[0].id, "delivered")
    await desk.delivered(command_id)
    await desk.check()
    assert desk.changes() == []


async def test_each_fault_of_a_request_has_a_case() -> None:
    assert {case.name for case in CASES} == {
        name for name, kind in FAULTS.items() if kind.when is Occasion.REQUEST
    }


async def test_what_has_nothing_to_do_with_a_message_changes_nothing_and_is_counted(desk: Bench) -> None:
    desk.begin()
    desk.graph.faults.add("statuses_lost")
    command_id = desk.offer()
    await desk.until(lambda: desk.command(command_id).state == "submitted")
    [taken] = desk.taken(command_id)
    before = desk.counts()
    desk.graph.report("wamid.unknown", "failed", code=131026)
    desk.graph.report("wamid.unknown", "delivered", callback_data="message-0-1:1001")
    desk.graph.report("wamid.unknown", "delivered", callback_data="' or 1=1 --")
    desk.graph.report("wamid.unknown", "delivered", callback_data=f"{command_id}:")
    desk.graph.report(taken.id, "failed", code=131026, number=NUMBERS[1])
    desk.graph.report(taken.id, "failed", code=131026, number=FOREIGN)
    desk.graph.faults.add("wrong_signature", skip=6)
    desk.graph.report(taken.id, "sent")
    await desk.webhooks_are_through()
    counted = {name: count - before.get(name, 0) for name, count in desk.counts().items()}
    assert counted["unknown_command"] == 5
    assert counted["unknown_number"] == 1
    assert counted["wrongly_signed"] == 1
    desk.graph.report(taken.id, "delivered")
    await desk.delivered(command_id)
    repeated = desk.counts().get("repeated", 0)
    desk.graph.report(taken.id, "delivered")
    await desk.webhooks_are_through()
    assert desk.counts()["repeated"] == repeated + 1
    assert "failed" not in desk.outcomes(command_id)
    await desk.check()


async def test_a_webhook_counts_for_the_numbers_of_the_app_that_signed_it_alone(tmp_path: Path) -> None:
    async with bench(tmp_path, secrets=[APP_SECRET, OTHER_SECRET]) as desk:
        other_app = FakeGraph(
            numbers=NUMBERS[1:],
            callback_url=desk.graph.callback.url,
            credentials=Credentials(app_secret=OTHER_SECRET),
        )
        desk.graph.faults.add("statuses_lost")
        command_id = desk.offer()
        await desk.until(lambda: desk.command(command_id).state == "submitted")
        [taken] = desk.taken(command_id)
        async with other_app:
            data = taken.callback_data
            other_app.report(taken.id, "failed", code=131026, callback_data=data, number=NUMBERS[0])
            other_app.inbound("+15551112222", text="signed by its own app")
            # The refused one comes again and again.
            await other_app.until(
                lambda: other_app.callback.delivered == 1 and other_app.callback.repeated > 0
            )
        desk.graph.report(taken.id, "delivered")
        await desk.delivered(command_id)
        await desk.webhooks_are_through()
        assert desk.counts()["wrongly_signed"] >= 1
        assert "failed" not in desk.outcomes(command_id)
        await desk.check()
        assert [message.text for message in desk.core.inbound] == ["signed by its own app"]


async def test_what_the_journal_cannot_take_is_not_taken_from_graph_and_comes_once_in_the_end(
    tmp_path: Path,
) -> None:
    # A driver of its own: in a journal that is used for long there is room without its file growing.
    async with bench(tmp_path) as desk:
        await desk.webhooks_are_through()
        desk.rig.fill_disk()
        desk.graph.inbound("+15551112222", text="while the disk is full")
        await desk.until(lambda: desk.graph.callback.repeated >= 2)
        assert desk.graph.callback.last_answer == "503"
        desk.rig.free_disk()
        await desk.webhooks_are_through()
        desk.graph.faults.add("webhook_doubled")
        desk.graph.inbound("+15551112222", text="and afterwards")
        await desk.until(lambda: len(desk.core.inbound) == 2)
        await desk.check()
        assert [message.text for message in desk.core.inbound] == ["while the disk is full", "and afterwards"]


@pytest.mark.parametrize("code", [190, 10, 131031, 131048])
async def test_what_needs_a_person_pauses_that_number_alone_and_says_what_to_do(
    desk: Bench, code: int
) -> None:
    desk.begin()
    desk.graph.faults.add("error", code=code)
    held = desk.offer()
    await desk.until(lambda: any(change.state == DEVICE_STATE_ATTENTION for change in desk.changes()))
    [change] = desk.changes()
    assert (change.window, bool(change.reason), bool(change.remedy)) == (0, True, True)
    assert desk.command(held).reports[-1].failed.reason == FAILURE_REASON_DEVICE_FAULT
    await desk.delivered(desk.offer(device=DEVICES[1]))
    assert desk.changes(DEVICES[1]) == []
    desk.write_token(desk.graph.new_token())
    await desk.until(lambda: desk.changes()[-1].state == DEVICE_STATE_ONLINE)
    await desk.delivered(await desk.given_out_until_taken(held))
    await desk.until(lambda: desk.core.window(DEVICES[0]) == WINDOW)


async def test_a_number_paces_itself_so_that_graph_never_has_to_refuse(desk: Bench) -> None:
    desk.begin()
    user = "+15559990000"
    ids = [desk.offer(to=user) for _ in range(50)]
    for command_id in ids:
        await desk.settled(command_id)
    refused = [command_id for command_id in ids if desk.command(command_id).state == "failed"]
    assert 0 < len(refused) <= WINDOW - WAITING_MAX
    for command_id in set(ids) - set(refused):
        await desk.delivered(command_id)
    for command_id in refused:
        report = desk.command(command_id).reports[-1]
        assert report.failed.reason == FAILURE_REASON_RATE_LIMITED
        assert report.retry_delay.ToTimedelta().total_seconds() > 0
        assert not desk.posts()[command_id]
    assert desk.changes() == []
    await desk.check()
