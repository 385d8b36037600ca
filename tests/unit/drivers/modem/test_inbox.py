"""What comes in: journal, network, core and memory in the right order; nothing lost, nothing twice, nothing loops."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.modem.at.results import CommandRefused, Domain
from drivers.modem.codec import deliver_pdus, encode_deliver, encode_octets_deliver
from tests.unit.drivers.modem.at_work import NUMBER, SHORT, World, command

SENT_AT = datetime(2026, 11, 3, 10, 0, tzinfo=UTC)
SENDER = "+491701234567"


def text(body: str, *, originator: str = SENDER, seconds: int = 0) -> str:
    """The PDU of a message."""
    return encode_deliver(body, originator=originator, sent_at=SENT_AT + timedelta(seconds=seconds)).hex


async def test_stored_message_reaches_the_core_and_leaves_its_slot() -> None:
    world = World()
    async with world.process() as process:
        process.comes_in(text("Grüße 👋"))
        await world.cleared()
    (message,) = world.core.inbound
    assert (message.source, message.destination, message.text) == (SENDER, NUMBER, "Grüße 👋")
    assert message.network_time.ToDatetime(UTC) == SENT_AT


async def test_slot_is_kept_until_the_core_has_the_message() -> None:
    world = World()
    world.core.acknowledges = False
    async with world.process() as process:
        process.comes_in(text("hello"))
        await world.until(lambda: world.texts() == ["hello"])
        await process.inbox.sweep(world.line)
        assert "AT+CMGD=1" not in world.modem.executed
        world.core.acknowledge()
        process.pump()
        await world.cleared()


async def test_message_that_waited_for_the_core_over_a_restart_is_told_once() -> None:
    world = World()
    world.core.acknowledges = False
    async with world.process() as process:
        process.comes_in(text("hello"))
        await world.until(lambda: world.texts() == ["hello"])
    async with world.process() as process:
        world.core.acknowledges = True
        world.core.acknowledge()
        process.pump()
        await world.cleared()
    assert world.texts() == ["hello"]


async def test_what_lies_in_the_modems_memory_is_told_once_though_its_sim_is_changed() -> None:
    world = World()
    world.core.acknowledges = False
    long = deliver_pdus("ab" * 100, originator=SENDER, sent_at=SENT_AT, reference=1)
    async with world.process() as process:
        for pdu in (text("short"), *(part.hex for part in long)):
            process.comes_in(pdu)
        await world.until(lambda: len(world.texts()) == 2)
    world.line = replace(world.line, iccid="8949000000000000002", number="+15550000002")
    async with world.process() as process:
        world.core.acknowledges = True
        world.core.acknowledge()
        process.pump()
        await world.cleared()
    assert sorted(world.texts()) == ["ab" * 100, "short"]
    assert {message.destination for message in world.core.inbound} == {NUMBER}


async def test_message_whose_notice_was_lost_is_found_by_the_next_sweep() -> None:
    world = World()
    world.modem.stores(text("before the start"))
    async with world.process() as process:
        await world.cleared()
        world.modem.stores(text("without a notice"))
        before = process.inbox.counts["unannounced"]
        await process.inbox.sweep(world.line)
        assert process.inbox.counts["unannounced"] == before + 1
        await world.cleared()
    assert world.texts() == ["before the start", "without a notice"]


async def test_slot_that_holds_another_message_by_now_is_left_alone_and_read() -> None:
    world = World()
    world.core.acknowledges = False
    async with world.process() as process:
        index = process.comes_in(text("first"))
        await world.until(lambda: world.texts() == ["first"])
        world.modem.memory["ME"][index] = text("second")
        world.core.acknowledges = True
        world.core.acknowledge()
        process.pump()
        await process.inbox.sweep(world.line)
        await world.cleared()
    assert world.texts() == ["first", "second"]


async def test_same_message_in_two_slots_is_told_once() -> None:
    world = World()
    async with world.process() as process:
        process.comes_in(text("hello"))
        process.comes_in(text("hello"))
        await world.cleared()
        process.comes_in(text("hello", seconds=1))
        await world.cleared()
    assert world.texts() == ["hello", "hello"]


async def test_equal_messages_without_a_time_are_all_told() -> None:
    # The time of the network stands before the length and the two septets of the text.
    pdu = text("ok")
    broken = pdu[:-20] + "F" * 14 + pdu[-6:]
    world = World()
    async with world.process() as process:
        for _ in range(2):
            process.comes_in(broken)
            await world.cleared()
    assert world.texts() == ["ok", "ok"]


async def test_direct_message_is_acknowledged_once_it_is_in_the_journal() -> None:
    world = World()
    world.line = replace(world.line, acknowledges=True, acknowledge_command="AT+CNMA=0")
    async with world.process() as process:
        process.says("+CMT", pdu=text("hello"))
        await world.until(lambda: "AT+CNMA=0" in world.modem.executed)
    assert world.texts() == ["hello"]


async def test_direct_message_is_not_acknowledged_while_the_journal_is_full() -> None:
    world = World()
    world.line = replace(world.line, acknowledges=True)
    async with world.process() as process:
        await world.until(lambda: "AT+CMGL=4" in world.modem.executed)
        world.journal.is_full = True
        process.says("+CMT", pdu=text("hello"))
        await world.until(lambda: process.inbox.counts["unwritable"] == 1)
        world.journal.is_full = False
        process.says("+CMT", pdu=text("hello"))
        await world.until(lambda: world.modem.executed.count("AT+CNMA") == 1)
    assert world.texts() == ["hello"]


async def test_direct_message_that_nobody_delivers_again_waits_for_the_journal() -> None:
    world = World()
    async with world.process() as process:
        await world.until(lambda: "AT+CMGL=4" in world.modem.executed)
        world.journal.is_full = True
        process.says("+CMT", pdu=text("hello"))
        await world.until(lambda: process.inbox.counts["unwritable"] >= 1)
        world.journal.is_full = False
        await world.until(lambda: world.texts() == ["hello"])
    assert "AT+CNMA" not in world.modem.executed


async def test_stored_message_waits_in_its_slot_while_the_journal_is_full() -> None:
    world = World()
    async with world.process() as process:
        await world.until(lambda: "AT+CMGL=4" in world.modem.executed)
        world.journal.is_full = True
        index = process.comes_in(text("hello"))
        await world.until(lambda: process.inbox.counts["unwritable"] >= 1)
        assert index in world.modem.memory["ME"]
        world.journal.is_full = False
        await process.inbox.sweep(world.line)
        await world.cleared()
    assert world.texts() == ["hello"]


async def test_acknowledgement_that_comes_too_late_leaves_doubt_whether_the_modem_goes_on() -> None:
    world = World(replace(SHORT, acknowledgement_s=0.0))
    world.line = replace(world.line, acknowledges=True)
    async with world.process() as process:
        process.says("+CMT", pdu=text("hello"))
        await world.until(lambda: process.driver.doubts == 1)


async def test_refused_acknowledgement_loses_nothing_and_leaves_doubt() -> None:
    world = World()
    world.line = replace(world.line, acknowledges=True)
    world.modem.refuses["AT+CNMA"] = CommandRefused("AT+CNMA", Domain.CMS, 340, "+CMS ERROR: 340")
    async with world.process() as process:
        process.says("+CMT", pdu=text("one"))
        process.says("+CMT", pdu=text("two"))
        await world.until(lambda: process.inbox.counts["acknowledgement_failed"] == 2)
        assert process.driver.doubts == 2
    assert world.texts() == ["one", "two"]


async def test_nearly_full_memory_gives_up_its_oldest_journalled_messages_before_the_core_has_them() -> None:
    world = World()
    world.modem.slots = 10
    world.core.acknowledges = False
    async with world.process() as process:
        for number in range(8):
            world.modem.stores(text(f"message {number}"))
        await process.inbox.sweep(world.line)
        await world.until(lambda: len(world.core.inbound) == 8)
        assert sorted(world.modem.memory["ME"]) == [2, 3, 4, 5, 6, 7, 8]
        await process.inbox.sweep(world.line)
        assert sorted(world.modem.memory["ME"]) == [2, 3, 4, 5, 6, 7, 8]
    assert sorted(world.texts()) == [f"message {number}" for number in range(8)]


async def test_pdu_that_cannot_be_read_is_told_as_it_is_and_does_not_block_its_slot() -> None:
    world = World()
    async with world.process() as process:
        for garbage in ("00", "0791", "XYZ", "07914477", "\x1b\ud800", "F" * 5_000, "00"):
            process.comes_in(garbage)
        process.comes_in(text("hello"))
        await world.cleared()
    *unreadable, last = sorted(world.texts())
    assert last == "hello"
    assert unreadable == [
        f"[message that cannot be read: {pdu}]"
        for pdu in ("00", "07914477", "0791", "F" * 1_000 + "…", "XYZ", "\\x1b\\ud800")
    ]
    assert {message.source for message in world.core.inbound} == {SENDER, "unknown"}


async def test_silent_messages_and_sim_data_are_dropped_with_a_count() -> None:
    world = World()
    silent = encode_octets_deliver(b"", originator=SENDER, sent_at=SENT_AT, protocol=0x40).hex
    data = encode_octets_deliver(b"x", originator=SENDER, sent_at=SENT_AT, protocol=0x7F, message_class=2).hex
    async with world.process() as process:
        process.comes_in(silent)
        process.comes_in(data)
        await world.cleared()
        assert process.inbox.counts["dropped_silent"] == 1
        assert process.inbox.counts["dropped_sim_data"] == 1
    assert world.texts() == []


async def test_data_for_an_application_is_told_as_what_it_is() -> None:
    world = World()
    async with world.process() as process:
        process.comes_in(encode_octets_deliver(b"\x01\xab", originator=SENDER, sent_at=SENT_AT).hex)
        ports = bytes.fromhex("0605040B8423F0")
        pdu = encode_octets_deliver(b"\x8c\x82", originator=SENDER, sent_at=SENT_AT, header=ports).hex
        process.comes_in(pdu)
        await world.cleared()
    assert world.texts()[0] == "[binary message, 2 octets: 01AB]"
    assert world.texts()[1].startswith("[MMS notification, ")


async def test_flash_message_is_a_text_like_any_other() -> None:
    world = World()
    async with world.process() as process:
        process.comes_in(encode_deliver("look", originator="INFO", sent_at=SENT_AT, message_class=0).hex)
        await world.cleared()
    assert (world.core.inbound[0].source, world.texts()) == ("INFO", ["look"])


async def test_report_that_lies_among_the_messages_is_taken_as_a_report() -> None:
    world = World()
    async with world.process() as process:
        process.offer(command("c"))
        await world.settled()
        process.comes_in(world.modem.report_of(world.modem.taken[0]))
        await world.cleared()
        await world.until(lambda: world.core.states() == {"c": "delivered"})
    assert world.texts() == []


async def test_report_is_read_once_and_its_slot_is_cleared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    execute = world.modem.execute

    async def take_its_time(command: str, **options: Any) -> Sequence[str]:
        for _ in range(10):
            await asyncio.sleep(0)
        return await execute(command, **options)

    monkeypatch.setattr(world.modem, "execute", take_its_time)
    async with world.process() as process:
        process.offer(command("c"))
        await world.settled()
        await process.inbox.sweep(world.line)
        before = len(world.modem.executed)
        process.comes_in(world.modem.report_of(world.modem.taken[0]))
        await world.cleared()
        await process.inbox.sweep(world.line)
    asked = [each for each in world.modem.executed[before:] if each.startswith("AT+CMG")]
    assert asked == ["AT+CMGR=1", "AT+CMGR=1", "AT+CMGD=1", "AT+CMGL=4"]


async def test_stored_report_is_read_from_the_memory_that_its_notice_names() -> None:
    world = World()
    world.modem.memory["SR"] = {}
    async with world.process() as process:
        process.offer(command("c"))
        await world.settled()
        index = world.modem.stores(world.modem.report_of(world.modem.taken[0]), store="SR")
        process.says("+CDSI", parameters=f'"SR",{index}')
        await world.until(lambda: world.core.states() == {"c": "delivered"})
        await world.cleared()


async def test_memory_that_cannot_be_listed_does_not_keep_the_others_from_being_read() -> None:
    world = World()
    world.modem.memory["SM"] = {}
    world.line = replace(world.line, stores=("SM", "ME"))
    world.modem.refuses['AT+CPMS="SM"'] = CommandRefused("AT+CPMS", Domain.CMS, 302, "+CMS ERROR: 302")
    world.modem.stores(text("hello"))
    async with world.process() as process:
        await world.until(lambda: world.texts() == ["hello"])
        assert process.inbox.counts["refused"] == 1


async def test_lost_line_leaves_the_rest_to_the_next_one() -> None:
    world = World()
    async with world.process() as process:
        await world.until(lambda: "AT+CMGL=4" in world.modem.executed)
        world.modem.is_closed = True
        process.comes_in(text("stored"))
        process.says("+CMT", pdu=text("direct"))
        await world.until(lambda: process.inbox.counts["unread"] == 1)
        world.modem.is_closed = False
        await process.driver.change_line(replace(world.line))
        await world.cleared()
    assert sorted(world.texts()) == ["direct", "stored"]


@pytest.mark.parametrize("parameters", ["", "garbage", '"ME"', '"ME",x', '"",1', '"ME\r",1'])
async def test_notice_that_names_no_slot_causes_a_sweep(parameters: str) -> None:
    world = World()
    async with world.process() as process:
        await world.until(lambda: "AT+CMGL=4" in world.modem.executed)
        world.modem.stores(text("hello"))
        process.says("+CMTI", parameters=parameters)
        await world.cleared()
    assert world.texts() == ["hello"]


async def test_message_without_a_sender_gets_one_that_the_core_accepts() -> None:
    world = World()
    async with world.process() as process:
        process.comes_in("00" + "04" + "00D0" + "00" + "00" + "62113001000000" + "01" + "61")
        await world.cleared()
    assert [(message.source, message.text) for message in world.core.inbound] == [("unknown", "a")]


@settings(max_examples=20)
@given(st.lists(st.one_of(st.text(max_size=40), st.binary(max_size=60).map(bytes.hex)), max_size=10))
def test_whatever_a_stranger_sends_leaves_the_inbox_at_work(pdus: list[str]) -> None:
    asyncio.run(takes_all(pdus))


async def takes_all(pdus: list[str]) -> None:
    """These come in, stored and direct; afterwards a message does."""
    world = World()
    async with world.process() as process:
        for pdu in pdus:
            process.says("+CMT", pdu=pdu)
            process.says("+CDS", pdu=pdu)
            if pdu.strip() and pdu.isalnum() and pdu.isascii():
                world.modem.stores(pdu.upper())
        process.comes_in(text("the last"))
        await process.inbox.sweep(world.line)
        await world.until(lambda: "the last" in world.texts())
