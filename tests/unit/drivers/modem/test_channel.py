"""Commands one at a time: order, time-outs, cancellation, and what each caller is told when the channel ends."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from drivers.modem.at.results import (
    ChannelClosed,
    CommandRefused,
    CommandUnanswered,
    NoPrompt,
    NoReference,
    PduNotWritten,
    Unsolicited,
)
from drivers.modem.channel import Channel, Ending
from drivers.modem.line import Priority
from drivers.modem.port_errors import PortLost, PortStalled
from tests.fakes.modem_peer import MemoryPort, ModemPeer

PDU = "0011000B915155214365F700000AE8329BFD06"
HANDED_OVER = PDU + "<SUB>"
LONG_S = 30.0
"""More than any test takes."""
SHORT_S = 0.02
SILENCE_S = 0.02
OK = b"\r\nOK\r\n"
PROMPT = b"\r\n> "


class Room:
    """A channel with a peer at the far end of its port."""

    def __init__(self, *, is_in_step: bool = True, prompt_timeout_s: float = LONG_S) -> None:
        self.peer = ModemPeer({"AT": OK, "AT+CSQ": b"\r\n+CSQ: 20,99\r\n" + OK, "AT+CMGS=18": PROMPT})
        self.port = MemoryPort(self.peer)
        self.said: list[Unsolicited] = []
        self.channel = Channel(
            self.port,
            on_unsolicited=self.take,
            name="one",
            prompt_timeout_s=prompt_timeout_s,
            barrier_timeout_s=1.0,
            silence_s=SILENCE_S,
            is_in_step=is_in_step,
        )
        self.was_prepared = asyncio.Event()
        self._news = asyncio.Event()

    def take(self, code: Unsolicited) -> None:
        self.said.append(code)
        self._news.set()

    async def until_said(self) -> Unsolicited:
        async with asyncio.timeout(LONG_S):
            await self._news.wait()
        return self.said[-1]

    async def ask(self, command: str = "AT+CSQ", *, timeout_s: float = LONG_S, **options: Any) -> list[str]:
        return list(await self.channel.execute(command, timeout_s=timeout_s, **options))

    async def submit(
        self, *, timeout_s: float = LONG_S, before_pdu: Callable[[], Awaitable[None]] | None = None
    ) -> int:
        async def prepare() -> None:
            self.was_prepared.set()
            if before_pdu is not None:
                await before_pdu()

        return await self.channel.submit(tpdu_octets=18, pdu=PDU, timeout_s=timeout_s, before_pdu=prepare)


@asynccontextmanager
async def opened(**options: Any) -> AsyncGenerator[Room]:
    room = Room(**options)
    try:
        yield room
    finally:
        await room.channel.close()
        assert room.port.is_closed


@pytest.fixture
async def room() -> AsyncGenerator[Room]:
    async with opened() as room:
        yield room


async def never() -> None:
    await asyncio.Event().wait()


def running(awaitable: Awaitable[Any]) -> "asyncio.Future[Any]":
    return asyncio.ensure_future(awaitable)


async def cancelled(task: "asyncio.Future[Any]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# What is answered.


async def test_a_command_is_carried_out_and_answered(room: Room) -> None:
    assert await room.ask() == ["+CSQ: 20,99"]
    assert room.peer.heard == ["AT+CSQ"]


async def test_a_refusal_is_raised(room: Room) -> None:
    room.peer.answers["AT+CPIN?"] = b"\r\n+CME ERROR: 10\r\n"
    with pytest.raises(CommandRefused) as refused:
        await room.ask("AT+CPIN?")
    assert refused.value.code == 10
    assert await room.ask() == ["+CSQ: 20,99"]


@pytest.mark.parametrize("number", ["+49\rAT+CMGD=1", "\x1a", "\x1b", "\n", "\x00", "é"])
async def test_a_command_that_holds_another_is_refused_before_anything_is_written(
    room: Room, number: str
) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        await room.ask(f'AT+CSCA="{number}",145')
    with pytest.raises(ValueError, match="hexadecimal"):
        await room.channel.submit(tpdu_octets=18, pdu=PDU + number, timeout_s=LONG_S, before_pdu=never)
    assert room.peer.heard == []


async def test_what_is_said_unasked_is_told_in_order(room: Room) -> None:
    room.peer.answers["AT+CSQ"] = b'\r\n+CMTI: "SM",1\r\nRING\r\n\r\n+CSQ: 1,99\r\n' + OK
    assert await room.ask() == ["+CSQ: 1,99"]
    assert [code.name for code in room.said] == ["+CMTI", "RING"]


async def test_a_fault_of_who_is_told_does_not_keep_the_next_from_being_told() -> None:
    peer, told = ModemPeer({"AT": OK}), list[str]()

    def take(code: Unsolicited) -> None:
        told.append(code.name)
        raise RuntimeError("+4915112345678")

    with structlog.testing.capture_logs() as logs:
        channel = Channel(MemoryPort(peer), on_unsolicited=take)
        peer.say(b'+CMTI: "SM",1\r\n+CMTI: "SM",2\r\n')
        await channel.execute("AT", timeout_s=LONG_S)
        await channel.close()
    assert told == ["+CMTI", "+CMTI"]
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["unsolicited.unhandled"] * 2
    assert "4915112345678" not in str(logs)


async def test_the_most_urgent_goes_first_and_equals_in_order(room: Room) -> None:
    first = running(room.ask("AT+COPS?"))
    await room.peer.until_heard("AT+COPS?")
    commands = [("AT+CREG?", Priority.POLL), ("AT+CMGR=1", Priority.READ), ("AT+CMGR=2", Priority.READ)]
    later = [running(room.ask(command, priority=priority)) for command, priority in commands]
    later += [running(room.submit()), running(room.ask("AT+CNMA", priority=Priority.ACKNOWLEDGE))]
    await asyncio.sleep(0)
    room.peer.answers |= dict.fromkeys(("AT+CREG?", "AT+CMGR=1", "AT+CMGR=2", "AT+CNMA"), OK)
    room.peer.answers[HANDED_OVER] = b"\r\n+CMGS: 1\r\n" + OK
    room.peer.say(OK)
    await asyncio.gather(first, *later)
    assert room.peer.heard == [
        "AT+COPS?",
        "AT+CNMA",
        "AT+CMGS=18",
        HANDED_OVER,
        "AT+CMGR=1",
        "AT+CMGR=2",
        "AT+CREG?",
    ]


# Handing over a PDU.


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


# Back into step.


async def test_a_late_answer_is_not_taken_for_the_next_commands(room: Room) -> None:
    room.peer.answers["<ESC>"] = b"\r\n+COPS: 0\r\n" + OK
    with pytest.raises(CommandUnanswered):
        await room.ask("AT+COPS=?", timeout_s=SHORT_S)
    room.peer.answers["AT+COPS?"] = b'\r\n+COPS: 0,0,"X"\r\n' + OK
    assert await room.ask("AT+COPS?") == ['+COPS: 0,0,"X"']


async def test_what_is_said_unasked_while_the_line_is_cleared_is_told(room: Room) -> None:
    room.peer.answers["AT"] = b"\r\n+CMT: ,24\r\n0011\r\n" + OK
    with pytest.raises(CommandUnanswered):
        await room.ask("AT+HANG", timeout_s=SHORT_S)
    await room.ask()
    assert room.said == [Unsolicited("+CMT", ",24", "0011")]


async def test_a_modem_that_answers_errors_only_counts_as_alive(room: Room) -> None:
    room.peer.answers["AT"] = b"\r\nERROR\r\n"
    with pytest.raises(CommandUnanswered):
        await room.ask("AT+HANG", timeout_s=SHORT_S)
    assert await room.ask() == ["+CSQ: 20,99"]


async def test_a_line_of_unknown_state_is_cleared_before_the_first_command() -> None:
    async with opened(is_in_step=False) as room:
        await room.ask()
        assert room.peer.heard == ["<ESC>", "AT", "AT+CSQ"]


async def test_a_modem_that_drops_the_first_at_is_asked_again() -> None:
    async with opened(is_in_step=False) as room:
        answers = iter((b"", OK))
        room.peer.answers["AT"] = lambda: next(answers)
        await room.ask()
        assert room.peer.heard == ["<ESC>", "AT", "AT", "AT+CSQ"]


async def test_after_two_failed_barriers_the_channel_is_stuck_and_everybody_is_told() -> None:
    peer = ModemPeer()
    channel = Channel(
        MemoryPort(peer), on_unsolicited=lambda code: None, barrier_timeout_s=0.05, silence_s=0.01
    )
    hung = running(channel.execute("AT+HANG", timeout_s=SHORT_S))
    waiting = running(channel.execute("AT+CSQ", timeout_s=LONG_S))
    with pytest.raises(CommandUnanswered):
        await hung
    with pytest.raises(ChannelClosed):
        await waiting
    assert await channel.ended() is Ending.STUCK
    assert peer.heard.count("<ESC>") == 2
    with pytest.raises(ChannelClosed):
        await channel.execute("AT", timeout_s=LONG_S)
    await channel.close()
    assert await channel.ended() is Ending.STUCK


async def test_a_modem_that_talks_all_the_time_is_not_stuck(room: Room) -> None:
    async def talk() -> None:
        while True:
            room.peer.say(b"\r\n^RSSI:18\r\n")
            await asyncio.sleep(SILENCE_S / 4)

    talking = running(talk())
    with pytest.raises(CommandUnanswered):
        await room.ask("AT+HANG", timeout_s=SHORT_S)
    assert await room.ask() == ["+CSQ: 20,99"]
    await cancelled(talking)


async def test_a_port_that_takes_nothing_leaves_a_command_unanswered(room: Room) -> None:
    room.port.write_errors = [PortStalled("It took nothing."), PortStalled("It took nothing.")]
    with pytest.raises(CommandUnanswered):
        await room.ask()
    assert await room.ask() == ["+CSQ: 20,99"]


# Who no longer waits.


async def test_a_command_that_nobody_waits_for_before_its_turn_is_dropped(room: Room) -> None:
    first = running(room.ask("AT+COPS?"))
    await room.peer.until_heard("AT+COPS?")
    dropped = running(room.ask("AT+CREG?"))
    await asyncio.sleep(0)
    await cancelled(dropped)
    room.peer.say(OK)
    await first
    await room.ask()
    assert room.peer.heard == ["AT+COPS?", "AT+CSQ"]


async def test_a_written_command_that_nobody_waits_for_is_waited_for_before_the_next(room: Room) -> None:
    first = running(room.ask("AT+COPS?"))
    await room.peer.until_heard("AT+COPS?")
    await cancelled(first)
    second = running(room.ask())
    await asyncio.sleep(0)
    assert room.peer.heard == ["AT+COPS?"]
    room.peer.say(b'\r\n+COPS: 0,0,"X"\r\n' + OK)
    assert await second == ["+CSQ: 20,99"]


async def test_a_submit_that_nobody_waits_for_before_the_prompt_is_left_with_escape(room: Room) -> None:
    room.peer.answers["AT+CMGS=18"] = b""
    submit = running(room.submit())
    await room.peer.until_heard("AT+CMGS=18")
    await cancelled(submit)
    assert await room.ask() == ["+CSQ: 20,99"]
    assert room.peer.heard == ["AT+CMGS=18", "<ESC>", "AT", "AT+CSQ"]


async def test_a_submit_that_nobody_waits_for_while_its_owner_prepares_is_left_with_escape(
    room: Room,
) -> None:
    was_told = asyncio.Event()

    async def prepare() -> None:
        try:
            await never()
        finally:
            was_told.set()

    submit = running(room.submit(before_pdu=prepare))
    await room.was_prepared.wait()
    await cancelled(submit)
    assert await room.ask() == ["+CSQ: 20,99"]
    assert was_told.is_set()
    assert room.peer.heard == ["AT+CMGS=18", "<ESC>", "AT", "AT+CSQ"]


async def test_the_answer_to_a_pdu_that_nobody_waits_for_is_awaited_and_logged(room: Room) -> None:
    submit = running(room.submit())
    await room.peer.until_heard(HANDED_OVER)
    with structlog.testing.capture_logs() as logs:
        await cancelled(submit)
        second = running(room.ask())
        room.peer.say(b"\r\n+CMGS: 12\r\n" + OK)
        assert await second == ["+CSQ: 20,99"]
    assert [line["reference"] for line in logs if line["event"] == "submit.answered_unheard"] == [12]
    assert room.peer.heard == ["AT+CMGS=18", HANDED_OVER, "AT+CSQ"]


async def test_the_refusal_of_a_pdu_that_nobody_waits_for_is_logged(room: Room) -> None:
    submit = running(room.submit())
    await room.peer.until_heard(HANDED_OVER)
    with structlog.testing.capture_logs() as logs:
        await cancelled(submit)
        room.peer.say(b"\r\n+CMS ERROR: 38\r\n")
        await room.ask()
    [line] = [line for line in logs if line["event"] == "command.failed_unheard"]
    assert line["problem"] == "AT+CMGS: +CMS ERROR: 38"


# The end.


async def test_when_the_port_is_lost_everybody_is_told_what_they_need_to_know(room: Room) -> None:
    running_one = running(room.ask("AT+COPS?"))
    await room.peer.until_heard("AT+COPS?")
    waiting = running(room.ask())
    await asyncio.sleep(0)
    room.peer.hang_up()
    with pytest.raises(CommandUnanswered):
        await running_one
    with pytest.raises(ChannelClosed):
        await waiting
    assert await room.channel.ended() is Ending.PORT_LOST


async def test_a_port_lost_before_the_prompt_means_that_nothing_was_handed_over(room: Room) -> None:
    room.peer.answers["AT+CMGS=18"] = b""
    submit = running(room.submit())
    await room.peer.until_heard("AT+CMGS=18")
    room.peer.hang_up()
    with pytest.raises(ChannelClosed):
        await submit
    assert not room.was_prepared.is_set()


async def test_a_port_lost_while_the_owner_prepares_means_that_nothing_was_handed_over(room: Room) -> None:
    submit = running(room.submit(before_pdu=never))
    await room.was_prepared.wait()
    room.peer.hang_up()
    with pytest.raises(PduNotWritten):
        await submit
    assert room.peer.heard == ["AT+CMGS=18"]


async def test_a_port_lost_after_the_pdu_means_that_nobody_knows(room: Room) -> None:
    submit = running(room.submit())
    await room.peer.until_heard(HANDED_OVER)
    room.peer.hang_up()
    with pytest.raises(CommandUnanswered):
        await submit


async def test_a_port_lost_while_the_pdu_is_written_means_that_nobody_knows(room: Room) -> None:
    async def prepare() -> None:
        room.port.write_errors = [PortLost("It was lost.")]

    with pytest.raises(CommandUnanswered):
        await room.submit(before_pdu=prepare)


async def test_closing_tells_everybody_and_may_be_done_again(room: Room) -> None:
    submit = running(room.submit())
    await room.peer.until_heard(HANDED_OVER)
    waiting = running(room.ask())
    await asyncio.sleep(0)
    await room.channel.close()
    with pytest.raises(CommandUnanswered):
        await submit
    with pytest.raises(ChannelClosed):
        await waiting
    assert await room.channel.ended() is Ending.CLOSED
    await room.channel.close()


async def test_a_fault_of_a_task_ends_the_channel() -> None:
    peer = ModemPeer()
    port = MemoryPort(peer)
    port.write_errors = [RuntimeError("a fault")]
    channel = Channel(port, on_unsolicited=lambda code: None, is_in_step=False)
    with pytest.raises(ChannelClosed):
        await channel.execute("AT", timeout_s=LONG_S)
    assert await channel.ended() is Ending.STUCK
    await channel.close()


async def test_the_trace_shows_the_dialogue_and_nothing_private(room: Room) -> None:
    room.peer.answers |= {
        'AT+CSCA="+4915112345678",145': OK,
        HANDED_OVER: b'\r\n+CMT: "+4915112345678",24\r\n0791947101670000\r\n\r\n+CMGS: 77\r\n' + OK,
    }
    with structlog.testing.capture_logs() as logs:
        await room.ask('AT+CSCA="+4915112345678",145')
        await room.submit()
    lines = [line["line"] for line in logs if line["event"].startswith("wire.")]
    assert lines == [
        "AT+CSCA=<hidden>,145",
        "OK",
        "AT+CMGS=18",
        ">",
        "<38 characters>",
        "+CMT: <hidden>,24",
        "<16 characters>",
        "+CMGS: 77",
        "OK",
    ]
