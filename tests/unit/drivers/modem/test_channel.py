"""Commands one at a time: order, time-outs, cancellation, and what each caller is told when the channel ends."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import structlog

from drivers.modem.at.results import (
    ChannelClosed,
    CommandRefused,
    CommandUnanswered,
    PduNotWritten,
    Unsolicited,
)
from drivers.modem.line import Priority
from drivers.modem.link.channel import Channel, Ending
from drivers.modem.link.port_errors import PortLost, PortStalled
from tests.fakes.modem_peer import MemoryPort, ModemPeer
from tests.unit.drivers.modem.channel_room import (
    HANDED_OVER,
    LONG_S,
    OK,
    PDU,
    SHORT_S,
    SILENCE_S,
    Room,
    cancelled,
    never,
    opened,
    running,
)


@pytest.fixture
async def room() -> AsyncGenerator[Room]:
    async with opened() as room:
        yield room


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


async def test_a_modem_that_restarts_is_not_waited_for(room: Room) -> None:
    room.peer.answers["AT+COPS=?"] = b"\r\nRDY\r\n"
    with pytest.raises(CommandUnanswered, match="restarted"):
        await room.ask("AT+COPS=?")
    await room.ask()
    assert room.peer.heard == ["AT+COPS=?", "<ESC>", "AT", "AT+CSQ"]
    assert room.said == [Unsolicited("RDY")]


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


async def test_who_cancels_everything_is_not_kept_waiting(room: Room) -> None:
    submit = running(room.submit(before_pdu=never))
    await room.was_prepared.wait()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    _, pending = await asyncio.wait(others, timeout=LONG_S)
    assert not pending
    assert submit.cancelled()


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


async def test_a_modem_that_talks_without_end_leaves_the_other_modems_their_turns(room: Room) -> None:
    for _ in range(50):
        room.peer.say(b"\r\nRING\r\n")
    turns = 0
    while len(room.said) < 50:
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 50


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
