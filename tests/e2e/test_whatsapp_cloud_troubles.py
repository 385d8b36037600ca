"""WhatsApp through Meta's Cloud API on bad days: webhooks that are not as they should be, limits, a token that ends."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from drivers.whatsapp_cloud.fake_graph import Number, Taken
from tests.e2e.gateway import Client, eventually
from tests.e2e.hooks import hook
from tests.e2e.whatsapp_world import (
    DELIVERED,
    NUMBER,
    NUMBERS,
    READ,
    SENT,
    World,
    device_is,
    read,
    send,
    whatsapp_world,
)
from tests.fakes.whatsapp_files import write_secret

pytestmark = pytest.mark.asyncio(loop_scope="module")

FOREIGN = Number("+15550009999", "999")
KILLS, MESSAGES_PER_KILL = 6, 5


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[World]:
    async with whatsapp_world(tmp_path_factory.mktemp("whatsapp")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def caller(world: World) -> AsyncGenerator[Client]:
    """A caller with a key of the demo tenant; afterwards Graph is well again."""
    async with world.gateway.client() as client:
        yield client
    world.graph.faults.clear()
    world.graph.resume_webhooks()


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
    [user] = await world.users_who_wrote(1)
    world.graph.faults.add(fault)
    async with hook(caller, [SENT, DELIVERED, READ]) as receiving:
        message_id = await send(caller, user)
        await receiving.wait_for(message_id, READ)
        await world.webhooks_are_through()
        # A message after it: whatever there was to be told of the first one has been told by then.
        await receiving.wait_for(await send(caller, user), READ)
        assert sorted(receiving.names(message_id)) == [DELIVERED, READ, SENT]


async def test_webhooks_that_waited_and_come_shuffled_settle_every_message(
    world: World, caller: Client
) -> None:
    users = await world.users_who_wrote(5)
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
    [taken] = world.taken(user)
    await world.webhooks_are_through()
    before = world.counters()
    world.graph.report("wamid.unknown", "failed", code=131026)
    world.graph.report("wamid.unknown", "delivered", callback_data=f"{'0' * 24}-1:1001")
    world.graph.report("wamid.unknown", "delivered", callback_data="' or 1=1 --")
    world.graph.report(taken.id, "failed", code=131026, number=FOREIGN)
    world.graph.report(taken.id, "failed", code=131026, number=NUMBERS[1])
    await world.webhooks_are_through()
    # One after them, so that they have been looked at.
    await read(caller, await send(caller, user))
    message = await caller.get(f"/api/v1/messages/{message_id}")
    assert (message["status"], message["reason"]) == ("sent", None)
    counted = {name: count - before.get(name, 0) for name, count in world.counters().items()}
    assert counted["unknown_number"] == 1
    assert counted["unknown_command"] == 4


# Limits, and a token that ends.


async def test_a_pair_limit_holds_back_one_recipient_and_nobody_else(world: World, caller: Client) -> None:
    slow, *others = await world.users_who_wrote(4)
    world.graph.faults.add("error", code=131056, recipient=slow)
    held = await send(caller, slow)
    await world.graph.until(lambda: not world.graph.faults.all())
    for message_id in [await send(caller, user) for user in others]:
        await read(caller, message_id)
    assert (await caller.get(f"/api/v1/messages/{held}"))["status"] in {"scheduled", "pending"}
    assert (await device_is(caller, "online"))["statusReason"] is None
    assert (await read(caller, held))["status"] == "delivered"
    assert len(world.taken(slow)) == 1


@pytest.mark.parametrize(
    ("fault", "told"), [("too_many_requests", {"object": False}), ("error", {"code": 130429})]
)
async def test_a_limit_of_the_number_slows_it_down_and_nothing_is_lost_or_sent_twice(
    world: World, caller: Client, fault: str, told: dict[str, Any]
) -> None:
    users = await world.users_who_wrote(4)
    world.graph.faults.add(fault, **told)
    ids = [await send(caller, user) for user in users]
    for message_id in ids:
        assert (await read(caller, message_id))["status"] == "delivered"
    for user in users:
        assert len(world.taken(user)) == 1


async def test_a_number_that_may_send_less_than_it_thinks_sends_everything_once(
    world: World, caller: Client
) -> None:
    users = await world.users_who_wrote(12)
    refused = world.graph.requests - len(world.graph.taken)
    world.graph.rules.messages_per_s = 3
    for message_id in [await send(caller, user) for user in users]:
        await read(caller, message_id, within_s=60)
    world.graph.rules.messages_per_s = 80
    assert world.graph.requests - len(world.graph.taken) > refused, "it was never too fast"
    to = Counter(each.recipient.id for each in world.graph.taken)
    assert {to[user[1:]] for user in users} == {1}


async def test_a_token_that_is_refused_pauses_the_device_with_a_remedy_until_its_file_is_replaced(
    world: World, caller: Client
) -> None:
    users = await world.users_who_wrote(3)
    world.graph.revoke_token()
    ids = [await send(caller, user) for user in users]
    device = await device_is(caller, "attention", reason="token_refused")
    assert "token_file" in device["remedy"]
    for message_id in ids:
        assert (await caller.get(f"/api/v1/messages/{message_id}"))["status"] != "failed"
    assert not any(world.taken(user) for user in users)
    write_secret(world.token_file, world.graph.new_token())
    await device_is(caller, "online")
    for message_id in ids:
        assert (await read(caller, message_id))["status"] == "delivered"
    for user in users:
        assert len(world.taken(user)) == 1


async def test_a_driver_that_is_killed_before_the_answer_sends_nothing_twice_and_a_status_settles_it(
    world: World, caller: Client
) -> None:
    [user] = await world.users_who_wrote(1)
    world.graph.faults.add("no_answer")
    message_id = await send(caller, user)
    await world.graph.until(lambda: bool(world.taken(user)))
    world.kill()
    world.start_driver()
    assert (await read(caller, message_id))["status"] == "delivered"
    assert len(world.taken(user)) == 1


@pytest.mark.parametrize("seed", range(2))
async def test_whoever_is_killed_each_message_goes_out_once_and_its_end_is_known(
    world: World, caller: Client, seed: int
) -> None:
    chance = Random(seed)
    users = await world.users_who_wrote(KILLS * MESSAGES_PER_KILL)
    ids: dict[str, str] = {}
    for number in range(KILLS):
        left = chance.randint(1, MESSAGES_PER_KILL)
        is_core = chance.random() < 0.3
        is_dead = asyncio.Event()

        def kill(_: Taken, is_core: bool = is_core, is_dead: asyncio.Event = is_dead) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                world.kill(is_core=is_core)
                is_dead.set()

        world.graph.when_accepted = kill
        for user in users[number * MESSAGES_PER_KILL : (number + 1) * MESSAGES_PER_KILL]:
            ids[user] = await send_in_the_end(caller, user)
        await is_dead.wait()
        world.graph.when_accepted = nothing
        if not is_core:
            world.start_driver()
    for user, message_id in ids.items():
        await ended(world, caller, user, message_id)
        assert len(world.taken(user)) <= 1, "sent twice"


async def ended(world: World, client: Client, user: str, message_id: str) -> None:
    """Wait until a message was read, or until it is unknown what became of it and Graph never had it."""

    async def look() -> bool:
        answer = await client.request("GET", f"/api/v1/messages/{message_id}")
        if answer.status == 503:  # the core is not back yet
            return False
        message = answer.json
        return bool(message.get("readAt")) or (message["status"] == "unknown" and not world.taken(user))

    await eventually(look, f"the end of {message_id}", within_s=60)


async def send_in_the_end(client: Client, to: str) -> str:
    """Post a message until somebody takes it, with an id of ours so that it is accepted once."""

    async def post() -> str | None:
        body = {
            "to": to,
            "message": "Hello",
            "from": NUMBER,
            "channel": "whatsapp",
            "externalId": f"for-{to}",
        }
        answer = await client.request("POST", "/api/v1/messages", body)
        assert answer.status in {200, 201, 503}, answer
        return None if answer.status == 503 else answer.json["messageId"]

    return await eventually(post, f"a message to {to} is accepted", within_s=60)


def nothing(_: Taken) -> None:
    return None


async def test_no_log_shows_a_number_a_text_or_a_secret(world: World, caller: Client) -> None:
    world.check_logs("555777", "Hello?", "1 or 1=1")
