"""WhatsApp through Meta's Cloud API, from the REST request to the webhook: gateway, driver, and a fake Graph.

Everything of ours is a process of its own; only Graph is in the tests' own, so that they can look at it and spoil it.
"""

import json
import os
import subprocess
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from core.cli.roles import command_of
from drivers.runtime import control_socket
from drivers.whatsapp_cloud.fake_graph import FakeGraph, Inbound, Number, Template
from tests.e2e.gateway import STOP_S_MAX, WAIT_S_MAX, Client, Gateway, eventually, free_port, until
from tests.e2e.hooks import Hook, hook
from tests.integration.whatsapp_cloud.bench import DEVICES, whatsapp_toml, write_secret

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBERS = (Number("+15559870001", "1001"), Number("+15559870002", "1002"))
NUMBER = NUMBERS[0].number
FOREIGN = Number("+15550009999", "999")
SENT, DELIVERED, READ = "message.sent", "message.delivered", "message.read"
HELLO_WORLD = {"name": "hello_world", "language": "en_US"}


@dataclass(slots=True)
class World:
    """A gateway, a driver and a Graph."""

    gateway: Gateway
    graph: FakeGraph
    token_file: Path
    config: Path
    driver: subprocess.Popen[bytes] | None = None
    _users: int = 0

    def start_driver(self) -> None:
        """Run the driver as a person would."""
        environment = {
            **os.environ,
            "INFINIREACH_VAR": str(self.gateway.var),
            "INFINIREACH_DRIVER_CORE": self.gateway.run["grpc"],
            "INFINIREACH_WHATSAPP_CONFIG": str(self.config),
        }
        with (self.gateway.var / "logs" / "whatsapp.log").open("ab") as log:
            self.driver = subprocess.Popen(
                command_of("core.cli.main", "driver", "whatsapp-cloud"),
                env=environment,
                stdout=log,
                stderr=log,
            )

    def stop_driver(self) -> None:
        """End the driver in order."""
        if self.driver is not None:
            self.driver.terminate()
            self.driver.wait(STOP_S_MAX)

    def user(self) -> str:
        """A number that nobody wrote to yet."""
        self._users += 1
        return f"+1555777{self._users:04d}"

    def counters(self) -> dict[str, int]:
        """What the driver counted of webhooks."""
        path = self.gateway.var / "whatsapp.sock"
        return control_socket.ask(path, {"status": {}}, timeout_s=10)["counts"]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Generator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("whatsapp") / "var")
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(gateway: Gateway) -> AsyncGenerator[World]:
    port = free_port()
    folder = gateway.var.parent
    config, token_file, secret_file = folder / "whatsapp.toml", folder / "token", folder / "secret"
    async with FakeGraph(
        numbers=NUMBERS,
        templates=[Template("order", "de", parameters=2)],
        callback_url=f"http://127.0.0.1:{port}/whatsapp",
        retry_s=0.05,
    ) as graph:
        write_secret(token_file, graph.token)
        write_secret(secret_file, graph.credentials.app_secret)
        write_secret(config, whatsapp_toml(graph, port, token_file, [secret_file] * len(NUMBERS)))
        made = World(gateway, graph, token_file, config)
        try:
            made.start_driver()
            async with gateway.client() as client:
                await device_is(client, "online")
            yield made
        finally:
            made.stop_driver()


@pytest_asyncio.fixture(loop_scope="module")
async def caller(world: World) -> AsyncGenerator[Client]:
    """A caller with a key of the demo tenant; afterwards Graph is well again."""
    async with world.gateway.client() as client:
        yield client
    world.graph.faults.clear()
    world.graph.resume_webhooks()


async def device_is(client: Client, status: str, *, name: str = DEVICES[0], reason: str | None = None) -> Any:
    """A device, as soon as it is as wanted."""

    async def look() -> Any:
        for device in (await client.get("/api/v1/devices"))["devices"]:
            if (device["name"], device["status"]) == (name, status):
                return device if reason in {None, device["statusReason"]} else None
        return None

    return await eventually(look, f"{name} is {status} ({reason})", within_s=40)


async def send(client: Client, to: str, text: str | None = "Hello", **changes: Any) -> str:
    """Post a WhatsApp message; its id."""
    values = {"to": to, "message": text, "from": NUMBER, "channel": "whatsapp"} | changes
    return (await client.post("/api/v1/messages", {k: v for k, v in values.items() if v is not None}))[
        "messageId"
    ]


async def read(client: Client, message_id: str, *, within_s: float = WAIT_S_MAX) -> Any:
    """A message, as soon as its recipient has read it."""

    async def look() -> Any:
        found = await client.get(f"/api/v1/messages/{message_id}")
        return found if found.get("readAt") else None

    return await eventually(look, f"{message_id} is read", within_s=within_s)


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
    [taken] = [each for each in world.graph.taken if each.recipient.id == user[1:]]
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
        [taken] = [each for each in world.graph.taken if each.recipient.id == user[1:]]
        world.graph.inbound(Inbound(user, text="Thanks", reply_to=taken.id))
        [_, thanked] = await inbound(receiving, user, count=2)
    assert (thanked["body"], thanked["replyTo"]) == ("Thanks", message_id)
    shown = await caller.get(f"/api/v1/messages/{thanked['messageId']}")
    assert (shown["replyTo"], shown["direction"]) == (message_id, "inbound")


async def inbound(receiving: Hook, sender: str, *, count: int = 1) -> list[dict[str, Any]]:
    """What the webhooks told of a user's messages, as soon as there are so many."""

    def look() -> list[dict[str, Any]] | None:
        told = [json.loads(request.body)["data"] for request in receiving.receiver.requests]
        found = [data for data in told if data["from"] == sender]
        return found if len(found) >= count else None

    return await until(look, f"{count} messages come in")


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
    [taken] = [each for each in world.graph.taken if each.recipient.id == hidden]
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
    await world.graph.until(lambda: world.graph.callback.waiting == 0)
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
    [taken] = [each for each in world.graph.taken if each.recipient.id == user[1:]]
    assert taken.body["image"] == {"link": media["url"], "caption": "Here it is"}


# Webhooks that are not as they should be.


@pytest.mark.parametrize(
    "fault",
    [
        "statuses_reordered",
        "statuses_doubled",
        "statuses_together",
        "status_before_answer",
        "wrong_signature",
        "no_signature",
        "malformed",
        "webhook_doubled",
    ],
)
async def test_each_event_comes_once_whatever_happens_to_the_webhooks(
    world: World, caller: Client, fault: str
) -> None:
    user = world.user()
    world.graph.inbound(user, text="Hello?")
    await world.graph.until(lambda: world.graph.callback.waiting == 0)
    world.graph.faults.add(fault)
    async with hook(caller, [SENT, DELIVERED, READ]) as receiving:
        message_id = await send(caller, user)
        await receiving.wait_for(message_id, READ)
        await world.graph.until(lambda: world.graph.callback.waiting == 0)
        # A message after it: whatever there was to be told of the first one has been told by then.
        await receiving.wait_for(await send(caller, user), READ)
        assert sorted(receiving.names(message_id)) == [DELIVERED, READ, SENT]


async def test_webhooks_that_waited_and_come_shuffled_settle_every_message(
    world: World, caller: Client
) -> None:
    users = [world.user() for _ in range(5)]
    for user in users:
        world.graph.inbound(user, text="Hello?")
    await world.graph.until(lambda: world.graph.callback.waiting == 0)
    world.graph.pause_webhooks()
    ids = [await send(caller, user) for user in users]
    await world.graph.until(lambda: world.graph.callback.waiting == 15)
    world.graph.resume_webhooks(shuffled=Random(5))
    for message_id in ids:
        assert (await read(caller, message_id))["status"] == "delivered"


async def test_statuses_of_unknown_messages_and_foreign_numbers_change_nothing_and_are_counted(
    world: World, caller: Client
) -> None:
    user = world.user()
    world.graph.inbound(user, text="Hello?")
    world.graph.faults.add("statuses_lost")
    message_id = await send(caller, user)
    await caller.message_in(message_id, "sent")
    [taken] = [each for each in world.graph.taken if each.recipient.id == user[1:]]
    await world.graph.until(lambda: world.graph.callback.waiting == 0)
    before = world.counters()
    world.graph.report("wamid.unknown", "failed", code=131026)
    world.graph.report("wamid.unknown", "delivered", callback_data=f"{'0' * 24}-1:1001")
    world.graph.report("wamid.unknown", "delivered", callback_data="' or 1=1 --")
    world.graph.report(taken.id, "failed", code=131026, number=FOREIGN)
    world.graph.report(taken.id, "failed", code=131026, number=NUMBERS[1])
    await world.graph.until(lambda: world.graph.callback.waiting == 0)
    # One after them, so that they have been looked at.
    await read(caller, await send(caller, user))
    message = await caller.get(f"/api/v1/messages/{message_id}")
    assert (message["status"], message["reason"]) == ("sent", None)
    counted = {name: count - before.get(name, 0) for name, count in world.counters().items()}
    assert counted["unknown_number"] == 1
    assert counted["unknown_command"] == 4


# Limits, and a token that ends.


async def test_a_pair_limit_holds_back_one_recipient_and_nobody_else(world: World, caller: Client) -> None:
    slow, others = world.user(), [world.user() for _ in range(3)]
    for user in (slow, *others):
        world.graph.inbound(user, text="Hello?")
    await world.graph.until(lambda: world.graph.callback.waiting == 0)
    world.graph.faults.add("error", code=131056, recipient=slow)
    held = await send(caller, slow)
    await world.graph.until(lambda: not world.graph.faults.all())
    for message_id in [await send(caller, user) for user in others]:
        await read(caller, message_id)
    assert (await caller.get(f"/api/v1/messages/{held}"))["status"] in {"scheduled", "pending"}
    assert (await device_is(caller, "online"))["statusReason"] is None
    assert (await read(caller, held))["status"] == "delivered"
    assert len([each for each in world.graph.taken if each.recipient.id == slow[1:]]) == 1


@pytest.mark.parametrize(
    ("fault", "told"), [("too_many_requests", {"object": False}), ("error", {"code": 130429})]
)
async def test_a_limit_of_the_number_slows_it_down_and_nothing_is_lost_or_sent_twice(
    world: World, caller: Client, fault: str, told: dict[str, Any]
) -> None:
    users = [world.user() for _ in range(4)]
    for user in users:
        world.graph.inbound(user, text="Hello?")
    await world.graph.until(lambda: world.graph.callback.waiting == 0)
    world.graph.faults.add(fault, **told)
    ids = [await send(caller, user) for user in users]
    for message_id in ids:
        assert (await read(caller, message_id))["status"] == "delivered"
    for user in users:
        assert len([each for each in world.graph.taken if each.recipient.id == user[1:]]) == 1


async def test_a_number_that_may_send_less_than_it_thinks_sends_everything_once(
    world: World, caller: Client
) -> None:
    users = [world.user() for _ in range(30)]
    for user in users:
        world.graph.inbound(user, text="Hello?")
    await world.graph.until(lambda: world.graph.callback.waiting == 0)
    refused = world.graph.requests - len(world.graph.taken)
    world.graph.rules.messages_per_s = 10
    for message_id in [await send(caller, user) for user in users]:
        await read(caller, message_id, within_s=60)
    world.graph.rules.messages_per_s = 80
    assert world.graph.requests - len(world.graph.taken) > refused, "it was never too fast"
    to = Counter(each.recipient.id for each in world.graph.taken)
    assert {to[user[1:]] for user in users} == {1}


async def test_a_token_that_is_refused_pauses_the_device_with_a_remedy_until_its_file_is_replaced(
    world: World, caller: Client
) -> None:
    users = [world.user() for _ in range(3)]
    for user in users:
        world.graph.inbound(user, text="Hello?")
    await world.graph.until(lambda: world.graph.callback.waiting == 0)
    world.graph.revoke_token()
    ids = [await send(caller, user) for user in users]
    device = await device_is(caller, "attention", reason="token_refused")
    assert "token_file" in device["remedy"]
    for message_id in ids:
        assert (await caller.get(f"/api/v1/messages/{message_id}"))["status"] != "failed"
    assert not [each for each in world.graph.taken if each.recipient.id in {user[1:] for user in users}]
    write_secret(world.token_file, world.graph.new_token())
    await device_is(caller, "online")
    for message_id in ids:
        assert (await read(caller, message_id))["status"] == "delivered"
    for user in users:
        assert len([each for each in world.graph.taken if each.recipient.id == user[1:]]) == 1


async def test_a_driver_that_is_killed_before_the_answer_sends_nothing_twice_and_a_status_settles_it(
    world: World, caller: Client
) -> None:
    user = world.user()
    world.graph.inbound(user, text="Hello?")
    await world.graph.until(lambda: world.graph.callback.waiting == 0)
    world.graph.faults.add("no_answer")
    message_id = await send(caller, user)
    await world.graph.until(lambda: any(each.recipient.id == user[1:] for each in world.graph.taken))
    assert world.driver is not None
    world.driver.kill()
    world.driver.wait(STOP_S_MAX)
    world.start_driver()
    assert (await read(caller, message_id))["status"] == "delivered"
    assert len([each for each in world.graph.taken if each.recipient.id == user[1:]]) == 1


async def test_no_log_shows_a_number_a_text_or_a_secret(world: World, caller: Client) -> None:
    secrets = ["555777", "Hello via WhatsApp!", "Where is my order", "13491208655302741918"]
    secrets += [world.graph.token, world.graph.credentials.app_secret]
    for path in sorted((world.gateway.var / "logs").iterdir()):
        text = ""
        with suppress(OSError):
            text = path.read_text(encoding="utf-8")
        for secret in secrets:
            assert secret not in text, f"{path.name} shows {secret}"
