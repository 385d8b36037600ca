"""Incoming messages and reports: the routes of +CNMI, +CNMA, memories, reading and deleting."""

import pytest

from drivers.modem.codec import Deliver, DeliverKind, StatusReport, Undecodable, decode_incoming
from drivers.modem.emulator.inbound import SENDER, Inbound, InboundInvalid, Kind
from tests.unit.drivers.modem.emulator.desk import NUMBER, RECIPIENT, Desk

SANDBOX = "+1500555000"
RETRY_S = 30.0


@pytest.fixture
def desk() -> Desk:
    """A modem that works and announces nothing yet."""
    return Desk().quiet()


def deliver_of(pdu: str) -> Deliver:
    """The message that a PDU is."""
    incoming = decode_incoming(pdu)
    assert isinstance(incoming, Deliver)
    return incoming


def report_of(pdu: str) -> StatusReport:
    """The report that a PDU is."""
    incoming = decode_incoming(pdu)
    assert isinstance(incoming, StatusReport)
    return incoming


def test_a_message_is_stored_in_silence_unless_the_modem_is_told_to_announce(desk: Desk) -> None:
    assert desk.receive(Inbound("Hello")) == []
    assert desk.modem.stored()["SM"] == [1]


def test_a_stored_message_is_announced_read_and_deleted(desk: Desk) -> None:
    desk.tell("AT+CNMI=2,1")
    assert desk.receive(Inbound("Hello ✓")) == ['+CMTI: "SM",1']
    head, pdu, result = desk.asked("AT+CMGR=1")
    assert (head.split(",")[0], result) == ("+CMGR: 0", "OK")
    assert (deliver_of(pdu).originator, deliver_of(pdu).text) == (SENDER, "Hello ✓")
    assert desk.asked("AT+CMGR=1")[0].startswith("+CMGR: 1,")
    assert desk.asked("AT+CMGD=1") == ["OK"]
    assert desk.asked("AT+CMGR=1") == ["+CMS ERROR: 321"]


def test_a_message_can_be_handed_on_at_once(desk: Desk) -> None:
    desk.tell("AT+CNMI=2,2")
    head, pdu = desk.receive(Inbound("Hello"))
    assert head == f"+CMT: ,{len(pdu) // 2 - 8}"
    assert deliver_of(pdu).text == "Hello"
    assert desk.modem.stored()["SM"] == []


def test_what_is_announced_in_mode_0_waits(desk: Desk) -> None:
    desk.tell("AT+CNMI=0,1")
    assert desk.receive(Inbound("Hello")) == []
    assert desk.asked("AT+CNMI=2,1") == ['+CMTI: "SM",1', "OK"]


def test_what_waits_can_be_dropped(desk: Desk) -> None:
    desk.tell("AT+CNMI=0,1")
    desk.receive(Inbound("Hello"))
    assert desk.asked("AT+CNMI=2,1,0,0,1") == ["OK"]


def test_under_service_1_the_network_waits_for_each_acknowledgement(desk: Desk) -> None:
    desk.tell("AT+CSMS=1", "AT+CNMI=2,2")
    assert len(desk.receive(Inbound("One"))) == 2
    assert desk.receive(Inbound("Two")) == []
    assert desk.asked("AT+CNMA") == ["OK"]
    assert len(desk.wait(0)) == 2
    assert desk.asked("AT+CNMA=0") == ["OK"]
    assert desk.asked("AT+CNMA") == ["+CMS ERROR: 340"]
    assert desk.network.waiting(NUMBER) == 0


def test_an_acknowledgement_may_have_a_pdu(desk: Desk) -> None:
    desk.tell("AT+CSMS=1", "AT+CNMI=2,2")
    desk.receive(Inbound("One"))
    desk.type("AT+CNMA=1,2\r0000\x1a")
    assert desk.lines() == ["> ", "OK"]
    assert desk.network.waiting(NUMBER) == 0


def test_a_message_that_is_refused_stays_with_the_network(desk: Desk) -> None:
    desk.tell("AT+CSMS=1", "AT+CNMI=2,2")
    desk.receive(Inbound("One"))
    assert desk.asked("AT+CNMA=2") == ["OK"]
    assert desk.network.waiting(NUMBER) == 1
    assert len(desk.wait(RETRY_S)) == 2


def test_without_acknowledgement_the_modem_stops_routing_and_the_message_comes_again(desk: Desk) -> None:
    desk.tell("AT+CSMS=1", "AT+CNMI=2,2,0,1,0")
    desk.receive(Inbound("One"))
    assert desk.wait(14) == []
    assert desk.asked("AT+CNMI?")[0] == "+CNMI: 2,2,0,1,0"
    desk.wait(1)
    assert desk.asked("AT+CNMI?")[0] == "+CNMI: 2,0,0,0,0"
    assert desk.asked("AT+CNMA") == ["+CMS ERROR: 340"]
    desk.wait(RETRY_S)
    assert desk.modem.stored()["SM"] == [1]


def test_a_report_is_handed_on_stored_or_dropped(desk: Desk) -> None:
    desk.tell("AT+CNMI=2,1,0,1,0")
    desk.send(wants_report=True)
    head, pdu = desk.wait(1)
    assert head == f"+CDS: {len(pdu) // 2 - 8}"
    report = report_of(pdu)
    assert (report.message_reference, report.recipient, report.status) == (0, RECIPIENT, 0)

    desk.tell("AT+CNMI=2,1,0,2,0")
    desk.send(wants_report=True)
    assert desk.wait(1) == ['+CDSI: "SR",1']
    desk.tell('AT+CPMS="SR"')
    assert report_of(desk.asked("AT+CMGR=1")[1]).message_reference == 1

    desk.tell("AT+CNMI=2,1,0,0,0")
    desk.send(wants_report=True)
    assert desk.wait(1) == []
    assert desk.network.waiting(NUMBER) == 0


def test_no_report_comes_that_nobody_asked_for(desk: Desk) -> None:
    desk.tell("AT+CNMI=2,1,0,1,0")
    desk.send(wants_report=False)
    assert desk.wait(60) == []


def test_a_full_memory_leaves_messages_with_the_network_until_there_is_room(desk: Desk) -> None:
    desk.tell("AT+CNMI=2,1")
    desk.modem.sim.messages.capacity = 2
    for number in range(4):
        desk.receive(Inbound(f"Message {number}"))
    assert desk.asked("AT+CPMS?")[0].startswith('+CPMS: "SM",2,2')
    assert desk.network.waiting(NUMBER) == 2
    desk.tell("AT+CMGD=1")
    assert desk.wait(0) == ['+CMTI: "SM",1']
    assert deliver_of(desk.asked("AT+CMGR=1")[1]).text == "Message 2"


def test_lists_show_what_was_asked_for_and_mark_it_read(desk: Desk) -> None:
    for number in range(3):
        desk.receive(Inbound(f"Message {number}"))
    desk.tell("AT+CMGR=2")
    assert [line.split(",")[0] for line in desk.asked("AT+CMGL=0") if line[0] == "+"] == [
        "+CMGL: 1",
        "+CMGL: 3",
    ]
    assert desk.asked("AT+CMGL=0") == ["OK"]
    assert len(desk.asked("AT+CMGL=4")) == 7
    assert desk.asked("AT+CMGL=9") == ["+CMS ERROR: 304"]


@pytest.mark.parametrize(("flag", "left"), [(1, [2]), (2, [2]), (3, [2]), (4, [])])
def test_many_messages_are_deleted_at_once(desk: Desk, flag: int, left: list[int]) -> None:
    desk.receive(Inbound("Read"))
    desk.receive(Inbound("Unread"))
    desk.tell("AT+CMGR=1")
    assert desk.asked(f"AT+CMGD=1,{flag}") == ["OK"]
    assert desk.modem.stored()["SM"] == left


def test_slots_that_are_not_there_are_refused(desk: Desk) -> None:
    assert desk.asked("AT+CMGR=51") == ["+CMS ERROR: 321"]
    assert desk.asked("AT+CMGD=0") == ["+CMS ERROR: 321"]
    assert desk.asked("AT+CMGD=x") == ["+CMS ERROR: 321"]
    assert desk.asked('AT+CPMS="XX"') == ["+CMS ERROR: 302"]


def test_the_memory_for_what_comes_in_can_be_chosen(desk: Desk) -> None:
    desk.tell("AT+CNMI=2,1")
    assert desk.asked('AT+CPMS="SM","SM","ME"') == ["+CPMS: 0,50,0,50,0,100", "OK"]
    assert desk.receive(Inbound("Hello")) == ['+CMTI: "ME",1']


def test_parts_come_in_any_order_incomplete_and_doubled(desk: Desk) -> None:
    desk.receive(Inbound("x" * 400, order=(3, 1, 1)))
    numbers = []
    for line in desk.asked("AT+CMGL=4")[1::2]:
        concatenation = deliver_of(line).concatenation
        assert concatenation is not None
        numbers.append((concatenation.number, concatenation.total))
    assert numbers == [(3, 3), (1, 3), (1, 3)]


def test_parts_that_are_not_there_are_refused(desk: Desk) -> None:
    with pytest.raises(InboundInvalid, match="3 parts"):
        desk.receive(Inbound("x" * 400, order=(4,)))


@pytest.mark.parametrize(
    ("kind", "meant"),
    [
        (Kind.SILENT, DeliverKind.SILENT),
        (Kind.BINARY, DeliverKind.BINARY),
        (Kind.MMS, DeliverKind.MMS_NOTIFICATION),
        (Kind.SIM, DeliverKind.SIM_DATA),
    ],
)
def test_messages_of_other_kinds_come_in(desk: Desk, kind: Kind, meant: DeliverKind) -> None:
    desk.receive(Inbound("Hello", kind=kind))
    assert deliver_of(desk.asked("AT+CMGR=1")[1]).kind is meant


def test_a_flash_message_is_shown_at_once_or_never(desk: Desk) -> None:
    desk.receive(Inbound("Lost", kind=Kind.FLASH))
    assert desk.modem.stored()["SM"] == []
    desk.tell("AT+CNMI=2,2")
    assert deliver_of(desk.receive(Inbound("Shown", kind=Kind.FLASH))[1]).message_class == 0


def test_a_pdu_that_is_cut_off_comes_in_as_it_is(desk: Desk) -> None:
    desk.receive(Inbound("Hello", kind=Kind.MALFORMED))
    pdu = desk.asked("AT+CMGR=1")[1]
    assert isinstance(decode_incoming(pdu), Undecodable)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_can_be_shown_in_text_mode(desk: Desk, kind: Kind) -> None:
    desk.tell("AT+CMGF=1", "AT+CSDH=1", "AT+CNMI=2,2")
    desk.receive(Inbound("Hello", kind=kind))
    desk.tell("AT+CNMI=2,1")
    desk.receive(Inbound("Hello", kind=kind))
    assert desk.asked('AT+CMGL="ALL"')[-1] == "OK"


def test_text_mode_shows_a_message_in_words(desk: Desk) -> None:
    desk.tell("AT+CMGF=1")
    desk.receive(Inbound("Hello", sender="Bank"))
    assert desk.asked("AT+CMGR=1") == ['+CMGR: "REC UNREAD","Bank",,"26/01/02,03:04:05+00"', "Hello", "OK"]
    assert desk.asked('AT+CMGL="REC READ"')[0].startswith('+CMGL: 1,"REC READ","Bank"')
    assert desk.asked('AT+CMGL="NONSENSE"') == ["+CMS ERROR: 305"]


def test_text_mode_shows_a_report_in_one_line(desk: Desk) -> None:
    desk.send(wants_report=True)
    desk.tell("AT+CMGF=1", "AT+CNMI=2,1,0,1,0")
    [line] = desk.wait(1)
    assert line.startswith(f'+CDS: 6,0,"{RECIPIENT}",145,"26/01/02,03:04:05+00",')


@pytest.mark.parametrize(
    ("digit", "statuses"), [("0", [0]), ("4", []), ("5", [0]), ("8", [0x46]), ("9", [0, 0])]
)
def test_a_number_decides_what_is_reported(desk: Desk, digit: str, statuses: list[int]) -> None:
    desk.tell("AT+CNMI=2,1,0,1,0")
    said = desk.send(to=SANDBOX + digit, wants_report=True) + desk.wait(60)
    reported = [report_of(line).status for line in said if decode_incoming(line).__class__ is StatusReport]
    assert reported == statuses


def test_a_number_can_report_before_the_modem_says_that_it_was_sent(desk: Desk) -> None:
    desk.tell("AT+CNMI=2,1,0,1,0")
    said = desk.send(to=SANDBOX + "9", wants_report=True) + desk.wait(1)
    assert [line.split(":")[0] for line in said if line[0] in "+O"] == ["+CDS", "+CDS", "+CMGS", "OK"]


def test_two_modems_of_one_network_reach_each_other(desk: Desk) -> None:
    other = Desk(network=desk.network, number="+15550001111").quiet()
    other.tell("AT+CNMI=2,2", "AT+CFUN=4")
    desk.tell("AT+CNMI=2,1,0,1,0")
    desk.send("Are you there?", to="+15550001111", wants_report=True)
    assert desk.wait(60) == []
    other.tell("AT+CFUN=1")
    reported = desk.wait(2)
    message = deliver_of(other.lines()[-1])
    assert (message.originator, message.text) == (NUMBER, "Are you there?")
    assert report_of(reported[1]).status == 0


def test_a_message_arrives_also_where_its_report_is_lost(desk: Desk) -> None:
    other = Desk(network=desk.network, number="+15550001111")
    desk.faults.add("report_lost")
    desk.send(to="+15550001111", wants_report=True)
    assert desk.wait(60) == []
    assert other.modem.stored()["SM"] == [1]


def test_of_several_modems_one_must_be_named(desk: Desk) -> None:
    Desk(network=desk.network, number="+15550001111")
    with pytest.raises(InboundInvalid, match="There are"):
        desk.network.deliver(Inbound("Hello"))
