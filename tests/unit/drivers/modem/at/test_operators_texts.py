"""A text of `+CUSD` goes over several lines, none of which is taken for anything else, even if it never ends."""

import pytest

from drivers.modem.at.engine import Ended, Engine, Event, ProbeAnswered
from drivers.modem.at.results import CommandRefused, Unsolicited

BEGINNING = b'+CUSD: 0,"Your bal\r\n'


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def handed_over(engine: Engine) -> Engine:
    """One that waits for what became of a PDU."""
    engine.start_submit(18, "0011000B915155214365F700000AE8329BFD06")
    engine.feed(b"\r\n> ")
    engine.hand_over()
    return engine


@pytest.mark.parametrize("text", [b"OK", b"ERROR", b"NO CARRIER"])
def test_no_line_of_an_operators_text_ends_a_command(handed_over: Engine, text: bytes) -> None:
    data = b'+CUSD: 0,"Your balance\r\n' + text + b'\r\nBye",15\r\n'
    assert handed_over.feed(data) == [Unsolicited("+CUSD", f'0,"Your balance\n{text.decode()}\nBye",15')]
    assert handed_over.feed(b"+CMGS: 7\r\nOK\r\n") == [Ended(("+CMGS: 7",))]


def test_quotes_within_a_text_do_not_keep_it_open(engine: Engine) -> None:
    engine.start("AT+CMGF=0")
    told = Unsolicited("+CUSD", '0,"5 inch: 5"",15')
    assert engine.feed(b'+CUSD: 0,"5 inch: 5"",15\r\nOK\r\n') == [told, Ended()]


def test_text_that_is_never_closed_ends_with_the_reference_of_a_message(handed_over: Engine) -> None:
    told: list[Event] = [Unsolicited("+CUSD", '0,"Your bal'), Ended(("+CMGS: 7",))]
    assert handed_over.feed(BEGINNING + b"+CMGS: 7\r\nOK\r\n") == told


def test_text_that_is_never_closed_ends_with_an_error_that_has_a_code(handed_over: Engine) -> None:
    told, ended = handed_over.feed(BEGINNING + b"+CMS ERROR: 38\r\n")
    assert told == Unsolicited("+CUSD", '0,"Your bal')
    assert isinstance(ended, Ended)
    assert isinstance(ended.failure, CommandRefused)
    assert ended.failure.code == 38


def test_text_that_is_never_closed_hides_no_restart(engine: Engine) -> None:
    told = [Unsolicited("+CUSD", '0,"Your bal'), Unsolicited("RDY")]
    assert engine.feed(BEGINNING + b"RDY\r\n") == told


def test_text_that_is_never_closed_hides_no_answer_to_the_probe(engine: Engine) -> None:
    engine.start("AT+CMGF=0")
    assert engine.feed(BEGINNING + b"OK\r\n") == []
    engine.give_up()
    engine.probe()
    assert engine.feed(b"OK\r\n") == [Unsolicited("+CUSD", '0,"Your bal\nOK'), ProbeAnswered()]


def test_text_that_is_never_closed_takes_no_more_than_a_few_lines(engine: Engine) -> None:
    assert len(engine.feed(b'+CUSD: 0,"' + b"x\r\n" * 40)) == 1
