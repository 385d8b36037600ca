"""The channel on real ports: prompts that come late or never, hangs, hang-ups and garbage."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from drivers.modem.at.results import CommandUnanswered, NoPrompt, Unsolicited
from drivers.modem.link.channel import Channel, Ending
from drivers.modem.link.port import open_port
from tests.fakes.modem_peer import ModemPeer, on_socket, on_terminal

Carrier = Callable[[ModemPeer], AbstractAsyncContextManager[str]]
PDU = "0011000B915155214365F700000AE8329BFD06"
HANDED_OVER = PDU + "<SUB>"
OK = b"\r\nOK\r\n"
LONG_S = 30.0
ANSWERS = {
    "AT": OK,
    "AT+CSQ": b"\r\n+CSQ: 20,99\r\n" + OK,
    "AT+CMGS=18": b"\r\n> ",
    HANDED_OVER: b"\r\n+CMGS: 77\r\n" + OK,
}


@pytest.fixture(params=[on_terminal, on_socket], ids=["terminal", "socket"])
def carrier(request: pytest.FixtureRequest) -> Carrier:
    return request.param


@asynccontextmanager
async def channel_to(
    peer: ModemPeer, carrier: Carrier, *, prompt_timeout_s: float = LONG_S, barrier_timeout_s: float = LONG_S
) -> AsyncGenerator[tuple[Channel, list[Unsolicited]]]:
    told: list[Unsolicited] = []
    async with carrier(peer) as url:
        channel = Channel(
            await open_port(url),
            on_unsolicited=told.append,
            prompt_timeout_s=prompt_timeout_s,
            barrier_timeout_s=barrier_timeout_s,
            silence_s=0.05,
        )
        try:
            yield channel, told
        finally:
            await channel.close()


async def submit(channel: Channel, *, timeout_s: float = LONG_S) -> int:
    async def prepare() -> None:
        await asyncio.sleep(0)

    return await channel.submit(tpdu_octets=18, pdu=PDU, timeout_s=timeout_s, before_pdu=prepare)


async def test_a_message_goes_out(carrier: Carrier) -> None:
    peer = ModemPeer(ANSWERS)
    async with channel_to(peer, carrier) as (channel, _):
        assert await channel.execute("AT+CSQ", timeout_s=LONG_S) == ("+CSQ: 20,99",)
        assert await submit(channel) == 77
        assert peer.heard == ["AT+CSQ", "AT+CMGS=18", HANDED_OVER]


async def test_a_late_prompt_gets_no_pdu_and_the_next_try_does(carrier: Carrier) -> None:
    peer = ModemPeer(ANSWERS | {"AT+CMGS=18": b"", "<ESC>": b"\r\n> \r\n"})
    async with channel_to(peer, carrier, prompt_timeout_s=0.1) as (channel, _):
        with pytest.raises(NoPrompt):
            await submit(channel)
        await peer.until_heard("AT")
        peer.answers["AT+CMGS=18"] = b"\r\n>"
        assert await submit(channel) == 77
        assert peer.heard.count(HANDED_OVER) == 1


async def test_a_hang_after_the_pdu_is_unanswered_and_the_modem_works_on_afterwards(carrier: Carrier) -> None:
    peer = ModemPeer(ANSWERS | {HANDED_OVER: b""})
    async with channel_to(peer, carrier) as (channel, _):
        with pytest.raises(CommandUnanswered):
            await submit(channel, timeout_s=0.1)
        assert await channel.execute("AT+CSQ", timeout_s=LONG_S) == ("+CSQ: 20,99",)
        assert peer.heard.count(HANDED_OVER) == 1


async def test_a_modem_that_says_nothing_any_more_is_stuck(carrier: Carrier) -> None:
    async with channel_to(ModemPeer(), carrier, barrier_timeout_s=0.5) as (channel, _):
        with pytest.raises(CommandUnanswered):
            await channel.execute("AT+CSQ", timeout_s=0.1)
        assert await channel.ended() is Ending.STUCK


async def test_a_hang_up_ends_the_channel(carrier: Carrier) -> None:
    peer = ModemPeer(ANSWERS)
    async with channel_to(peer, carrier) as (channel, _):
        running = asyncio.ensure_future(channel.execute("AT+COPS=?", timeout_s=LONG_S))
        await peer.until_heard("AT+COPS=?")
        peer.hang_up()
        with pytest.raises(CommandUnanswered):
            await running
        assert await channel.ended() is Ending.PORT_LOST


async def test_garbage_between_answers_changes_nothing(carrier: Carrier) -> None:
    garbage = bytes(octet for octet in range(256) if octet not in b"\r\n") + b"\r\n"
    answers = {piece: garbage + answer for piece, answer in ANSWERS.items()}
    peer = ModemPeer(answers)
    async with channel_to(peer, carrier) as (channel, told):
        assert await channel.execute("AT+CSQ", timeout_s=LONG_S) == ("+CSQ: 20,99",)
        assert await submit(channel) == 77
        assert told == []


async def test_an_answer_that_comes_octet_by_octet_is_one(carrier: Carrier) -> None:
    peer = ModemPeer(ANSWERS | {"AT+CSQ": b""})
    async with channel_to(peer, carrier) as (channel, told):
        running = asyncio.ensure_future(channel.execute("AT+CSQ", timeout_s=LONG_S))
        await peer.until_heard("AT+CSQ")
        for octet in b'\r\n+CMTI: "SM",1\r\n\r\n+CSQ: 20,99\r\n\r\nOK\r\n':
            peer.say(bytes([octet]))
            await asyncio.sleep(0)
        assert await running == ("+CSQ: 20,99",)
        assert told == [Unsolicited("+CMTI", '"SM",1')]


async def test_the_loop_goes_on_while_many_modems_are_asked() -> None:
    peers = [ModemPeer(ANSWERS) for _ in range(16)]
    async with asyncio.TaskGroup() as group:

        async def talk(peer: ModemPeer) -> None:
            async with channel_to(peer, on_terminal) as (channel, _):
                for _ in range(5):
                    assert await submit(channel) == 77

        for peer in peers:
            group.create_task(talk(peer))
    assert all(peer.heard.count(HANDED_OVER) == 5 for peer in peers)
