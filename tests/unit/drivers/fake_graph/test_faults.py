"""Each fault of the table, as the application sees it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from drivers.whatsapp_cloud.fake_graph import FAULTS, FakeGraph, FaultInvalid, Occasion
from tests.unit.drivers.fake_graph.application import USER, Application, Caller

OTHER = "+15551230001"
Check = Callable[[FakeGraph, Application, Caller], Awaitable[None]]
CHECKS: dict[str, Check] = {}


def check(function: Check) -> Check:
    """What is to be seen of the fault that the function is named for."""
    CHECKS[function.__name__] = function
    return function


async def got_nothing(caller: Caller) -> None:
    """A message is posted, and the connection ends without an answer."""
    with pytest.raises(aiohttp.ClientConnectionError):
        await caller.text()


@check
async def no_answer(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("no_answer", hang_s=0.01)
    await got_nothing(caller)
    graph.faults.add("no_answer", hang_s=0.01, taken=False)
    await got_nothing(caller)
    assert len(graph.taken) == 1
    await graph.until(lambda: graph.callback.delivered == 3)


@check
async def disconnect(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("disconnect", taken=False)
    await got_nothing(caller)
    assert graph.taken == []
    graph.faults.add("disconnect")
    await got_nothing(caller)
    assert len(graph.taken) == 1


@check
async def slow(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("slow", delay_s=0.01)
    assert (await caller.text()).id == graph.taken[0].id


async def test_statuses_come_although_the_answer_never_does(graph: FakeGraph, caller: Caller) -> None:
    graph.faults.add("no_answer")
    posting = asyncio.create_task(caller.text())
    await graph.until(lambda: graph.callback.delivered == 3)
    assert not posting.done()
    await graph.close()
    with pytest.raises(aiohttp.ClientConnectionError):
        await posting


@check
async def server_error(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("server_error")
    graph.faults.add("server_error", object=False, taken=True)
    first, second = await caller.text(), await caller.text()
    assert (first.status, first.code) == (500, 131000)
    assert (second.status, second.body) == (500, None)
    assert len(graph.taken) == 1


@check
async def garbage(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("garbage")
    answer = await caller.text()
    assert (answer.status, answer.body, len(graph.taken)) == (200, None, 1)


@check
async def answer_without_id(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("answer_without_id")
    answer = await caller.text()
    assert (answer.status, answer.body["messages"], len(graph.taken)) == (200, [], 1)


@check
async def huge_answer(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("huge_answer", taken=False)
    answer = await caller.text()
    assert (answer.status, answer.body, graph.taken) == (200, None, [])


@check
async def redirect(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("redirect")
    assert ((await caller.text()).status, graph.taken) == (307, [])


@check
async def too_many_requests(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("too_many_requests")
    graph.faults.add("too_many_requests", object=False, retry_after_s=7)
    first, second = await caller.text(), await caller.text()
    assert (first.status, first.code, second.status, second.body) == (429, 4, 429, None)
    assert graph.taken == []


@check
async def error(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("error", code=131031, details="Locked.")
    graph.faults.add("error", code=777, status=418)
    first, second = await caller.text(), await caller.text()
    assert (first.status, first.code) == (403, 131031)
    assert first.body["error"]["error_data"]["details"] == "Locked."
    assert (second.status, second.code) == (418, 777)
    assert graph.taken == []


@check
async def status_before_answer(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("status_before_answer")
    await caller.text()
    assert app.statuses[:1] == ["sent"]
    await graph.until(lambda: graph.callback.delivered == 3)
    assert app.statuses == ["sent", "delivered", "read"]


@check
async def statuses_reordered(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("statuses_reordered")
    await caller.text()
    await graph.until(lambda: graph.callback.delivered == 3)
    assert app.statuses == ["read", "delivered", "sent"]


@check
async def statuses_doubled(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("statuses_doubled")
    await caller.text()
    await graph.until(lambda: graph.callback.delivered == 6)
    assert app.statuses == ["sent", "sent", "delivered", "delivered", "read", "read"]


@check
async def statuses_together(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("statuses_together")
    await caller.text()
    await graph.until(lambda: graph.callback.delivered == 1)
    assert app.statuses == ["read", "delivered", "sent"]


@check
async def statuses_lost(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("statuses_lost")
    await caller.text()
    second = await caller.text()
    await graph.until(lambda: graph.callback.delivered == 3)
    assert {each.value["statuses"][0]["id"] for each in app.received} == {second.id}


@check
async def statuses_late(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("statuses_late", delay_s=3600.0)
    await caller.text()
    soon = await caller.text()
    await graph.until(lambda: graph.callback.delivered == 3)
    assert {each.value["statuses"][0]["id"] for each in app.received} == {soon.id}
    graph.faults.add("statuses_late", delay_s=0.05)
    await caller.text()
    await graph.until(lambda: graph.callback.delivered == 6)


@check
async def statuses_without_callback_data(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("statuses_without_callback_data")
    await caller.text()
    await graph.until(lambda: graph.callback.delivered == 3)
    assert not any("biz_opaque_callback_data" in each.value["statuses"][0] for each in app.received)


@check
async def status_failed(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("status_failed", code=131049)
    await caller.text()
    await graph.until(lambda: graph.callback.delivered == 1)
    assert app.received[0].value["statuses"][0]["errors"][0]["code"] == 131049


@check
async def wrong_signature(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("wrong_signature")
    app.answers = [401]
    graph.inbound(USER, text="Hello")
    await graph.until(lambda: graph.callback.delivered == 1)
    assert [each.is_signed for each in app.received] == [False, True]


@check
async def no_signature(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("no_signature")
    graph.inbound(USER, text="Hello")
    await graph.until(lambda: graph.callback.delivered == 1)
    assert app.received[0].signature is None


@check
async def malformed(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("malformed")
    graph.inbound(USER, text="Hello")
    await graph.until(lambda: graph.callback.delivered == 1)
    assert app.received[0].is_signed
    with pytest.raises(ValueError, match="line 1"):
        assert app.received[0].value


@check
async def webhook_doubled(graph: FakeGraph, app: Application, caller: Caller) -> None:
    graph.faults.add("webhook_doubled")
    graph.inbound(USER, text="Hello")
    await graph.until(lambda: graph.callback.delivered == 1)
    assert len(app.received) == 2
    assert app.received[0].body == app.received[1].body


@pytest.mark.parametrize("name", FAULTS)
async def test_the_fault_does_what_the_table_says_and_is_used_up(
    graph: FakeGraph, app: Application, caller: Caller, name: str
) -> None:
    await CHECKS[name](graph, app, caller)
    assert graph.faults.all() == []


async def test_a_fault_strikes_as_often_as_asked_after_what_is_skipped_and_one_recipient_alone(
    graph: FakeGraph, caller: Caller
) -> None:
    graph.faults.add("error", code=1, count=2, skip=1, recipient=USER)
    order = [USER, OTHER, USER, OTHER, USER, USER]
    assert [(await caller.text(to)).status for to in order] == [200, 200, 400, 200, 400, 200]


async def test_a_fault_without_a_count_lasts_until_it_is_cleared(graph: FakeGraph, caller: Caller) -> None:
    graph.faults.add("error", code=1, count=None)
    graph.faults.add("webhook_doubled", count=None)
    assert [(await caller.text()).status for _ in range(3)] == [400] * 3
    assert graph.faults.clear("error") == 1
    assert (await caller.text()).status == 200
    assert [fault.name for fault in graph.faults.all()] == ["webhook_doubled"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nothing", {}),
        ("slow", {"count": 0}),
        ("slow", {"skip": -1}),
        ("slow", {"surprise": 1}),
        ("slow", {"delay_s": "long"}),
        ("slow", {"delay_s": -1}),
        ("error", {"code": True}),
        ("malformed", {"recipient": USER}),
    ],
)
async def test_a_fault_that_cannot_be_is_refused(graph: FakeGraph, name: str, told: dict[str, Any]) -> None:
    with pytest.raises(FaultInvalid):
        graph.faults.add(name, **told)


def test_each_fault_has_an_occasion_and_a_check() -> None:
    assert set(CHECKS) == set(FAULTS)
    assert {kind.when for kind in FAULTS.values()} == set(Occasion)
