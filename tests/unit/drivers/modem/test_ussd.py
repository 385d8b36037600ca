"""USSD codes get the network's answer, however a modem writes it."""

import asyncio
from dataclasses import replace

import pytest

from drivers.modem.at.results import Unsolicited
from drivers.modem.timing import Timing
from drivers.modem.ussd import UssdAnswer, UssdDialogue, UssdRefused, UssdUnanswered
from tests.unit.drivers.modem.channel_room import HANDED_OVER, OK, SHORT_S, cancelled, opened, running
from tests.unit.drivers.modem.scripted_modem import Answer, ScriptedModem, no_answer, refusal

TIMING = Timing()
ASK = 'AT+CUSD=1,"*100#",15'


class Network:
    """A modem behind which a network answers USSD: before the OK, after it, or never."""

    def __init__(
        self, said: str | None, *, within: bool = False, command: str = ASK, ussd_s: float = 60.0
    ) -> None:
        self.dialogue = UssdDialogue(replace(TIMING, ussd_s=ussd_s))
        self._said = said
        answer: Answer = [f"+CUSD: {said}"] if within else self._later
        self.modem = ScriptedModem({command: answer, "AT+CUSD=2": []})

    def _later(self) -> Answer:
        if self._said is not None:
            code = Unsolicited("+CUSD", self._said)
            asyncio.get_running_loop().call_soon(self.dialogue.take, code)
        return []

    async def ask(self, code: str = "*100#", *, is_packed: bool = False) -> UssdAnswer:
        return await self.dialogue.ask(self.modem, code, is_packed=is_packed)


@pytest.mark.parametrize("within", [True, False])
async def test_answer_is_heard_before_and_after_the_ok(within: bool) -> None:
    answer = await Network('0,"Balance: 5,20 EUR",15', within=within).ask()
    assert answer == UssdAnswer("Balance: 5,20 EUR", is_open=False)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ('0,"Hello",15', "Hello"),
        ('0,"Hello"', "Hello"),
        ('0,"C8329BFD065DDF72363904",15', "Hello World!"),
        ('0,"00480065006C006C006F",72', "Hello"),
        ('0,"042004430431",17', "Руб"),
        ('0,"1234",15', "1234"),
        ('0,"line one\nline two",15', "line one\nline two"),
        ("0", ""),
        ('0,"",15', ""),
    ],
)
async def test_text_is_read_in_every_coding(said: str, text: str) -> None:
    assert (await Network(said).ask()).text == text


async def test_code_and_answer_travel_packed_where_the_modem_wants_it() -> None:
    network = Network('0,"C8329BFD06",15', command='AT+CUSD=1,"AA180C3602",15')
    assert (await network.ask(is_packed=True)).text == "Hello"


async def test_menu_stays_open() -> None:
    assert (await Network('1,"1 Balance 2 Tariff",15').ask()).is_open


@pytest.mark.parametrize(("said", "error"), [("4", UssdRefused), ("2", UssdRefused), ("5", UssdUnanswered)])
async def test_network_that_does_not_answer_the_question_says_so(said: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await Network(said).ask()


async def test_refused_code_is_said() -> None:
    network = Network(None)
    network.modem.answers[ASK] = refusal(30)
    with pytest.raises(UssdRefused):
        await network.ask()


@pytest.mark.parametrize("cancelling", [[], refusal(), no_answer()])
async def test_silent_network_is_not_waited_for_for_ever_and_the_dialogue_is_cancelled(
    cancelling: Answer,
) -> None:
    network = Network(None, ussd_s=0.001)
    network.modem.answers["AT+CUSD=2"] = cancelling
    with pytest.raises(UssdUnanswered):
        await network.ask()
    assert network.modem.asked == [ASK, "AT+CUSD=2"]


@pytest.mark.parametrize("code", ["", '1",15\r', "*100#;+CFUN=0", "*" * 183, "balance"])
async def test_what_is_no_code_never_reaches_the_modem(code: str) -> None:
    network = Network(None)
    with pytest.raises(ValueError, match="must be"):
        await network.ask(code)
    assert not network.modem.asked


async def test_answers_that_nobody_asked_for_are_dropped() -> None:
    UssdDialogue(TIMING).take(Unsolicited("+CUSD", '0,"Hello",15'))


async def test_questions_are_asked_one_after_the_other() -> None:
    network = Network('0,"Hello",15')
    answers = await asyncio.gather(*(network.ask() for _ in range(5)))
    assert [answer.text for answer in answers] == ["Hello"] * 5


async def test_code_whose_turn_does_not_come_is_never_sent() -> None:
    async with opened() as room:
        dialogue = UssdDialogue(replace(TIMING, ussd_s=SHORT_S, answer_s=SHORT_S))
        sending = running(room.submit())
        await room.peer.until_heard(HANDED_OVER)
        with pytest.raises(UssdUnanswered):
            await dialogue.ask(room.channel, "*100#", is_packed=False)
        room.peer.say(b"\r\n+CMGS: 7\r\n" + OK)
        assert await sending == 7
        await room.ask()
        assert room.peer.heard == ["AT+CMGS=18", HANDED_OVER, "AT+CSQ"]


async def test_late_answer_to_a_question_that_was_given_up_does_not_pass_for_that_to_the_next() -> None:
    network = Network(None)
    given_up = running(network.ask())
    await asyncio.sleep(0)
    await cancelled(given_up)

    def late() -> Answer:
        network.dialogue.take(Unsolicited("+CUSD", '0,"late",15'))
        return []

    network.modem.answers |= {"AT+CUSD=2": late, ASK: ['+CUSD: 0,"in time",15']}
    assert (await network.ask()).text == "in time"
    assert network.modem.asked == [ASK, "AT+CUSD=2", ASK]


async def test_question_behind_one_that_waits_is_given_up_in_time() -> None:
    async with opened() as room:
        room.peer.answers[ASK] = OK
        dialogue = UssdDialogue(replace(TIMING, ussd_s=SHORT_S, answer_s=SHORT_S))
        questions = [dialogue.ask(room.channel, code, is_packed=False) for code in ("*100#", "*101#")]
        for outcome in await asyncio.gather(*questions, return_exceptions=True):
            assert isinstance(outcome, UssdUnanswered)
