"""A modem that works is looked after, and one that is no longer as it was set up is noticed."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from drivers.modem.at.results import ChannelClosed, Unsolicited
from drivers.modem.config import ModemConfig
from drivers.modem.life.health import Health
from drivers.modem.life.pacing import Pacer
from drivers.modem.life.standing import Standing
from drivers.modem.setup.sim import SimGate
from drivers.modem.setup.start_up import StartUp
from drivers.modem.timing import Timing
from tests.unit.drivers.modem.memory_host import MemoryHost
from tests.unit.drivers.modem.scripted_modem import Answer, ScriptedModem, in_turn, no_answer, refusal

CONFIG = ModemConfig("alpha", "/dev/ttyUSB0", "+491701234567")
QUIET = replace(Timing(), busy_step_s=0.0, settle_s=0.0, health_s=0.001, searching_s=0.001)
"""Looks are as good as at once; what is due by the clock waits for the test to move it."""


class Ward:
    """A modem that was set up and is being looked after."""

    def __init__(self, timing: Timing = QUIET) -> None:
        self.host = MemoryHost()
        self.timing = timing
        self.modem = ScriptedModem()
        context = self.host.context()
        self.standing = Standing(context, "alpha", Pacer(context, CONFIG, timing), timing)
        self._context = context

    async def begin(self) -> None:
        gate = SimGate(self._context, CONFIG, self.timing)
        set_up = await StartUp(self._context, CONFIG, self.timing, gate).carry_out(self.modem)
        self.modem.asked.clear()
        self.standing.has_line()
        self.health = Health(set_up, self.standing, self.timing, self.host.clock)
        self.task = asyncio.create_task(self.health.run())

    async def why(self) -> str:
        """Why it has to be set up again."""
        return await self.task

    async def told(self, reason: str) -> None:
        """Wait until the core was told this reason."""
        await self.until(lambda: bool(self.host.changes) and self.host.changes[-1].reason == reason)

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            assert not self.task.done()
            await asyncio.sleep(0)

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.fixture
async def ward() -> Ward:
    made = Ward()
    await made.begin()
    return made


async def test_registered_modem_is_online_and_stays_so(ward: Ward) -> None:
    await ward.told("")
    await ward.until(lambda: len(ward.modem.asked_with("AT+CSQ")) > 5)
    assert len(ward.host.changes) == 1
    await ward.end()


async def test_lost_and_found_network_is_told(ward: Ward) -> None:
    await ward.told("")
    ward.modem.answers["AT+CREG?"] = ["+CREG: 2,2"]
    await ward.told("searching")
    ward.modem.answers["AT+CREG?"] = ["+CREG: 2,1"]
    await ward.told("")
    await ward.end()


async def test_unsolicited_loss_of_the_network_is_looked_at_at_once() -> None:
    ward = Ward(replace(QUIET, health_s=3600.0))
    await ward.begin()
    await ward.told("")
    ward.modem.answers["AT+CREG?"] = ["+CREG: 2,0"]
    ward.health.take(Unsolicited("+CREG", "0"))
    await ward.told("searching")
    await ward.end()


async def test_full_memory_is_told_and_does_not_stop_sending(ward: Ward) -> None:
    ward.modem.answers["AT+CPMS?"] = ['+CPMS: "ME",0,23,"ME",0,23,"SM",20,20']
    await ward.told("memory_full")
    assert ward.host.changes[-1].window == 3
    await ward.end()


async def test_failing_modem_rests_and_is_tried_again_once_it_has_a_network(ward: Ward) -> None:
    await ward.told("")
    for _ in range(3):
        ward.standing.failed()
    ward.health.look_again()
    await ward.told("failing")
    ward.host.clock.now_s += ward.timing.failing_s
    await ward.told("")
    await ward.end()


@pytest.mark.parametrize(
    "unsolicited",
    [
        Unsolicited("RDY"),
        Unsolicited("^SYSSTART"),
        Unsolicited("+CPIN", "NOT INSERTED"),
        Unsolicited("+CPIN", "SIM PIN"),
    ],
)
async def test_modem_that_says_that_it_restarted_is_set_up_again(
    ward: Ward, unsolicited: Unsolicited
) -> None:
    await ward.told("")
    ward.health.take(unsolicited)
    assert await ward.why() == "restarted"


@pytest.mark.parametrize("name", ["SMS READY", "CALL READY", "PB DONE", "+CFUN"])
@pytest.mark.parametrize(
    ("command", "answer", "why"),
    [
        ("AT+CMGF?", ["+CMGF: 1"], "text_mode"),
        ("AT+CNMI?", ["+CNMI: 0,0,0,0,0"], "notifications_changed"),
        ("AT+CSCA?", ['+CSCA: "",129'], "smsc_gone"),
        ("AT+CCID", ["+CCID: 89490200009999999999"], "sim_changed"),
    ],
)
async def test_modem_that_may_have_restarted_is_asked_whether_it_is_as_before(
    ward: Ward, name: str, command: str, answer: Answer, why: str
) -> None:
    ward.modem.answers[command] = answer
    ward.health.take(Unsolicited(name))
    assert await ward.why() == why


async def test_modem_that_talks_without_having_restarted_is_left_alone(ward: Ward) -> None:
    ward.health.take(Unsolicited("SMS READY"))
    ward.health.take(Unsolicited("+CPIN", "READY"))
    ward.health.take(Unsolicited("+CIEV", "1,2"))
    await ward.until(lambda: bool(ward.modem.asked_with("AT+CNMI?")))
    await ward.told("")
    await ward.end()


async def test_settings_are_checked_now_and_then(ward: Ward) -> None:
    await ward.told("")
    ward.modem.answers["AT+CNMI?"] = ["+CNMI: 2,0,0,0,0"]
    ward.host.clock.now_s += ward.timing.reassert_s
    assert await ward.why() == "notifications_changed"


async def test_settings_that_have_become_suspect_are_checked_at_once(ward: Ward) -> None:
    await ward.told("")
    ward.modem.answers["AT+CNMI?"] = ["+CNMI: 2,0,0,0,0"]
    ward.health.suspect()
    assert await ward.why() == "notifications_changed"


async def test_message_centre_that_was_missing_and_is_known_now_is_noticed() -> None:
    ward = Ward()
    ward.modem.answers["AT+CSCA?"] = in_turn(
        ['+CSCA: "",129'], ['+CSCA: "",129'], ['+CSCA: "+491710760000",145']
    )
    await ward.begin()
    assert await ward.why() == "smsc_found"


async def test_command_that_is_not_answered_or_refused_ends_nothing(ward: Ward) -> None:
    ward.modem.answers["AT+CREG?"] = in_turn(no_answer(), refusal(), ["+CREG: 2,1"])
    ward.modem.answers["AT+CMGF?"] = refusal()
    ward.modem.answers["AT+CSCA?"] = refusal()
    ward.modem.answers["AT+CPMS?"] = refusal()
    ward.host.clock.now_s += ward.timing.reassert_s
    await ward.told("")
    await ward.until(lambda: bool(ward.modem.asked_with("AT+CCID")))
    await ward.end()


async def test_ended_channel_ends_it(ward: Ward) -> None:
    ward.modem.answers["AT+CREG?"] = ChannelClosed("gone")
    with pytest.raises(ChannelClosed):
        await ward.why()
