"""The account sends one message at a time to people who know it, and says what is certain and what is not."""

import asyncio
from pathlib import Path

import pytest

from drivers.whatsapp_web import config
from drivers.whatsapp_web.account import AccountFailed, MessageReceipt, NotSent, ReceiptKind
from drivers.whatsapp_web.config import Range
from infinireach.driver.v1.command_pb2 import MediaContent
from infinireach.v1.message_pb2 import (
    FAILURE_REASON_CONTENT_UNSUPPORTED,
    FAILURE_REASON_DESTINATION_INVALID,
    FAILURE_REASON_DESTINATION_UNREACHABLE,
    FAILURE_REASON_NO_SERVICE,
    FAILURE_REASON_RATE_LIMITED,
    MEDIA_TYPE_IMAGE,
    Media,
)
from tests.unit.drivers.whatsapp_web.at_work import PEER, PlayedAccount, World, command, incoming

GROUP = "120363041234567890@g.us"


async def test_who_has_written_is_answered_and_the_networks_id_is_reported(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.ready() as process:
        await world.account.tell(incoming())
        process.offer(command("c1", "hello"))
        assert await world.settled() == {"c1": "submitted"}
    assert world.sent == [(PEER, "hello")]
    assert list(world.reports("c1")[0].submitted.segment_references) == ["ID1"]


async def test_stranger_is_not_written_to(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.ready() as process:
        process.offer(command("c1"))
        await world.settled()
    failed = world.reports("c1")[0].failed
    assert failed.reason == FAILURE_REASON_DESTINATION_UNREACHABLE
    assert "INFINIREACH_WHATSAPP_WEB_FIRST_CONTACT" in failed.detail
    assert not world.sent


async def test_who_has_written_is_known_after_a_restart_by_number_and_by_hidden_id(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.ready():
        await world.account.tell(incoming(sender_ids=frozenset({PEER, "4711@lid"})))
    async with world.process() as process:
        await world.until(lambda: len(world.accounts) == 2)
        await world.until_reason("")
        process.offer(command("c1"), command("c2", to="4711@lid"))
        assert set((await world.settled()).values()) == {"submitted"}


async def test_first_contact_if_allowed_is_made_with_numbers_that_have_an_account(tmp_path: Path) -> None:
    world = World(tmp_path, **{config.FIRST_CONTACT.name: True})

    async def finds(number: str) -> str:
        return number if number == PEER else ""

    world.finds = finds
    async with world.ready() as process:
        process.offer(command("c1"), command("c2", to="+15550000000"))
        assert await world.settled() == {"c1": "submitted", "c2": "failed"}
    assert world.reports("c2")[0].failed.reason == FAILURE_REASON_DESTINATION_INVALID
    assert world.sent == [(PEER, "hello")]


async def test_number_that_whatsapp_writes_in_another_way_is_written_to_in_that_way(tmp_path: Path) -> None:
    world = World(tmp_path, **{config.FIRST_CONTACT.name: True})

    async def finds(number: str) -> str:
        return number.replace("+55119", "+5511")

    world.finds = finds
    async with world.ready() as process:
        process.offer(command("c1", to="+5511987654321"))
        assert await world.settled() == {"c1": "submitted"}
    assert world.sent == [("+551187654321", "hello")]


async def test_who_wrote_in_a_group_has_not_written_to_the_account(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.ready() as process:
        await world.account.tell(incoming(group_id=GROUP))
        process.offer(command("c1"))
        assert await world.settled() == {"c1": "failed"}


async def test_number_that_nobody_answers_about_is_tried_again_later(tmp_path: Path) -> None:
    world = World(tmp_path, **{config.FIRST_CONTACT.name: True})

    async def finds(number: str) -> str:
        raise AccountFailed("no answer")

    world.finds = finds
    async with world.ready() as process:
        process.offer(command("c1"))
        await world.settled()
    assert world.reports("c1")[0].failed.reason == FAILURE_REASON_NO_SERVICE
    assert not world.sent


async def test_group_is_written_to_without_being_asked_about(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.ready() as process:
        process.offer(command("c1", to=GROUP))
        assert await world.settled() == {"c1": "submitted"}
    assert world.sent == [(GROUP, "hello")]
    assert not world.asked


@pytest.mark.parametrize("to", ["US.13491208655302741918", "5511@broadcast", "15551112222", "+0123", ""])
async def test_destination_that_the_account_cannot_write_to_is_refused(tmp_path: Path, to: str) -> None:
    world = World(tmp_path, **{config.FIRST_CONTACT.name: True})
    async with world.ready() as process:
        process.offer(command("c1", to=to))
        await world.settled()
    assert world.reports("c1")[0].failed.reason == FAILURE_REASON_DESTINATION_INVALID
    assert not world.sent


async def test_file_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    picture = command("c1", to=GROUP)
    picture.media.CopyFrom(MediaContent(media=Media(type=MEDIA_TYPE_IMAGE, url="https://example.com/a.png")))
    async with world.ready() as process:
        process.offer(picture)
        await world.settled()
    assert world.reports("c1")[0].failed.reason == FAILURE_REASON_CONTENT_UNSUPPORTED
    assert not world.sent


async def test_refusal_of_whatsapp_is_a_failure_with_its_code(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def refuses(account: PlayedAccount, message_id: str) -> str:
        raise NotSent(FAILURE_REASON_RATE_LIMITED, "WhatsApp asks to slow down.", code="429")

    world.takes = refuses
    async with world.ready() as process:
        process.offer(command("c1", to=GROUP))
        await world.settled()
    failed = world.reports("c1")[0].failed
    assert (failed.reason, failed.network_code) == (FAILURE_REASON_RATE_LIMITED, "429")


async def test_answer_that_is_lost_leaves_the_outcome_unknown(tmp_path: Path) -> None:
    world = World(tmp_path)

    async def breaks(account: PlayedAccount, message_id: str) -> str:
        raise ConnectionError("websocket disconnected")

    world.takes = breaks
    async with world.ready() as process:
        process.offer(command("c1", to=GROUP))
        assert await world.settled() == {"c1": "outcome_unknown"}


async def test_process_that_dies_while_whatsapp_has_the_message_does_not_send_it_again(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    handed_over = asyncio.Event()

    async def keeps(account: PlayedAccount, message_id: str) -> str:
        handed_over.set()
        await asyncio.Event().wait()
        raise AssertionError

    world.takes = keeps
    async with world.ready() as process:
        process.offer(command("c1", to=GROUP))
        await handed_over.wait()
    async with world.process():
        assert await world.settled() == {"c1": "outcome_unknown"}
    assert len(world.sent) == 1


async def test_process_that_dies_in_the_pause_leaves_the_message_to_the_next(tmp_path: Path) -> None:
    world = World(tmp_path, **{config.PAUSE.name: Range(1000.0, 1000.0)})
    async with world.ready() as process:
        process.offer(command("c1", to=GROUP))
        await world.until(lambda: world.core.commands["c1"].is_accepted)
        assert not world.sent
    world.settings[config.PAUSE.name] = Range(0.0, 0.0)
    async with world.process():
        assert await world.settled() == {"c1": "submitted"}
    assert len(world.sent) == 1


async def test_message_whose_deadline_passed_while_the_driver_was_away_is_not_sent(tmp_path: Path) -> None:
    world = World(tmp_path, **{config.PAUSE.name: Range(1000.0, 1000.0)})
    late = command("c1", to=GROUP)
    late.not_after.FromNanoseconds(world.clock.wall_ns() + 5_000_000_000)
    async with world.ready() as process:
        process.offer(late)
        await world.until(lambda: world.core.commands["c1"].is_accepted)
    world.clock.now_s += 10
    world.settings[config.PAUSE.name] = Range(0.0, 0.0)
    async with world.process():
        assert await world.settled() == {"c1": "failed"}
    assert not world.sent


@pytest.mark.parametrize("turns", range(6))
async def test_receipt_that_is_faster_than_the_outcome_is_reported_after_it(
    tmp_path: Path, turns: int
) -> None:
    world = World(tmp_path)
    telling: list[asyncio.Task[None]] = []

    async def takes(account: PlayedAccount, message_id: str) -> str:
        async def tell() -> None:
            # Before the driver has the answer, or while it writes it down.
            for _ in range(turns):
                await asyncio.sleep(0)
            await account.tell(MessageReceipt((message_id,), ReceiptKind.READ, 1_700_000_000.0))

        telling.append(asyncio.create_task(tell()))
        await asyncio.sleep(0)
        return message_id

    world.takes = takes
    async with world.ready() as process:
        process.offer(command("c1", to=GROUP))
        await world.until(lambda: world.core.states()["c1"] == "delivered")
        await asyncio.wait(telling)
    submitted, read = world.reports("c1")
    assert submitted.HasField("submitted")
    assert read.delivered.is_read
    assert read.delivered.network_time.seconds == 1_700_000_000


async def test_receipts_of_messages_that_the_phone_sent_are_nobodys(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.ready() as process:
        await world.account.tell(MessageReceipt(("PHONE1",), ReceiptKind.DELIVERED, 1.0))
        process.offer(command("c1", to=GROUP))
        await world.settled()
        await world.account.tell(MessageReceipt(("PHONE2", "ID1"), ReceiptKind.DELIVERED, 1.0))
        await world.until(lambda: world.core.states()["c1"] == "delivered")
    assert [len(entry.reports) for entry in world.core.commands.values()] == [2]


async def test_receipt_after_a_restart_finds_its_message(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.ready() as process:
        process.offer(command("c1", to=GROUP))
        await world.settled()
    async with world.process():
        await world.until(lambda: len(world.accounts) == 2)
        await world.account.tell(MessageReceipt(("ID1",), ReceiptKind.DELIVERED, 1.0))
        await world.until(lambda: world.core.states()["c1"] == "delivered")
