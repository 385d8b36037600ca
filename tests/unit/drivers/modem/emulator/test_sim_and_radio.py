"""PIN and PUK, the SIM's data, registration, signal, operator, restarts."""

import pytest

from drivers.modem.emulator.inbound import Inbound
from drivers.modem.emulator.sim import Sim
from tests.unit.drivers.modem.emulator.desk import NUMBER, Desk


@pytest.fixture
def desk() -> Desk:
    """A modem that works."""
    return Desk().quiet()


@pytest.fixture
def locked() -> Desk:
    """A modem whose SIM wants a PIN."""
    return Desk(pin="1234").quiet()


def test_a_sim_tells_who_it_is(desk: Desk) -> None:
    assert desk.asked("AT+CCID") == ["+CCID: 89490200001234567890", "OK"]
    assert desk.asked("AT+CIMI") == ["001010123456789", "OK"]
    assert desk.asked("AT+CNUM") == [f'+CNUM: "","{NUMBER}",145', "OK"]
    assert desk.asked("AT+CPIN?") == ["+CPIN: READY", "OK"]


def test_a_sim_may_not_know_its_number(desk: Desk) -> None:
    desk.modem.sim.tells_number = False
    assert desk.asked("AT+CNUM") == ["OK"]


def test_a_locked_sim_lets_nothing_be_done(locked: Desk) -> None:
    assert locked.asked("AT+CPIN?") == ["+CPIN: SIM PIN", "OK"]
    assert locked.asked("AT+CIMI") == ["+CME ERROR: 11"]
    assert locked.asked("AT+CMGS=10") == ["+CMS ERROR: 311"]
    assert locked.asked("AT+CREG?") == ["+CREG: 0,0", "OK"]


def test_the_pin_opens_the_sim_and_the_modem_registers(locked: Desk) -> None:
    locked.tell("AT+CREG=1")
    assert locked.asked('AT+CPIN="1234"') == ["+CREG: 2", "OK"]
    assert locked.wait(1) == ["+CPIN: READY", "SMS DONE", "+CREG: 1"]
    assert locked.asked('AT+CPIN="1234"') == ["+CME ERROR: 3"]


def test_wrong_pins_cost_tries_and_then_want_the_puk(locked: Desk) -> None:
    assert locked.asked('AT+CPIN="0000"') == ["+CME ERROR: 16"]
    assert locked.asked("AT+CPINR")[0] == "+CPINR: SIM PIN,2,3"
    assert locked.asked('AT+CPIN="0000"') == ["+CME ERROR: 16"]
    assert locked.asked('AT+CPIN="0000"') == ["+CME ERROR: 12"]
    assert locked.asked("AT+CPIN?") == ["+CPIN: SIM PUK", "OK"]
    assert locked.asked('AT+CPIN="1234"') == ["+CME ERROR: 12"]
    assert locked.asked('AT+CPIN="12345678","4321"')[-1] == "OK"
    assert locked.modem.sim.pin == "4321"


def test_a_sim_whose_puk_was_wrong_too_often_is_dead(locked: Desk) -> None:
    locked.modem.sim.pin_tries = 0
    for _ in range(10):
        locked.tell('AT+CPIN="00000000","4321"')
    assert locked.asked("AT+CPIN?") == ["+CME ERROR: 13"]


def test_a_pin_is_asked_for_again_after_a_restart(locked: Desk) -> None:
    locked.tell('AT+CPIN="1234"')
    locked.modem.restart()
    assert locked.wait(5) == ["RDY", "+CFUN: 1", "+CPIN: SIM PIN"]


def test_the_pin_can_be_switched_off(locked: Desk) -> None:
    locked.tell('AT+CPIN="1234"')
    assert locked.asked('AT+CLCK="SC",2') == ["+CLCK: 1", "OK"]
    assert locked.asked('AT+CLCK="SC",0,"9999"') == ["+CME ERROR: 16"]
    locked.tell('AT+CLCK="SC",0,"1234"')
    assert locked.asked('AT+CLCK="SC",2') == ["+CLCK: 0", "OK"]


def test_registration_is_told_in_three_forms(desk: Desk) -> None:
    assert desk.asked("AT+CREG?") == ["+CREG: 0,1", "OK"]
    desk.tell("AT+CREG=2", "AT+CEREG=2")
    assert desk.asked("AT+CREG?") == ['+CREG: 2,1,"00C8","01A2B3C4",7', "OK"]
    assert desk.asked("AT+CEREG?") == ['+CEREG: 2,1,"00C8","01A2B3C4",7', "OK"]


def test_a_modem_abroad_is_roaming(desk: Desk) -> None:
    desk.modem.radio.is_roaming = True
    desk.tell("AT+CFUN=4", "AT+CFUN=1")
    desk.wait(1)
    assert desk.asked("AT+CREG?") == ["+CREG: 0,5", "OK"]


def test_the_operator_has_three_names(desk: Desk) -> None:
    assert desk.asked("AT+COPS?") == ['+COPS: 0,0,"Infini Reach Emulated",7', "OK"]
    assert desk.asked("AT+COPS=3,2;+COPS?") == ['+COPS: 0,2,"00101",7', "OK"]
    assert desk.asked('AT+COPS=1,2,"99999"') == ["+CME ERROR: 32"]


def test_strings_follow_the_charset(desk: Desk) -> None:
    desk.tell("AT+COPS=3,2", 'AT+CSCS="UCS2"')
    assert desk.asked("AT+COPS?") == ['+COPS: 0,2,"00300030003100300031",7', "OK"]
    assert desk.asked("AT+CSCA?") == [
        f'+CSCA: "{"+15550000001".encode("utf-16-be").hex().upper()}",145',
        "OK",
    ]


def test_a_modem_leaves_the_network_and_comes_back(desk: Desk) -> None:
    desk.tell("AT+CREG=1")
    assert desk.asked("AT+COPS=2") == ["+CREG: 0", "OK"]
    assert desk.asked("AT+COPS?") == ["+COPS: 2", "OK"]
    assert desk.asked("AT+CMGS=10") == ["+CMS ERROR: 331"]
    assert desk.asked("AT+COPS=0") == ["+CREG: 2", "OK"]
    assert desk.wait(1) == ["+CREG: 1"]


def test_with_the_radio_off_nothing_is_sent_and_messages_wait(desk: Desk) -> None:
    desk.tell("AT+CNMI=2,1")
    assert desk.asked("AT+CFUN=4") == ["OK"]
    assert desk.asked("AT+CSQ") == ["+CSQ: 99,99", "OK"]
    assert desk.asked("AT+CMGS=10") == ["+CMS ERROR: 302"]
    assert desk.receive(Inbound("Hello")) == []
    assert desk.network.waiting(NUMBER) == 1
    desk.tell("AT+CFUN=1")
    assert desk.wait(1) == ['+CMTI: "SM",1']


def test_a_restart_puts_all_settings_back_and_keeps_messages(desk: Desk) -> None:
    desk.receive(Inbound("Hello"))
    assert desk.asked("AT+CFUN=1,1") == ["OK"]
    assert desk.wait(0.2) == []
    assert desk.asked("AT") == []
    assert desk.wait(5) == ["RDY", "+CFUN: 1", "+CPIN: READY", "SMS DONE"]
    assert desk.tell("AT").startswith("AT\r")
    assert desk.asked("AT+CNMI?")[-2:] == ["+CNMI: 0,0,0,0,0", "OK"]
    assert desk.modem.stored()["SM"] == [1]
    assert desk.modem.radio.is_registered


def test_another_sim_has_its_own_messages_and_number(desk: Desk) -> None:
    desk.receive(Inbound("For the first"))
    first = desk.modem.sim
    desk.modem.insert(Sim("+15550001111"))
    desk.wait(5)
    assert desk.asked("AT+CNUM")[1] == '+CNUM: "","+15550001111",145'
    assert desk.modem.stored()["SM"] == []
    desk.network.deliver(Inbound("Waits for the first"), to=NUMBER)
    desk.wait(60)
    assert desk.network.waiting(NUMBER) == 1
    desk.modem.insert(first)
    desk.wait(60)
    assert desk.modem.stored()["SM"] == [1, 2]


def test_the_service_centre_can_be_set(desk: Desk) -> None:
    assert desk.asked("AT+CSCA?") == ['+CSCA: "+15550000001",145', "OK"]
    desk.tell('AT+CSCA="15550000002",145')
    assert desk.asked("AT+CSCA?") == ['+CSCA: "+15550000002",145', "OK"]


def test_a_balance_can_be_asked_for(desk: Desk) -> None:
    assert desk.asked('AT+CUSD=1,"*100#",15') == ["OK"]
    assert desk.wait(1) == ['+CUSD: 0,"Your balance is 12.34 EUR.",15']


def test_a_menu_asks_on(desk: Desk) -> None:
    desk.tell('AT+CUSD=1,"*123#",15')
    assert desk.wait(1)[0].startswith("+CUSD: 1,")
    desk.tell('AT+CUSD=1,"1",15')
    assert desk.wait(1) == ['+CUSD: 0,"Your balance is 12.34 EUR.",15']


def test_a_ussd_session_can_be_ended(desk: Desk) -> None:
    desk.tell('AT+CUSD=1,"*123#",15')
    assert desk.asked("AT+CUSD=2") == ["OK"]
    assert desk.wait(10) == []


def test_an_unknown_code_is_answered(desk: Desk) -> None:
    desk.tell('AT+CUSD=1,"*999#",15')
    assert desk.wait(1) == ['+CUSD: 0,"Unknown code.",15']


def test_without_a_network_no_code_goes_out(desk: Desk) -> None:
    desk.faults.add("no_signal")
    assert desk.asked('AT+CUSD=1,"*100#",15') == ["+CME ERROR: 30"]
