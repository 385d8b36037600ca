"""What the fake Graph is told through its control socket, and what it answers."""

from typing import Any

import pytest

from drivers.runtime.control_socket import RequestRefused
from drivers.whatsapp_cloud.fake_graph import FakeGraph
from drivers.whatsapp_cloud.fake_graph.orders import Orders
from tests.unit.drivers.fake_graph.application import USER, Application, Caller


@pytest.fixture
def tokens() -> list[str]:
    """The tokens that orders made."""
    return []


@pytest.fixture
def orders(graph: FakeGraph, tokens: list[str]) -> Orders:
    return Orders(graph, token_changed=tokens.append)


async def test_a_user_writes(graph: FakeGraph, app: Application, orders: Orders) -> None:
    told = {"from": USER, "body": "A picture", "kind": "image", "reply_to": "wamid.x", "group_id": "group-1"}
    answer = await orders.carry_out({"inbound": told})
    await graph.until(lambda: graph.callback.delivered == 1)
    [message] = app.received[0].value["messages"]
    assert (message["id"], message["image"]["caption"]) == (answer["id"], "A picture")
    assert (message["context"]["id"], message["group_id"]) == ("wamid.x", "group-1")


async def test_a_new_token_replaces_one_that_was_revoked(
    orders: Orders, caller: Caller, tokens: list[str]
) -> None:
    await orders.carry_out({"token": {"revoke": True}})
    assert (await caller.text()).code == 190
    await orders.carry_out({"token": {}})
    [caller.token] = tokens
    assert (await caller.text()).status == 200


async def test_webhooks_wait_and_go_to_another_address(
    graph: FakeGraph, app: Application, orders: Orders
) -> None:
    await orders.carry_out({"webhooks": {"paused": True}})
    await orders.carry_out({"inbound": {"from": USER}})
    state = await orders.carry_out({"state": {}})
    assert (state["webhooks"]["is_paused"], state["webhooks"]["waiting"]) == (True, 1)
    assert app.received == []
    await orders.carry_out({"webhooks": {"url": app.url + "?second", "paused": False}})
    await graph.until(lambda: graph.callback.delivered == 1)


async def test_faults_and_rules_change_what_is_accepted(orders: Orders, caller: Caller) -> None:
    await orders.carry_out({"fault": {"name": "error", "code": 1, "to": USER, "lasting": True}})
    assert [(await caller.text()).status for _ in range(2)] == [400, 400]
    [fault] = (await orders.carry_out({"state": {}}))["faults"]
    assert (fault["name"], fault["code"], fault["count"], fault["to"]) == ("error", 1, None, USER[1:])
    assert await orders.carry_out({"clear": {}}) == {"cleared": 1}
    await orders.carry_out({"rules": {"is_window_open": False, "is_window_refused_at_once": True}})
    assert (await caller.text()).code == 131047
    await orders.carry_out({"inbound": {"from": USER}})
    assert (await caller.text()).status == 200
    await orders.carry_out({"clock": {"advance_s": 90_000}})
    assert (await caller.text()).code == 131047


async def test_what_was_taken_is_shown(orders: Orders, caller: Caller, graph: FakeGraph) -> None:
    first, second = await caller.text(), await caller.text()
    await graph.until(lambda: graph.callback.delivered == 6)
    shown = (await orders.carry_out({"taken": {}}))["messages"]
    assert [each["id"] for each in shown] == [first.id, second.id]
    assert shown[0]["statuses"] == ["sent", "delivered", "read"]
    [last] = (await orders.carry_out({"taken": {"last": 1}}))["messages"]
    assert (last["to"], last["body"], last["callback_data"]) == (USER[1:], "Hello", "command-1")


@pytest.mark.parametrize(
    ("order", "word"),
    [
        ([], "object"),
        ({}, "one key"),
        ({"state": {}, "taken": {}}, "one key"),
        ({"dance": {}}, "one key"),
        ({"state": 1}, "state"),
        ({"state": {"surprise": 1}}, "surprise"),
        ({"inbound": {"body": "x"}}, "from"),
        ({"inbound": {"from": "Bank"}}, "from"),
        ({"inbound": {"from": USER, "to": "+15550000000"}}, "to"),
        ({"inbound": {"from": USER, "body": "x" * 20_001}}, "body"),
        ({"inbound": {"from": USER, "body": 1}}, "body"),
        ({"status": {"id": "wamid.x", "status": "lost"}}, "status"),
        ({"fault": {"name": "nothing"}}, "nothing"),
        ({"fault": {"name": "slow", "delay_s": []}}, "fault"),
        ({"rules": {"users_read": 1}}, "users_read"),
        ({"rules": {"messages_per_s": True}}, "messages_per_s"),
        ({"clock": {"advance_s": -1}}, "advance_s"),
        ({"taken": {"last": 0}}, "last"),
    ],
)
async def test_an_order_that_cannot_be_is_refused_with_what_is_wrong(
    orders: Orders, order: Any, word: str
) -> None:
    with pytest.raises(RequestRefused, match=word):
        await orders.carry_out(order)
