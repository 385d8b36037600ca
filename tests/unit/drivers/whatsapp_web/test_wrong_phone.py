"""Nothing is sent from a session that belongs to another number, and nothing that came to it is taken."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.whatsapp_web.account import AccountFailed, Connected, Event, MessageReceipt, ReceiptKind
from infinireach.v1.device_pb2 import DEVICE_STATE_ATTENTION
from tests.unit.drivers.whatsapp_web.at_work import NUMBER, SOON, PlayedAccount, World, command, incoming

GROUP = "120363041234567890@g.us"


async def test_wrong_phone_is_not_used(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.number = "+15550009999"
    async with world.process() as process:
        told = await world.until_reason("wrong_account")
        assert (told.state, told.window) == (DEVICE_STATE_ATTENTION, 0)
        assert world.number not in told.remedy
        await world.until(world.account.is_closed.is_set)
        process.offer(command("c1", to=GROUP))
    assert not world.sent
    assert len(world.accounts) == 1


@pytest.mark.parametrize(
    "greeting",
    [[Connected(), incoming("X1", "private")], [incoming("X1", "private"), Connected()]],
    ids=["after it was found out", "before the library says that it is connected"],
)
async def test_nothing_is_taken_from_the_wrong_phone(tmp_path: Path, greeting: list[Event]) -> None:
    world = World(tmp_path)
    world.number = "+15550009999"
    world.greeting = greeting
    async with world.process():
        await world.until_reason("wrong_account")
        await world.account.tell(incoming("X2", "more of it"))
    world.number = NUMBER
    world.greeting = [Connected()]
    async with world.ready() as process:
        # Nor is the one who wrote to it known.
        process.offer(command("c1"))
        assert await world.settled() == {"c1": "failed"}
        await world.account.tell(incoming("IN1", "for the right one"))
        await world.until(lambda: bool(world.core.inbound))
    assert [message.text for message in world.core.inbound] == ["for the right one"]


async def test_nothing_is_reported_of_the_wrong_phones_messages(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.ready() as process:
        process.offer(command("c1", to=GROUP))
        await world.settled()
    world.number = "+15550009999"
    world.greeting = [MessageReceipt(("ID1",), ReceiptKind.DELIVERED, 1.0), Connected()]
    async with world.process():
        await world.until_reason("wrong_account")
    assert world.core.states() == {"c1": "submitted"}


async def test_message_before_the_library_is_connected_waits_until_it_says_whose_session_it_is(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    asked, answer = asyncio.Event(), asyncio.Event()

    async def owns(account: PlayedAccount) -> str:
        asked.set()
        await answer.wait()
        return NUMBER

    world.owns = owns
    world.greeting = [incoming("IN1"), Connected()]
    async with world.process():
        await asked.wait()
        assert not world.core.inbound
        answer.set()
        await world.until_reason("")
        await world.until(lambda: bool(world.core.inbound))


async def test_session_whose_owner_the_library_does_not_say_is_opened_anew_and_not_used(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)

    async def fails(account: PlayedAccount) -> str:
        world.owns = world.own_number
        raise AccountFailed("no answer")

    world.owns = fails
    async with world.process():
        await world.until(lambda: len(world.accounts) == 2)
        await world.until_reason("")
    assert [change.reason for change in world.core.device_changes] == ["library_failed", ""]


async def test_library_that_never_says_whose_session_it_is_is_opened_anew(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.waits = replace(SOON, question_s=0.01)

    async def hangs(account: PlayedAccount) -> str:
        world.owns = world.own_number
        await asyncio.Event().wait()
        raise AssertionError

    world.owns = hangs
    async with world.process():
        await world.until(lambda: len(world.accounts) == 2)
        await world.until_reason("")
