"""Outgoing messages: prompt, PDU, result, references, what the network has, stored drafts, text mode."""

import pytest

from drivers.modem.codec import submit_pdus
from drivers.modem.emulator.fates import FATES
from tests.unit.drivers.modem.emulator.desk import NUMBER, RECIPIENT, Desk

SANDBOX = "+1500555000"


@pytest.fixture
def desk() -> Desk:
    """A modem that works."""
    return Desk().quiet()


def test_a_message_goes_out_after_its_time_on_the_air(desk: Desk) -> None:
    assert desk.begin("Hello ✓") == ["> "]
    assert not desk.network.parts
    assert desk.wait(1) == ["+CMGS: 0", "OK"]
    [message] = desk.network.messages
    assert (message.sender, message.destination, message.text) == (NUMBER, RECIPIENT, "Hello ✓")


def test_references_count_on_and_belong_to_the_sim(desk: Desk) -> None:
    assert [desk.send()[0] for _ in range(3)] == ["+CMGS: 0", "+CMGS: 1", "+CMGS: 2"]
    desk.modem.restart()
    desk.wait(5)
    desk.quiet().heard()
    assert desk.send()[0] == "+CMGS: 3"


def test_references_begin_anew_after_255(desk: Desk) -> None:
    desk.modem.sim.last_reference = 255
    assert desk.send()[0] == "+CMGS: 0"


def test_the_parts_of_a_text_make_it_whole(desk: Desk) -> None:
    text = "Grüße 😀 " * 30
    parts = len(submit_pdus(text, destination=RECIPIENT, reference=7, wants_report=False))
    assert parts > 2
    for part in reversed(range(parts)):
        assert not desk.network.messages
        desk.send(text, part=part)
    assert [message.text for message in desk.network.messages] == [text]
    assert len(desk.network.parts) == parts


def test_a_length_that_is_wrong_is_refused(desk: Desk) -> None:
    desk.type("AT+CMGS=99\r0001000A9155\x1a")
    assert desk.lines() == ["> ", "+CMS ERROR: 304"]


@pytest.mark.parametrize("pdu", ["", "zz", "0", "00", "FF00", "0004"])
def test_what_is_no_pdu_is_refused(desk: Desk, pdu: str) -> None:
    desk.type(f"AT+CMGS={max(0, len(pdu) // 2 - 1)}\r{pdu}\x1a")
    assert desk.lines() == ["> ", "+CMS ERROR: 304"]
    assert not desk.network.parts


def test_a_message_without_any_service_centre_is_refused(desk: Desk) -> None:
    desk.modem.sim.smsc = ""
    assert desk.begin()[-1] == "+CMS ERROR: 330"
    pdu = submit_pdus("Hi", destination=RECIPIENT, reference=0, wants_report=False, smsc="+15550000009")[0]
    desk.type(f"AT+CMGS={pdu.tpdu_octets}\r{pdu.hex}\x1a")
    assert desk.wait(1)[-1] == "OK"


def test_a_draft_is_kept_and_sent(desk: Desk) -> None:
    pdu = submit_pdus("Later", destination=RECIPIENT, reference=0, wants_report=False)[0]
    desk.type(f"AT+CMGW={pdu.tpdu_octets}\r{pdu.hex}\x1a")
    assert desk.lines() == ["> ", "+CMGW: 1", "OK"]
    assert desk.asked("AT+CMGL=2")[0].startswith("+CMGL: 1,2,,")
    desk.type("AT+CMSS=1\r")
    assert desk.wait(1) == ["+CMSS: 0", "OK"]
    assert desk.asked("AT+CMGR=1")[0].startswith("+CMGR: 3,,")
    assert desk.network.messages[0].text == "Later"
    assert desk.asked("AT+CMSS=2") == ["+CMS ERROR: 321"]


def test_in_text_mode_a_number_and_a_text_are_enough(desk: Desk) -> None:
    desk.tell("AT+CMGF=1", "AT+CSMP=49,167,0,0")
    desk.type(f'AT+CMGS="{RECIPIENT}"\r')
    desk.type("Hello\x1a")
    assert desk.wait(0.4)[-2:] == ["+CMGS: 0", "OK"]
    assert desk.network.parts[0].wants_report
    assert desk.network.messages[0].text == "Hello"


def test_text_mode_takes_any_text_as_ucs2(desk: Desk) -> None:
    desk.tell("AT+CMGF=1", 'AT+CSCS="UCS2"')
    number, text = (value.encode("utf-16-be").hex() for value in (RECIPIENT, "Hej 😀"))
    desk.type(f'AT+CMGS="{number}"\r{text}\x1a')
    desk.wait(1)
    assert desk.network.messages[0].text == "Hej 😀"


def test_text_mode_refuses_what_is_too_long_or_to_nobody(desk: Desk) -> None:
    desk.tell("AT+CMGF=1")
    desk.type(f'AT+CMGS="{RECIPIENT}"\r{"x" * 161}\x1a')
    assert desk.lines()[-1] == "+CMS ERROR: 305"
    desk.type('AT+CMGS="somebody"\rHi\x1a')
    assert desk.lines()[-1] == "+CMS ERROR: 305"


@pytest.mark.parametrize(("digit", "code"), [("1", 1), ("2", 27), ("3", 21)])
def test_a_number_can_be_refused(desk: Desk, digit: str, code: int) -> None:
    assert desk.send(to=SANDBOX + digit) == [f"+CMS ERROR: {code}"]
    assert not desk.network.parts


def test_a_number_can_lose_the_networks_answer(desk: Desk) -> None:
    assert desk.send(to=SANDBOX + "6") == ["+CMS ERROR: 332"]
    assert len(desk.network.parts) == 1


def test_a_number_can_restart_the_modem(desk: Desk) -> None:
    assert desk.send(to=SANDBOX + "7") == []
    assert len(desk.network.parts) == 1
    assert desk.wait(5)[0] == "RDY"


def test_every_number_with_a_fate_is_one_of_the_sandbox() -> None:
    assert set(FATES) == {SANDBOX + str(digit) for digit in range(10)}
