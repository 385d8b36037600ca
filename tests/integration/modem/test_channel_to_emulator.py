"""The channel and the emulated modem: each fault of the line and of sending has an outcome; no PDU goes out twice."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from drivers.modem.at.results import (
    AtFailure,
    CommandRefused,
    CommandUnanswered,
    NoPrompt,
    NoReference,
    Unsolicited,
)
from drivers.modem.codec import submit_pdus
from drivers.modem.emulator import Emulator
from drivers.modem.link.channel import Channel, Ending
from drivers.modem.link.port import open_port

LONG_S = 30.0
SHORT_S = 0.2
ANSWER = ("+CSMS: 1,1,1,1",)


@asynccontextmanager
async def channel_to(
    emulator: Emulator,
    *,
    kind: str = "terminal",
    prompt_timeout_s: float = LONG_S,
    barrier_timeout_s: float = LONG_S,
) -> AsyncGenerator[tuple[Channel, list[Unsolicited]]]:
    """A channel that has set the modem up for PDUs."""
    told: list[Unsolicited] = []
    emulator.network.radio_s = 0.0
    url = (
        str(await emulator.open_pty())
        if kind == "terminal"
        else f"socket://127.0.0.1:{await emulator.open_tcp()}"
    )
    channel = Channel(
        await open_port(url),
        on_unsolicited=told.append,
        prompt_timeout_s=prompt_timeout_s,
        barrier_timeout_s=barrier_timeout_s,
        silence_s=0.05,
    )
    try:
        for command in ("ATE0", "AT+CMEE=1", "AT+CSMS=1", "AT+CMGF=0"):
            await channel.execute(command, timeout_s=LONG_S)
        yield channel, told
    finally:
        await channel.close()


async def submit(channel: Channel, *, timeout_s: float = LONG_S, wants_report: bool = False) -> int:
    async def prepare() -> None:
        await asyncio.sleep(0)

    [pdu] = submit_pdus("hello", destination="+15550001111", reference=1, wants_report=wants_report)
    return await channel.submit(
        tpdu_octets=pdu.tpdu_octets, pdu=pdu.hex, timeout_s=timeout_s, before_pdu=prepare
    )


async def assert_in_step(channel: Channel) -> None:
    """The next answers belong to the next commands."""
    assert await channel.execute("AT+CSMS?", timeout_s=LONG_S) == ANSWER
    assert len(await channel.execute("AT+CGSN", timeout_s=LONG_S)) == 1
    with pytest.raises(CommandRefused):
        await channel.execute("AT+CMGR=250", timeout_s=LONG_S)


@pytest.mark.parametrize("kind", ["terminal", "socket"])
@pytest.mark.parametrize(
    ("fault", "parameters"),
    [
        ("bare_prompt", {}),
        ("interrupted_send", {}),
        ("report_before_result", {}),
        ("split_reads", {}),
        ("merged_reads", {"delay_s": 0.05}),
        ("garbage", {"count": 5}),
        ("echo_on", {}),
    ],
)
async def test_what_a_line_does_to_a_dialogue_changes_no_result(
    kind: str, fault: str, parameters: dict[str, Any]
) -> None:
    async with Emulator() as emulator, channel_to(emulator, kind=kind) as (channel, _):
        emulator.faults.add(fault, **parameters)
        references = [await submit(channel) for _ in range(3)]
        assert references == [(references[0] + step) % 256 for step in range(3)]
        await assert_in_step(channel)
        assert len(emulator.network.parts) == 3


@pytest.mark.parametrize(("fault", "parameters"), [("no_prompt", {}), ("late_prompt", {"delay_s": 2.0})])
async def test_without_a_prompt_in_time_nothing_is_sent(fault: str, parameters: dict[str, Any]) -> None:
    async with Emulator() as emulator, channel_to(emulator, prompt_timeout_s=1.0) as (channel, _):
        emulator.faults.add(fault, **parameters)
        with pytest.raises(NoPrompt):
            await submit(channel)
        await assert_in_step(channel)
        await submit(channel)
        assert len(emulator.network.parts) == 1


@pytest.mark.parametrize(
    ("fault", "parameters", "failure", "timeout_s", "taken"),
    [
        ("cms_error", {"code": 38}, CommandRefused, LONG_S, 0),
        ("ok_without_reference", {"taken": True}, NoReference, LONG_S, 1),
        ("slow_radio", {"delay_s": 3 * SHORT_S}, CommandUnanswered, SHORT_S, 1),
        ("hang_after_pdu", {"hang_s": 3 * SHORT_S}, CommandUnanswered, SHORT_S, 1),
    ],
)
async def test_a_fault_of_sending_has_its_outcome_and_the_channel_is_in_step_afterwards(
    fault: str, parameters: dict[str, Any], failure: type[AtFailure], timeout_s: float, taken: int
) -> None:
    async with Emulator() as emulator, channel_to(emulator) as (channel, _):
        emulator.faults.add(fault, **parameters)
        with pytest.raises(failure):
            await submit(channel, timeout_s=timeout_s)
        await assert_in_step(channel)
        await submit(channel)
        assert len(emulator.network.parts) == taken + 1


@pytest.mark.parametrize("fault", ["lost_result", "sleepy"])
async def test_a_command_without_a_result_leaves_the_next_its_own(fault: str) -> None:
    async with Emulator() as emulator, channel_to(emulator) as (channel, _):
        emulator.faults.add(fault)
        with pytest.raises(CommandUnanswered):
            await channel.execute("AT+CSQ", timeout_s=SHORT_S)
        await assert_in_step(channel)


async def test_answers_that_come_all_at_once_after_a_hang_are_not_mistaken() -> None:
    async with Emulator() as emulator, channel_to(emulator) as (channel, _):
        emulator.faults.add("hang", seconds=3 * SHORT_S)
        with pytest.raises(CommandUnanswered):
            await channel.execute("AT+COPS?", timeout_s=SHORT_S)
        await assert_in_step(channel)


@pytest.mark.parametrize("fault", ["hang", "wrong_port"])
async def test_a_modem_that_stays_silent_is_stuck(fault: str) -> None:
    async with Emulator() as emulator, channel_to(emulator, barrier_timeout_s=0.5) as (channel, _):
        emulator.faults.add(fault)
        with pytest.raises(CommandUnanswered):
            await channel.execute("AT+CSQ", timeout_s=SHORT_S)
        assert await channel.ended() is Ending.STUCK


@pytest.mark.parametrize("kind", ["terminal", "socket"])
async def test_a_port_that_vanishes_in_mid_send_leaves_nobody_knowing(kind: str) -> None:
    async with Emulator() as emulator, channel_to(emulator, kind=kind) as (channel, _):
        emulator.faults.add("vanish_in_send")
        with pytest.raises(CommandUnanswered):
            await submit(channel)
        assert await channel.ended() is Ending.PORT_LOST
        assert len(emulator.network.parts) == 1


async def test_a_message_that_comes_in_while_one_goes_out_is_told_whole() -> None:
    async with Emulator() as emulator, channel_to(emulator) as (channel, told):
        await channel.execute("AT+CNMI=2,2,0,1,0", timeout_s=LONG_S)
        emulator.deliver("OK")
        await submit(channel)
        [code] = [code for code in told if code.name == "+CMT"]
        assert len(code.pdu) > 20
