"""Every fault of the table, one test each."""

from pathlib import Path

import pytest

from drivers.modem.codec import Deliver, StatusReport, decode_incoming
from drivers.modem.emulator.fault_table import FAULTS
from drivers.modem.emulator.inbound import Inbound
from tests.unit.drivers.modem.emulator.desk import NUMBER, RADIO_S, Desk


@pytest.fixture
def desk() -> Desk:
    """A modem that works, announces what it stores, and hands reports on."""
    desk = Desk().quiet()
    desk.tell("AT+CNMI=2,1,0,1,0")
    desk.heard()
    return desk


def reports(lines: list[str]) -> list[int]:
    """The TP-Status of every report among the lines."""
    decoded = [decode_incoming(line) for line in lines]
    return [report.status for report in decoded if isinstance(report, StatusReport)]


def test_every_fault_is_tested_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in FAULTS if f'"{name}"' not in source] == []


# Sending.


def test_without_a_prompt_nothing_is_sent(desk: Desk) -> None:
    desk.faults.add("no_prompt")
    desk.type("AT+CMGS=10\r")
    assert desk.wait(60) == []
    desk.type("\x1b")
    assert desk.asked("AT") == ["OK"]
    assert desk.send()[-1] == "OK"


def test_a_late_prompt_comes(desk: Desk) -> None:
    desk.faults.add("late_prompt", delay_s=5.0)
    assert desk.begin() == []
    assert desk.wait(4.9) == []
    assert desk.wait(1) == ["> ", "+CMGS: 0", "OK"]


def test_a_prompt_can_lack_its_blank(desk: Desk) -> None:
    desk.faults.add("bare_prompt")
    assert desk.begin() == [">"]


def test_a_send_can_be_interrupted(desk: Desk) -> None:
    desk.faults.add("interrupted_send")
    said = desk.begin() + desk.wait(1)
    assert said == ["> ", "RING", '+CIEV: "signal",3', "^RSSI: 20", "+CMGS: 0", "OK"]


def test_the_next_send_but_one_can_be_interrupted(desk: Desk) -> None:
    desk.faults.add("interrupted_send", skip=1)
    assert desk.begin() + desk.wait(1) == ["> ", "+CMGS: 0", "OK"]
    assert "RING" in desk.begin()


def test_an_error_may_come_though_the_network_has_the_message(desk: Desk) -> None:
    desk.faults.add("cms_error", code=500, taken=True)
    assert desk.send() == ["+CMS ERROR: 500"]
    assert len(desk.network.parts) == 1


def test_ok_can_come_without_a_reference(desk: Desk) -> None:
    desk.faults.add("ok_without_reference", taken=False)
    assert desk.send() == ["OK"]
    assert not desk.network.parts


def test_a_modem_can_hang_after_a_pdu(desk: Desk) -> None:
    desk.faults.add("hang_after_pdu", hang_s=30.0)
    assert desk.send() == []
    assert len(desk.network.parts) == 1
    assert desk.asked("AT") == []
    assert desk.wait(30) == ["OK"]


def test_a_part_can_be_long_on_the_air(desk: Desk) -> None:
    desk.faults.add("slow_radio", delay_s=20.0)
    assert desk.send() == []
    assert desk.wait(20) == ["+CMGS: 0", "OK"]


@pytest.mark.parametrize("taken", [True, False])
def test_a_modem_can_restart_in_the_middle_of_a_send(desk: Desk, taken: bool) -> None:
    desk.faults.add("reboot_in_send", taken=taken)
    assert desk.send() == []
    assert len(desk.network.parts) == int(taken)
    assert desk.wait(5)[0] == "RDY"


def test_a_port_can_disappear_in_the_middle_of_a_send(desk: Desk) -> None:
    desk.faults.add("vanish_in_send", away_s=3.0, moved=True)
    assert desk.send() == []
    [absence] = desk.absences
    assert (absence.away_s, absence.is_moved) == (3.0, True)
    assert desk.wait(3)[0] == "RDY"


def test_a_modem_that_keeps_its_power_does_not_start_anew(desk: Desk) -> None:
    desk.faults.add("vanish", away_s=3.0, powered=True)
    assert desk.wait(5) == []
    assert desk.asked("AT+CNMI?")[0] == "+CNMI: 2,1,0,1,0"


def test_a_reference_can_be_used_again(desk: Desk) -> None:
    desk.send()
    desk.faults.add("reference_reuse")
    assert [desk.send()[0] for _ in range(2)] == ["+CMGS: 0", "+CMGS: 1"]


def test_what_loses_power_while_it_sends_has_sent_nothing(desk: Desk) -> None:
    desk.begin()
    desk.faults.add("reboot")
    assert desk.wait(5)[0] == "RDY"
    assert not desk.network.parts


# Reports.


def test_a_report_can_come_twice(desk: Desk) -> None:
    desk.faults.add("report_doubled")
    desk.send(wants_report=True)
    assert reports(desk.wait(5)) == [0, 0]


def test_a_report_can_come_before_the_result(desk: Desk) -> None:
    desk.faults.add("report_before_result")
    said = desk.send(wants_report=True) + desk.wait(1)
    assert next(line for line in said if line.startswith("+")).startswith("+CDS")
    assert said[-2:] == ["+CMGS: 0", "OK"]


def test_a_report_can_be_lost_late_or_bad(desk: Desk) -> None:
    desk.faults.add("report_lost")
    desk.send(wants_report=True)
    assert desk.wait(600) == []
    desk.faults.add("report_late", delay_s=60.0)
    desk.send(wants_report=True)
    assert desk.wait(59) == []
    assert reports(desk.wait(1)) == [0]
    desk.faults.add("report_failed", status=0x41)
    desk.send(wants_report=True)
    assert reports(desk.wait(5)) == [0x41]


def test_a_temporary_report_comes_before_the_final_one(desk: Desk) -> None:
    desk.faults.add("report_temporary")
    desk.send(wants_report=True)
    assert reports(desk.wait(5)) == [0x30, 0]


# What comes in.


def test_an_announcement_can_be_lost(desk: Desk) -> None:
    desk.faults.add("lost_cmti")
    assert desk.receive(Inbound("Hello")) == []
    assert desk.receive(Inbound("Hello")) == ['+CMTI: "SM",2']


def test_reports_can_be_stored_among_the_messages(desk: Desk) -> None:
    desk.faults.add("reports_in_sm")
    desk.tell("AT+CNMI=2,1,0,2,0")
    desk.send(wants_report=True)
    assert desk.wait(1) == ['+CDSI: "SM",1']


def test_an_index_can_be_another_message_after_it_was_read(desk: Desk) -> None:
    desk.receive(Inbound("One"))
    desk.receive(Inbound("Two"))
    desk.faults.add("index_reuse")
    desk.tell("AT+CMGR=2")
    assert desk.receive(Inbound("Three")) == ['+CMTI: "SM",2']
    message = decode_incoming(desk.asked("AT+CMGR=2")[1])
    assert isinstance(message, Deliver)
    assert message.text == "Three"


def test_a_message_can_come_twice(desk: Desk) -> None:
    desk.faults.add("inbound_doubled")
    assert desk.receive(Inbound("Hello")) == ['+CMTI: "SM",1', '+CMTI: "SM",2']


def test_a_memory_can_be_full_for_a_while(desk: Desk) -> None:
    desk.faults.add("memory_full", seconds=10)
    assert desk.receive(Inbound("Hello")) == []
    assert desk.asked("AT+CPMS?")[0].startswith('+CPMS: "SM",50,50')
    assert desk.wait(10) == ['+CMTI: "SM",1']


def test_a_modem_can_stop_announcing_by_itself(desk: Desk) -> None:
    desk.faults.add("cnmi_reset")
    assert desk.asked("AT+CNMI?")[0] == "+CNMI: 2,0,0,0,0"
    assert desk.receive(Inbound("Hello")) == []


# The modem.


def test_a_modem_can_hang_and_answers_afterwards(desk: Desk) -> None:
    desk.faults.add("hang", seconds=480)
    assert desk.asked("AT+CSQ") == []
    desk.modem.announce("RING")
    assert desk.wait(479) == []
    assert desk.wait(1) == ["RING", "+CSQ: 20,99", "OK"]


def test_a_modem_can_hang_while_it_sends(desk: Desk) -> None:
    desk.begin()
    desk.faults.add("hang", seconds=5)
    assert desk.wait(4) == []
    assert desk.wait(1) == ["+CMGS: 0", "OK"]


def test_the_wrong_port_answers_nothing_and_remembers_nothing(desk: Desk) -> None:
    desk.faults.add("wrong_port", seconds=10)
    assert desk.asked("AT") == []
    assert desk.wait(10) == []
    assert desk.asked("AT") == ["OK"]


def test_a_result_can_be_lost(desk: Desk) -> None:
    desk.faults.add("lost_result")
    assert desk.asked("AT+CSQ") == ["+CSQ: 20,99"]
    assert desk.asked("AT") == ["OK"]


def test_a_command_can_be_overheard(desk: Desk) -> None:
    desk.faults.add("sleepy")
    assert desk.asked("AT") == []
    assert desk.asked("AT") == ["OK"]


def test_a_command_can_be_refused(desk: Desk) -> None:
    desk.faults.add("refuse", command="+CSQ")
    assert desk.asked("AT+CSQ") == ["ERROR"]
    assert desk.asked("AT+CSQ=?") == ["ERROR"]
    assert desk.asked("AT+CSCS?")[-1] == "OK"


@pytest.mark.parametrize(("refused", "values"), [("+CNMI=", [1, 2]), ("+CNMI=2", [2]), ("+CNMI=2,1", [2])])
def test_one_form_of_a_command_can_be_refused_or_only_some_values(
    desk: Desk, refused: str, values: list[int]
) -> None:
    desk.faults.add("refuse", command=refused, code=4)
    assert desk.asked("AT+CNMI?")[-1] == "OK"
    assert desk.asked("AT+CNMI=?")[-1] == "OK"
    assert [mode for mode in (1, 2) if desk.asked(f"AT+CNMI={mode},1") == ["+CME ERROR: 4"]] == values


def test_a_modem_can_go_on_echoing(desk: Desk) -> None:
    desk.faults.add("echo_on")
    assert desk.tell("AT") == "AT\r\r\nOK\r\n"


def test_a_port_can_disappear(desk: Desk) -> None:
    desk.faults.add("vanish", away_s=2.0)
    assert len(desk.absences) == 1
    assert desk.asked("AT") == []
    assert desk.wait(2)[0] == "RDY"


# The SIM.


@pytest.mark.parametrize(
    ("fault", "codes"), [("sim_busy", (14, 314)), ("no_sim", (10, 310)), ("sim_failure", (13, 313))]
)
def test_a_sim_that_does_not_answer_is_said_so(desk: Desk, fault: str, codes: tuple[int, int]) -> None:
    desk.faults.add(fault, seconds=30)
    for command in ("AT+CPIN?", "AT+CIMI", "AT+CCID"):
        assert desk.asked(command) == [f"+CME ERROR: {codes[0]}"]
    for command in ("AT+CSCA?", "AT+CMGS=10", "AT+CMGL=4", "AT+CPMS?"):
        assert desk.asked(command) == [f"+CMS ERROR: {codes[1]}"]
    desk.wait(31)
    assert desk.asked("AT+CPIN?") == ["+CPIN: READY", "OK"]
    assert desk.send()[-1] == "OK"


def test_a_sim_that_is_taken_out_and_put_in_is_announced(desk: Desk) -> None:
    desk.faults.add("no_sim", seconds=5)
    assert desk.lines() == ["+CPIN: NOT READY"]
    assert desk.wait(6) == ["+CPIN: READY", "SMS DONE"]


def test_a_sim_that_is_busy_gets_its_messages_later(desk: Desk) -> None:
    desk.faults.add("sim_busy", seconds=5)
    assert desk.receive(Inbound("Hello")) == []
    assert desk.wait(5) == ['+CMTI: "SM",1']


def test_a_pin_can_be_wanted(desk: Desk) -> None:
    desk.faults.add("pin", pin="4711", tries=1)
    assert desk.asked("AT+CPIN?") == ["+CPIN: SIM PIN", "OK"]
    assert desk.asked('AT+CPIN="1234"') == ["+CME ERROR: 12"]


def test_a_puk_can_be_wanted(desk: Desk) -> None:
    desk.faults.add("puk", puk="87654321")
    assert desk.asked("AT+CPIN?") == ["+CPIN: SIM PUK", "OK"]
    assert desk.asked('AT+CPIN="87654321","1111"') == ["OK"]


def test_another_sim_can_be_in_the_modem(desk: Desk) -> None:
    desk.faults.add("sim_swap", number="+15550001111", iccid="8900000000000000000")
    desk.wait(5)
    assert desk.asked("AT+CCID")[1] == "+CCID: 8900000000000000000"
    desk.network.deliver(Inbound("For the new one"), to="+15550001111")
    desk.network.deliver(Inbound("For the old one"), to=NUMBER)
    desk.wait(60)
    assert desk.network.waiting("+15550001111") == 0
    assert desk.network.waiting(NUMBER) == 1


def test_the_service_centre_can_be_lost_and_set_again(desk: Desk) -> None:
    desk.faults.add("no_smsc")
    assert desk.asked("AT+CSCA?") == ['+CSCA: "",129', "OK"]
    assert desk.begin()[-1] == "+CMS ERROR: 330"
    desk.tell('AT+CSCA="+15550000001",145')
    assert desk.send()[-1] == "OK"


# The radio.


def test_the_signal_can_be_lost(desk: Desk) -> None:
    desk.tell("AT+CREG=1")
    desk.faults.add("no_signal", seconds=10)
    assert desk.lines()[-1] == "+CREG: 0"
    assert desk.asked("AT+CSQ") == ["+CSQ: 99,99", "OK"]
    assert desk.asked("AT+CMGS=10") == ["+CMS ERROR: 331"]
    assert desk.wait(11) == ["+CREG: 2", "+CREG: 1"]


def test_a_registration_can_be_denied(desk: Desk) -> None:
    desk.faults.add("registration_denied", seconds=10)
    assert desk.asked("AT+CREG?") == ["+CREG: 0,3", "OK"]
    desk.wait(11)
    assert desk.asked("AT+CREG?") == ["+CREG: 0,1", "OK"]


# The line.


def test_what_a_modem_says_can_come_in_pieces(desk: Desk) -> None:
    desk.faults.add("split_reads", seconds=60)
    desk.type("AT+CSQ\r")
    assert desk.wait(0) == ["+CSQ: 20,99", "OK"]


def test_what_a_modem_says_can_come_slowly(desk: Desk) -> None:
    desk.faults.add("slow_reads", bytes_per_s=10.0)
    desk.type("AT\r")
    desk.wait(0.05)
    assert desk.heard() == ""
    assert desk.wait(0.6) == ["OK"]


def test_what_a_modem_says_can_be_held_back(desk: Desk) -> None:
    desk.faults.add("merged_reads", delay_s=0.2)
    desk.type("AT\r")
    desk.modem.announce("RING")
    assert desk.heard() == ""
    assert desk.wait(0.2) == ["OK", "RING"]


def test_bytes_that_mean_nothing_can_come_first(desk: Desk) -> None:
    desk.faults.add("garbage")
    said = desk.tell("AT")
    assert said.endswith("\r\nOK\r\n")
    assert said != "\r\nOK\r\n"


def test_messages_go_out_all_the_same_on_a_bad_line(desk: Desk) -> None:
    for fault in ("split_reads", "merged_reads"):
        desk.faults.add(fault, seconds=5)
    desk.begin()
    assert desk.wait(RADIO_S + 1)[-1] == "OK"
