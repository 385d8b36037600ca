"""Handing over a PDU: the prompt, its owner, and what is known when something goes wrong in between."""

from collections.abc import AsyncGenerator

import pytest
import structlog

from drivers.modem.at.results import (
    CommandRefused,
    CommandUnanswered,
    NoPrompt,
    NoReference,
    PduNotWritten,
    Unsolicited,
)
from tests.unit.drivers.modem.channel_room import (
    HANDED_OVER,
    OK,
    PROMPT,
    SHORT_S,
    Room,
    opened,
)


@pytest.fixture
async def room() -> AsyncGenerator[Room]:
    async with opened() as room:
        yield room


async def test_the_owner_of_a_pdu_is_called_between_the_prompt_and_the_pdu(room: Room) -> None:
    heard_before: list[str] = []

    async def prepare() -> None:
        heard_before.extend(room.peer.heard)

    room.peer.answers[HANDED_OVER] = b"\r\n+CDS: 25\r\n0006\r\n\r\n+CMGS: 77\r\n" + OK
    assert await room.submit(before_pdu=prepare) == 77
    assert heard_before == ["AT+CMGS=18"]
    assert room.peer.heard == ["AT+CMGS=18", HANDED_OVER]
    assert room.said == [Unsolicited("+CDS", "25", "0006")]


async def test_without_a_prompt_the_pdu_is_never_written_and_a_late_prompt_is_left_with_escape() -> None:
    async with opened(prompt_timeout_s=SHORT_S) as room:
        room.peer.answers |= {"AT+CMGS=18": b"", "<ESC>": PROMPT}
        with pytest.raises(NoPrompt):
            await room.submit()
        assert not room.was_prepared.is_set()
        assert await room.ask() == ["+CSQ: 20,99"]
        assert room.peer.heard == ["AT+CMGS=18", "<ESC>", "AT", "AT+CSQ"]


async def test_an_error_in_place_of_the_prompt_is_raised_before_the_owner_is_called(room: Room) -> None:
    room.peer.answers["AT+CMGS=18"] = b"\r\n+CMS ERROR: 330\r\n"
    with pytest.raises(CommandRefused) as refused:
        await room.submit()
    assert refused.value.code == 330
    assert not room.was_prepared.is_set()


async def test_ok_in_place_of_the_prompt_belonged_to_something_else_so_the_line_is_cleared(
    room: Room,
) -> None:
    room.peer.answers["AT+CMGS=18"] = OK
    with pytest.raises(NoPrompt):
        await room.submit()
    await room.ask()
    assert room.peer.heard == ["AT+CMGS=18", "<ESC>", "AT", "AT+CSQ"]


async def test_a_fault_of_the_owner_leaves_the_prompt_with_escape_and_is_raised(room: Room) -> None:
    async def fail() -> None:
        raise OSError("the journal is full")

    with pytest.raises(OSError, match="journal"):
        await room.submit(before_pdu=fail)
    assert await room.ask() == ["+CSQ: 20,99"]
    assert room.peer.heard == ["AT+CMGS=18", "<ESC>", "AT", "AT+CSQ"]


@pytest.mark.parametrize("end", [b"\r\n+CMS ERROR: 500\r\n", OK])
async def test_a_modem_that_gives_up_while_the_owner_prepares_gets_no_pdu(room: Room, end: bytes) -> None:
    async def prepare() -> None:
        room.peer.say(end + b'+CMTI: "SM",1\r\n')
        await room.until_said()

    with pytest.raises(PduNotWritten):
        await room.submit(before_pdu=prepare)
    assert room.peer.heard == ["AT+CMGS=18"]


async def test_ok_without_a_reference_is_no_success(room: Room) -> None:
    room.peer.answers[HANDED_OVER] = OK
    with pytest.raises(NoReference):
        await room.submit()


async def test_a_refusal_of_the_network_is_raised(room: Room) -> None:
    room.peer.answers[HANDED_OVER] = b"\r\n+CMS ERROR: 38\r\n"
    with pytest.raises(CommandRefused) as refused:
        await room.submit()
    assert refused.value.code == 38
    assert not isinstance(refused.value, PduNotWritten)


async def test_a_pdu_without_an_answer_is_never_written_again_and_a_late_reference_is_logged(
    room: Room,
) -> None:
    room.peer.answers["<ESC>"] = b"\r\n+CMGS: 9\r\n" + OK
    with structlog.testing.capture_logs() as logs:
        with pytest.raises(CommandUnanswered):
            await room.submit(timeout_s=SHORT_S)
        assert await room.ask() == ["+CSQ: 20,99"]
    assert room.peer.heard == ["AT+CMGS=18", HANDED_OVER, "<ESC>", "AT", "AT+CSQ"]
    assert [line["reference"] for line in logs if line["event"] == "submit.answered_late"] == [9]
