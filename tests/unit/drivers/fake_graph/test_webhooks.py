"""What the application is told: handshake, signatures, statuses, repetitions, and messages of users."""

import asyncio
from random import Random

from drivers.whatsapp_cloud.fake_graph import FakeGraph, Inbound, Number, Rules
from tests.unit.drivers.fake_graph.application import USER, Application, Caller

HIDDEN = "US.13491208655302741918"


async def delivered(graph: FakeGraph) -> None:
    """Until no webhook waits."""
    await graph.until(lambda: graph.callback.waiting == 0)


async def test_statuses_follow_in_their_order_signed_and_with_the_callback_data(
    graph: FakeGraph, app: Application, caller: Caller
) -> None:
    accepted = await caller.text()
    await graph.until(lambda: graph.callback.delivered == 3)
    assert app.statuses == ["sent", "delivered", "read"]
    assert all(each.is_signed for each in app.received)
    value = app.received[0].value
    assert value["metadata"] == {"display_phone_number": "15559870001", "phone_number_id": "100000000000001"}
    [status] = value["statuses"]
    assert (status["id"], status["recipient_id"]) == (accepted.id, USER[1:])
    assert status["biz_opaque_callback_data"] == "command-1"
    assert isinstance(status["timestamp"], str)
    assert int(status["timestamp"]) == int(graph.taken[0].at)


async def test_several_webhooks_are_under_way_at_the_same_time_where_that_is_wanted(
    graph: FakeGraph, app: Application, caller: Caller
) -> None:
    graph.callback.at_once = 3
    together = asyncio.Barrier(3)
    app.before_answer = together.wait
    await caller.text()
    await delivered(graph)
    assert sorted(app.statuses) == ["delivered", "read", "sent"]
    assert graph.callback.repeated == 0


async def test_users_who_do_not_read_are_not_said_to(
    graph: FakeGraph, app: Application, caller: Caller
) -> None:
    graph.rules.users_read = False
    await caller.text()
    await graph.until(lambda: graph.callback.delivered == 2)
    assert app.statuses == ["sent", "delivered"]


async def test_a_text_outside_the_window_is_accepted_and_fails_later(
    graph: FakeGraph, app: Application, caller: Caller
) -> None:
    graph.rules.is_window_open = False
    assert (await caller.text()).status == 200
    await graph.until(lambda: graph.callback.delivered == 1)
    [status] = app.received[0].value["statuses"]
    assert status["status"] == "failed"
    assert status["errors"][0]["code"] == 131047
    assert "24 hours" in status["errors"][0]["error_data"]["details"]


async def test_nothing_comes_before_the_application_has_answered_the_handshake(
    graph: FakeGraph, app: Application, caller: Caller
) -> None:
    app.knows_token = "another"
    await caller.text()
    await graph.until(lambda: app.handshakes > 1)
    assert (app.received, graph.callback.is_verified) == ([], False)
    app.knows_token = graph.credentials.verify_token
    await graph.until(lambda: graph.callback.delivered == 3)


async def test_what_is_not_answered_with_200_comes_again_behind_what_waited(
    graph: FakeGraph, app: Application, caller: Caller
) -> None:
    app.answers = [503, 200, 500]
    await caller.text()
    await graph.until(lambda: graph.callback.delivered == 3)
    assert app.statuses[:2] == ["sent", "delivered"]
    assert len(app.statuses) == 5
    assert set(app.statuses) == {"sent", "delivered", "read"}
    assert app.statuses.count("sent") > 1


async def test_paused_webhooks_wait_and_can_be_shuffled(
    graph: FakeGraph, app: Application, caller: Caller
) -> None:
    graph.pause_webhooks()
    for _ in range(3):
        await caller.text()
    await graph.until(lambda: graph.callback.waiting == 9)
    assert app.received == []
    graph.resume_webhooks(shuffled=Random(1))
    await delivered(graph)
    assert sorted(app.statuses) == ["delivered"] * 3 + ["read"] * 3 + ["sent"] * 3
    assert app.statuses != ["sent", "delivered", "read"] * 3


async def test_a_user_writes_and_answers(graph: FakeGraph, app: Application, caller: Caller) -> None:
    accepted = await caller.text()
    told = Inbound(USER, text="Thanks", name="A customer", reply_to=accepted.id)
    message_id = graph.inbound(told)
    await graph.until(lambda: graph.callback.delivered == 4)
    value = next(each.value for each in app.received if "messages" in each.value)
    [contact], [message] = value["contacts"], value["messages"]
    assert (contact["profile"]["name"], contact["wa_id"]) == ("A customer", USER[1:])
    assert (message["id"], message["from"], message["type"]) == (message_id, USER[1:], "text")
    assert message["text"] == {"body": "Thanks"}
    assert message["context"]["id"] == accepted.id
    assert "group_id" not in message


async def test_a_user_who_hides_the_number_writes_under_an_id(graph: FakeGraph, app: Application) -> None:
    graph.inbound(HIDDEN, text="Hello")
    await graph.until(lambda: graph.callback.delivered == 1)
    [contact], [message] = app.received[0].value["contacts"], app.received[0].value["messages"]
    assert contact["user_id"] == message["from_user_id"] == HIDDEN
    assert "wa_id" not in contact
    assert "from" not in message


async def test_images_and_messages_of_groups_come_in(graph: FakeGraph, app: Application) -> None:
    graph.inbound(Inbound(USER, type="image", text="A picture", group_id="group-1"))
    graph.inbound(Inbound(USER, type="location", content={"latitude": 1.5, "longitude": 2.5}))
    await graph.until(lambda: graph.callback.delivered == 2)
    [image], [location] = (each.value["messages"] for each in app.received)
    assert (image["group_id"], image["image"]["caption"]) == ("group-1", "A picture")
    assert image["image"]["mime_type"] == "image/jpeg"
    assert location["location"] == {"latitude": 1.5, "longitude": 2.5}


async def test_a_status_can_be_told_of_anything(graph: FakeGraph, app: Application) -> None:
    foreign = Number("+15550009999", "999")
    graph.report("wamid.unknown", "delivered", callback_data="other", number=foreign)
    graph.report("wamid.unknown", "failed", code=131026)
    await graph.until(lambda: graph.callback.delivered == 2)
    first, second = (each.value for each in app.received)
    assert first["metadata"]["phone_number_id"] == "999"
    assert first["statuses"][0]["biz_opaque_callback_data"] == "other"
    assert second["statuses"][0]["errors"][0]["code"] == 131026


async def test_a_second_number_of_the_application_writes_and_is_written_to(app: Application) -> None:
    numbers = [Number("+15550000001", "1"), Number("+15550000002", "2")]
    async with (
        FakeGraph(numbers=numbers, callback_url=app.url, rules=Rules(is_window_open=True)) as graph,
        Caller(graph) as caller,
    ):
        graph.inbound(USER, text="Hello", to="+15550000002")
        await graph.until(lambda: graph.callback.delivered == 1)
        assert app.received[0].value["metadata"]["phone_number_id"] == "2"
        assert (await caller.post({}, phone_number_id="3")).code == 100
