"""What people write to the account reaches the core once, whole, and before WhatsApp's next message is taken."""

import asyncio
from pathlib import Path

import pytest

from drivers.whatsapp_web import contacts, references
from drivers.whatsapp_web.account import Incoming, MessageReceipt, ReceiptKind
from drivers.whatsapp_web.incoming import RECEIPTS_WAITING_MAX, TEXT_CHARACTERS_MAX, Hearing
from infinireach.v1.message_pb2 import CHANNEL_WHATSAPP, MEDIA_TYPE_DOCUMENT, Media
from tests.unit.drivers.modem.memory_host import MemoryHost
from tests.unit.drivers.played_process import PATIENCE_S
from tests.unit.drivers.whatsapp_web.at_work import (
    NAME,
    NUMBER,
    PEER,
    PlayedAccount,
    World,
    command,
    incoming,
)

GROUP = "120363041234567890@g.us"


async def test_message_comes_in_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    media = Media(
        type=MEDIA_TYPE_DOCUMENT, filename="bill.pdf", mime_type="application/pdf", network_id="/v/1"
    )
    async with world.ready() as process:
        process.offer(command("c1", to=GROUP))
        await world.settled()
        message = incoming("IN1", "the bill", group_id=GROUP, sender_name="Ada", media=media, answers="ID1")
        await world.account.tell(message)
        await world.until(lambda: bool(world.core.inbound))
    (heard,) = world.core.inbound
    assert (heard.device_key, heard.channel, heard.source, heard.destination) == (
        NAME,
        CHANNEL_WHATSAPP,
        PEER,
        NUMBER,
    )
    assert (heard.text, heard.group_id, heard.sender_name) == ("the bill", GROUP, "Ada")
    assert heard.network_time.seconds == 1_700_000_000
    assert heard.media == media
    assert heard.reply_to_command_id == "c1"


async def test_message_that_whatsapp_hands_over_again_comes_in_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.ready():
        await world.account.tell(incoming("IN1"), incoming("IN1"))
    async with world.process():
        await world.until(lambda: len(world.accounts) == 2)
        await world.account.tell(incoming("IN1"), incoming("IN2", "second"))
        await world.until(lambda: len(world.core.inbound) > 1)
    assert [message.text for message in world.core.inbound] == ["hi", "second"]


async def test_same_id_in_another_chat_is_another_message(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.ready():
        await world.account.tell(incoming("IN1"), incoming("IN1", sender="+15553334444"))
        await world.account.tell(incoming("IN1", group_id=GROUP))
        await world.account.tell(incoming("IN1", sender="+15553334444", group_id=GROUP))
        await world.until(lambda: len(world.core.inbound) == 4)


HIDDEN = "4711@lid"


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (incoming("IN1"), incoming("IN1", sender_ids=frozenset({PEER, HIDDEN}))),
        (incoming("IN1", sender=HIDDEN), incoming("IN1", sender_ids=frozenset({PEER, HIDDEN}))),
    ],
    ids=["number first", "hidden first"],
)
async def test_message_that_comes_again_under_another_name_of_its_sender_comes_in_once(
    tmp_path: Path, first: Incoming, again: Incoming
) -> None:
    world = World(tmp_path)
    async with world.ready():
        await world.account.tell(first, again)
    async with world.process():
        await world.until(lambda: len(world.accounts) == 2)
        await world.account.tell(again, incoming("IN2", "second"))
        await world.until(lambda: any(message.text == "second" for message in world.core.inbound))
    assert [message.text for message in world.core.inbound] == ["hi", "second"]


async def test_receipt_of_a_message_that_the_phone_sent_holds_up_nothing_while_a_send_runs(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    may_take = asyncio.Event()

    async def takes(account: PlayedAccount, message_id: str) -> str:
        await may_take.wait()
        return message_id

    world.takes = takes
    async with world.ready() as process:
        process.offer(command("c1", to=GROUP))
        await world.until(lambda: bool(world.sent))
        nonsense = MessageReceipt(("ID1",), ReceiptKind.READ, 1e30)
        receipt = MessageReceipt(("PHONE1", "ID1"), ReceiptKind.DELIVERED, 1.0)
        telling = asyncio.create_task(world.account.tell(nonsense, receipt, incoming("IN1")))
        await world.until(lambda: bool(world.core.inbound))
        assert world.core.states() == {"c1": ""}
        may_take.set()
        await world.until(lambda: world.core.states()["c1"] == "delivered")
        await telling
        await world.until(lambda: len(world.reports("c1")) == 3)
        assert not await process.engine.read(f"whatsapp-web/{NAME}/receipt/")


async def test_receipt_that_was_put_aside_when_the_process_died_is_reported_by_the_next(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    async with world.ready() as process:
        process.offer(command("c1", to=GROUP))
        await world.settled()
        await process.engine.write({f"whatsapp-web/{NAME}/receipt/ID1/READ": b"1.0"})
    async with world.process() as process:
        await world.until(lambda: world.core.states()["c1"] == "delivered")
        assert not await process.engine.read(f"whatsapp-web/{NAME}/receipt/")
    assert world.reports("c1")[-1].delivered.is_read


async def test_receipts_that_wait_for_a_send_are_no_more_than_their_limit() -> None:
    host = MemoryHost()
    context = host.context()
    hearing = Hearing(
        context,
        account=NAME,
        number=NUMBER,
        contacts=contacts.Contacts(context, NAME),
        references=references.References(context, NAME),
    )
    hearing.is_sending = lambda: True
    receipt = MessageReceipt(("PHONE1",), ReceiptKind.READ, 1.0)
    for _ in range(RECEIPTS_WAITING_MAX):
        await hearing.receipt(receipt)
    one_more = asyncio.create_task(hearing.receipt(receipt))
    await asyncio.sleep(0)
    assert not one_more.done()
    reporting = asyncio.create_task(hearing.keep_reporting())
    async with asyncio.timeout(PATIENCE_S):
        await one_more
    reporting.cancel()
    await asyncio.wait([reporting])


async def test_whatsapp_waits_while_the_journal_cannot_take_a_message(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.ready():
        world.journal.is_full = True
        telling = asyncio.create_task(world.account.tell(incoming("IN1"), incoming("IN2", "second")))
        # What was on its way to the journal before may be the first that it refuses.
        await world.until(lambda: world.journal.refusals > 1)
        assert not telling.done()
        assert not world.core.inbound
        world.journal.is_full = False
        await telling
        await world.until(lambda: [message.text for message in world.core.inbound] == ["hi", "second"])


async def test_texts_that_the_stream_cannot_carry_are_cut(tmp_path: Path) -> None:
    world = World(tmp_path)
    media = Media(filename="f" * 300, mime_type="m" * 300, network_id="n" * 300)
    async with world.ready():
        long = incoming("IN1", "x" * (TEXT_CHARACTERS_MAX + 1), sender_name="n" * 300, media=media)
        await world.account.tell(long)
        await world.until(lambda: bool(world.core.inbound))
    (heard,) = world.core.inbound
    assert len(heard.text) == TEXT_CHARACTERS_MAX
    assert len(heard.sender_name) == 100
    assert (len(heard.media.filename), len(heard.media.mime_type)) == (240, 100)
    assert not heard.media.network_id


async def test_receipt_of_a_command_that_the_journal_has_forgotten_is_not_reported(tmp_path: Path) -> None:
    world = World(tmp_path)
    key = f"whatsapp-web/{NAME}/message/OLD"
    async with world.process() as process:
        await process.engine.write({key: b"1000.0 a-command-of-long-ago"})
    async with world.process():
        await world.until(lambda: len(world.accounts) == 2)
        await world.account.tell(MessageReceipt(("OLD",), ReceiptKind.DELIVERED, 1.0), incoming())
        await world.until(lambda: bool(world.core.inbound))
    assert not [fact for fact in world.core.facts if fact.HasField("command_report")]


async def test_references_are_forgotten_after_a_month() -> None:
    host = MemoryHost()
    made = references.References(host.context(), NAME)
    await host.write(dict(made.add("OLD", "c1")))
    host.clock.now_s += references.AGE_MAX_S + 1
    await host.write(dict(made.add("NEW", "c2")))
    again = references.References(host.context(), NAME)
    await again.load()
    assert [again.command_of(each) for each in ("OLD", "NEW")] == ["", "c2"]
    assert made.command_of("OLD") == ""


async def test_references_are_no_more_than_their_limit() -> None:
    host = MemoryHost()
    made = references.References(host.context(), NAME)
    for number in range(references.REFERENCES_MAX + 1):
        host.clock.now_s += 0.001
        await host.write(dict(made.add(f"ID{number}", f"c{number}")))
        made.written(f"ID{number}")
    assert len(host.stored) == references.REFERENCES_MAX
    assert (made.command_of("ID0"), made.command_of("ID1")) == ("", "c1")


async def test_contacts_are_no_more_than_their_limit_and_the_first_goes_first() -> None:
    host = MemoryHost()
    made = contacts.Contacts(host.context(), NAME)
    for number in range(contacts.CONTACTS_MAX + 1):
        await host.write(dict(made.heard([f"+{number}"], time_ns=number)))
    assert not made.heard(["+7"], time_ns=1)
    again = contacts.Contacts(host.context(), NAME)
    await again.load()
    assert "+0" not in again
    assert "+1" in again
    assert len(host.stored) == contacts.CONTACTS_MAX
