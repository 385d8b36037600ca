"""WhatsApp through Meta's Cloud API, from the REST request to the webhook and back."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio

from drivers.whatsapp_cloud.fake_graph import Inbound
from tests.e2e.gateway import Client
from tests.e2e.hooks import hook
from tests.e2e.whatsapp_world import (
    DELIVERED,
    NUMBER,
    NUMBERS,
    READ,
    SENT,
    World,
    device_is,
    inbound,
    read,
    send,
    whatsapp_world,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO_WORLD = {"name": "hello_world", "language": "en_US"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[World]:
    async with whatsapp_world(tmp_path_factory.mktemp("whatsapp")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def caller(world: World) -> AsyncGenerator[Client]:
    """A caller with a key of the demo tenant."""
    async with world.gateway.client() as client:
        yield client


async def test_the_device_says_what_it_can(world: World, caller: Client) -> None:
    device = await device_is(caller, "online")
    features = device["features"]
    assert (features["templates"], features["readReports"], features["textMax"]) == (True, True, 4096)
    assert set(features["media"]) == {"image", "video", "audio", "document", "sticker"}


async def test_a_message_is_sent_delivered_and_read_and_signed_webhooks_say_so(
    world: World, caller: Client
) -> None:
    user = world.user()
    world.graph.inbound(user, text="Hello?")
    async with hook(caller, [SENT, DELIVERED, READ]) as receiving:
        message_id = await send(caller, user, "Hello via WhatsApp!")
        for name in (SENT, DELIVERED, READ):
            receiving.verify(await receiving.wait_for(message_id, name))
        assert receiving.names(message_id) == [SENT, DELIVERED, READ]
        message = await read(caller, message_id)
        assert message["status"] == "delivered"
        assert message["createdAt"] <= message["sentAt"]
        [_, _, last] = receiving.events(message_id)
        assert last["data"]["readAt"] == message["readAt"]
    [taken] = world.taken(user)
    assert (taken.text, taken.number.number, taken.type) == ("Hello via WhatsApp!", NUMBER, "text")


async def test_a_user_writes_is_answered_and_answers_again(world: World, caller: Client) -> None:
    user = world.user()
    async with hook(caller, ["message.inbound"]) as receiving:
        world.graph.inbound(Inbound(user, text="Where is my order?", name="A customer"))
        [asked] = await inbound(receiving, user)
        assert (asked["body"], asked["senderName"], asked["to"]) == (
            "Where is my order?",
            "A customer",
            NUMBER,
        )
        message_id = await send(caller, user, "On its way.")
        await read(caller, message_id)
        [taken] = world.taken(user)
        world.graph.inbound(Inbound(user, text="Thanks", reply_to=taken.id))
        [_, thanked] = await inbound(receiving, user, count=2)
    assert (thanked["body"], thanked["replyTo"]) == ("Thanks", message_id)
    shown = await caller.get(f"/api/v1/messages/{thanked['messageId']}")
    assert (shown["replyTo"], shown["direction"]) == (message_id, "inbound")


async def test_pictures_and_users_who_hide_their_number_come_in_and_are_answered(
    world: World, caller: Client
) -> None:
    hidden = "US.13491208655302741918"
    async with hook(caller, ["message.inbound"]) as receiving:
        world.graph.inbound(Inbound(hidden, type="image", text="This one?"))
        [told] = await inbound(receiving, hidden)
    assert (told["body"], told["media"]["type"]) == ("This one?", "image")
    message_id = await send(caller, hidden, "That one.")
    await read(caller, message_id)
    [taken] = world.taken(hidden)
    assert taken.recipient.is_user_id


async def test_a_group_is_answered_under_the_id_that_its_messages_name(world: World, caller: Client) -> None:
    group, user = "Y2FwaV9ncm91cDoxNzA1NTU1MDEzOToxMjAzNjM0MDQ2OTQyMzM4MjAZD", world.user()
    async with hook(caller, ["message.inbound"]) as receiving:
        world.graph.inbound(Inbound(user, text="All of you?", group_id=group), to=NUMBERS[1].number)
        [told] = await inbound(receiving, user)
    asked = await caller.get(f"/api/v1/messages/{told['messageId']}")
    sent = {"to": asked["groupId"], "message": "Yes", "from": NUMBERS[1].number, "channel": "whatsapp"}
    await read(caller, (await caller.post("/api/v1/messages", sent))["messageId"])
    [taken] = [each for each in world.graph.taken if each.recipient.is_group]
    assert (taken.recipient.id, taken.text) == (group, "Yes")
    refused = await caller.request("POST", "/api/v1/messages", sent | {"from": NUMBER})
    assert (refused.status, [fault["field"] for fault in refused.json["details"]]) == (400, ["to"])


@pytest.mark.parametrize("is_refused_at_once", [False, True])
async def test_outside_the_window_a_text_fails_with_a_hint_and_a_template_goes(
    world: World, caller: Client, is_refused_at_once: bool
) -> None:
    user = world.user()
    world.graph.rules.is_window_refused_at_once = is_refused_at_once
    failed = await caller.message_in(await send(caller, user), "failed")
    assert failed["reason"] == "window_closed"
    assert "template" in failed["reasonDetail"]
    message_id = await send(caller, user, None, template=HELLO_WORLD)
    shown = await read(caller, message_id)
    assert shown["template"]["name"] == "hello_world"
    world.graph.inbound(user, text="Now you may.")
    await world.webhooks_are_through()
    assert (await read(caller, await send(caller, user)))["status"] == "delivered"


async def test_a_template_with_the_wrong_parameters_is_refused_and_with_the_right_ones_goes(
    world: World, caller: Client
) -> None:
    def order(*words: str) -> dict[str, Any]:
        parameters = [{"type": "text", "text": word} for word in words]
        return {
            "name": "order",
            "language": "de",
            "components": [{"type": "body", "parameters": parameters}],
        }

    failed = await caller.message_in(await send(caller, world.user(), None, template=order("1")), "failed")
    assert failed["reason"] == "template_rejected"
    await read(caller, await send(caller, world.user(), None, template=order("1", "2")))


async def test_a_file_goes_with_its_caption(world: World, caller: Client) -> None:
    user = world.user()
    world.graph.inbound(user, text="Send me the picture")
    media = {"type": "image", "url": "https://example.com/picture.jpg"}
    await read(caller, await send(caller, user, "Here it is", media=media))
    [taken] = world.taken(user)
    assert taken.body["image"] == {"link": media["url"], "caption": "Here it is"}


async def test_no_log_shows_a_number_a_text_or_a_secret(world: World, caller: Client) -> None:
    world.check_logs("555777", "Hello via WhatsApp!", "Where is my order", "13491208655302741918")
