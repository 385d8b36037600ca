"""The command line: echo, results, several commands, editing, prompts."""

import pytest

from tests.unit.drivers.modem.emulator.desk import Desk


@pytest.fixture
def desk() -> Desk:
    """A modem as it leaves its factory: with echo."""
    return Desk()


def test_a_modem_echoes_until_it_is_told_not_to(desk: Desk) -> None:
    assert desk.tell("AT") == "AT\r\r\nOK\r\n"
    assert desk.tell("ATE0") == "ATE0\r\r\nOK\r\n"
    assert desk.tell("AT") == "\r\nOK\r\n"


def test_characters_are_echoed_as_they_come(desk: Desk) -> None:
    desk.type("A")
    assert desk.heard() == "A"
    desk.type("T\r")
    assert desk.heard() == "T\r\r\nOK\r\n"


def test_commands_are_taken_in_any_case(desk: Desk) -> None:
    assert desk.tell("at+csq").endswith("\r\n+CSQ: 20,99\r\n\r\nOK\r\n")


def test_several_commands_on_a_line_have_one_result(desk: Desk) -> None:
    answer = Desk().quiet().tell("ATE0V1+CMEE=1;+CSQ;+CGMI")
    assert answer == "\r\n+CSQ: 20,99\r\n\r\nInfini Reach\r\n\r\nOK\r\n"


def test_a_line_ends_at_its_first_command_that_fails(desk: Desk) -> None:
    desk.quiet()
    assert desk.asked("AT+CSQ;+NOTHING;+CGMI") == ["+CSQ: 20,99", "ERROR"]


@pytest.mark.parametrize(
    "line", ["AT+NOTHING", "AT+CSQ!", 'AT+COPS=1,2,"001', "AT?", "AT+CMEE=7", "AT+CMEE=x"]
)
def test_what_is_no_command_is_an_error(desk: Desk, line: str) -> None:
    assert desk.quiet().asked(line) == ["ERROR"]


@pytest.mark.parametrize("line", ["hello", "", "   ", "\x00\xff"])
def test_a_line_without_at_is_not_answered(desk: Desk, line: str) -> None:
    assert desk.quiet().tell(line) == ""


def test_noise_before_at_does_no_harm(desk: Desk) -> None:
    assert desk.quiet().asked("\x00\xffAT") == ["OK"]


def test_a_typist_can_rub_out(desk: Desk) -> None:
    assert desk.quiet().asked("AT+CSW\x08Q") == ["+CSQ: 20,99", "OK"]


def test_escape_discards_what_was_typed(desk: Desk) -> None:
    desk.quiet().type("AT+CMGS=1")
    desk.type("\x1b")
    assert desk.asked("AT") == ["OK"]


def test_a_slash_repeats_the_last_line(desk: Desk) -> None:
    desk.quiet().tell("AT+CSQ")
    desk.type("A/")
    assert desk.lines() == ["+CSQ: 20,99", "OK"]


def test_results_can_be_numbers(desk: Desk) -> None:
    desk.quiet().tell("ATV0")
    assert desk.tell("AT+CSQ") == "+CSQ: 20,99\r\n0\r"
    assert desk.tell("AT+NOTHING") == "4\r"


def test_results_can_be_switched_off(desk: Desk) -> None:
    assert desk.quiet().tell("ATQ1", "AT+CSQ") == "\r\n+CSQ: 20,99\r\n"


def test_errors_are_bare_numbered_or_worded(desk: Desk) -> None:
    desk.faults.add("no_sim")
    desk.tell("ATE0")
    assert desk.asked("AT+CPIN?") == ["ERROR"]
    assert desk.asked("AT+CMEE=1;+CPIN?") == ["+CME ERROR: 10"]
    assert desk.asked("AT+CMEE=2;+CPIN?") == ["+CME ERROR: SIM not inserted"]
    assert desk.asked("AT+CMGS=10") == ["+CMS ERROR: SIM not inserted"]
    assert desk.asked("AT+CMEE=0;+CMGS=10") == ["+CMS ERROR: 310"]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("AT+CMEE=?", "+CMEE: (0-2)"),
        ("AT+CSCS=?", '+CSCS: ("IRA","GSM","UCS2")'),
        ("AT+CPMS=?", '+CPMS: ("SM","ME","SR"),("SM","ME"),("SM","ME")'),
        ("AT+CNMI=?", "+CNMI: (0,1,2,3),(0,1,2,3),(0,2),(0,1,2),(0,1)"),
        ("AT+CSMS=?", "+CSMS: (0,1)"),
        ("AT+CMGL=?", "+CMGL: (0-4)"),
        ("AT+CFUN=?", "+CFUN: (0,1,4),(0,1)"),
    ],
)
def test_commands_say_what_they_take(desk: Desk, command: str, answer: str) -> None:
    assert desk.quiet().asked(command) == [answer, "OK"]


def test_every_command_with_a_test_form_answers_it(desk: Desk) -> None:
    names = desk.quiet().asked("AT+CLAC")[:-1]
    assert "+CMGS" in names
    assert {desk.asked(f"AT{name}=?")[-1] for name in names} == {"OK"}


def test_a_text_is_asked_for_and_echoed(desk: Desk) -> None:
    assert desk.tell("AT+CMGW=10") == "AT+CMGW=10\r\r\n> "
    desk.type("00AB")
    assert desk.heard() == "00AB"


def test_escape_takes_a_text_back(desk: Desk) -> None:
    desk.quiet().type("AT+CMGS=10\r00AB\x1b")
    assert desk.lines() == ["> ", "OK"]
    assert desk.asked("AT") == ["OK"]
    assert not desk.network.parts


def test_news_wait_while_a_text_is_entered(desk: Desk) -> None:
    desk.quiet().type("AT+CMGS=10\r")
    desk.heard()
    desk.modem.announce("RING")
    assert desk.heard() == ""
    desk.type("\x1b")
    assert desk.lines() == ["OK", "RING"]


def test_what_comes_while_a_command_runs_is_done_after_it(desk: Desk) -> None:
    desk.quiet().begin()
    desk.type("AT+CSQ\r")
    assert desk.heard() == ""
    assert desk.wait(1) == ["+CMGS: 0", "OK", "+CSQ: 20,99", "OK"]


def test_settings_go_back_to_the_factorys(desk: Desk) -> None:
    desk.quiet().tell("AT+CREG=2", 'AT+CSCS="UCS2"', 'AT+CPMS="ME"', "ATZ")
    assert desk.asked("ATE0") == ["ATE0\r", "OK"]
    assert desk.asked("AT+CREG?") == ["+CREG: 0,1", "OK"]
    assert desk.asked("AT+CSCS?") == ['+CSCS: "IRA"', "OK"]


def test_a_call_goes_nowhere(desk: Desk) -> None:
    assert desk.quiet().asked("ATD+15551230000;") == ["NO CARRIER"]


def test_endless_input_does_not_grow(desk: Desk) -> None:
    desk.quiet().type("A" * 100_000)
    desk.type("\r")
    assert desk.asked("AT") == ["OK"]
