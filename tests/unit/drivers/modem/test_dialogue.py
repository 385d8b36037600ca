"""An answer belongs to its command also if it comes in the very moment in which the command's time is over."""

import asyncio

import pytest

from drivers.modem.at.results import CommandRefused
from drivers.modem.line import Priority
from drivers.modem.link.dialogue import Dialogue
from drivers.modem.link.jobs import ExecuteJob, SubmitJob

SHORT_S = 0.0
"""The time is over in the turn of the event loop in which the answer comes."""


class PunctualPort:
    """Answers everything in the next turn of the event loop."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.dialogue = Dialogue(
            self,
            name="alpha",
            prompt_timeout_s=SHORT_S,
            barrier_timeout_s=1.0,
            silence_s=0.0,
            is_in_step=True,
        )

    async def write(self, data: bytes) -> None:
        if self._answers:
            asyncio.get_running_loop().call_soon(self.dialogue.receive, self._answers.pop(0))

    async def read(self) -> bytes:
        raise AssertionError("the test receives")

    async def close(self) -> None: ...


def command(line: str, *, timeout_s: float = SHORT_S) -> ExecuteJob:
    return ExecuteJob(line=line, name=line, timeout_s=timeout_s, priority=Priority.READ)


async def test_answer_in_the_last_moment_is_the_answer_and_not_the_next_ones() -> None:
    port = PunctualPort(b"\r\n+CSQ: 20,99\r\n\r\nOK\r\n", b"\r\n+CREG: 2,1\r\n\r\nOK\r\n")
    assert await port.dialogue.execute(command("AT+CSQ")) == ("+CSQ: 20,99",)
    assert await port.dialogue.execute(command("AT+CREG?")) == ("+CREG: 2,1",)


async def test_prompt_and_reference_in_the_last_moment_count() -> None:
    port = PunctualPort(b"\r\n> ", b"\r\n+CMGS: 7\r\n\r\nOK\r\n")

    async def ready() -> None: ...

    job = SubmitJob(tpdu_octets=1, pdu="0000", timeout_s=SHORT_S, before_pdu=ready)
    assert await port.dialogue.submit(job) == 7


async def test_refusal_that_nobody_waited_for_is_not_the_next_commands_answer() -> None:
    port = PunctualPort(b"\r\n+CMS ERROR: 302\r\n", b"\r\nOK\r\n")

    async def ready() -> None: ...

    job = SubmitJob(tpdu_octets=1, pdu="0000", timeout_s=SHORT_S, before_pdu=ready)
    submitting = asyncio.ensure_future(port.dialogue.submit(job))
    job.result.add_done_callback(lambda _: None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    job.result.cancel()
    with pytest.raises((asyncio.CancelledError, CommandRefused)):
        await submitting
    assert await port.dialogue.execute(command("AT")) == ()
