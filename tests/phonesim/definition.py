"""A phone of our own for ofono-phonesim: one that hands over what comes in (+CMT, +CDS) and wants it taken with +CNMA.

Owns its XML, made at run time with PDUs of today; what it is to show lies in `walks`. Everything that a phone does not
know it answers with ERROR.
"""

from datetime import UTC, datetime
from xml.sax.saxutils import escape

from drivers.modem.codec import Pdu, encode_deliver, encode_status_report, submit_pdus

NUMBER = "+15559876543"
SENDER = "+15550001111"
REPORTED_LATER = "+15550000001"
REPORTED_FIRST = "+15550000002"
"""The report of what goes there comes before the reference that it is about."""
ANSWERED = "+15550000003"
WITHOUT_REFERENCE = "+15550000004"
"""The phone answers OK, and says no reference."""
REFUSED = "+15550000005"
REFUSAL = 38
ANSWER = "An answer, with a € and an ä."
AWAY_MS = 300
"""From a reference to what follows it."""

ANSWERS = {
    "AT": "",
    "ATE*": "",
    "ATV*": "",
    "ATQ*": "",
    "AT+CMEE=1": "",
    "AT+CGMI": "Infini Reach",
    "AT+CGMM": "Phonesim",
    "AT+CGMR": "1",
    "AT+CGSN": "350000000000017",
    "AT+CFUN?": "+CFUN: 1",
    "AT+CCID": "+CCID: 8949020000123450017",
    "AT+CIMI": "001010000000017",
    "AT+CSCS=*": "",
    "AT+CREG=*": "",
    "AT+CREG?": '+CREG: 2,1,"00C8","01A2B3C4",7',
    "AT+CSQ": "+CSQ: 20,99",
    "AT+CSCA?": '+CSCA: "+15550009999",145',
    "AT+CMGF=0": "",
    "AT+CMGF?": "+CMGF: 0",
    "AT+CPMS=?": '+CPMS: ("SM"),("SM"),("SM")',
    'AT+CPMS="SM","SM","SM"': "+CPMS: 0,20,0,20,0,20",
    "AT+CPMS?": '+CPMS: "SM",0,20,"SM",0,20,"SM",0,20',
    "AT+CSMS=1": "+CSMS: 1,1,1",
    "AT+CSMS?": "+CSMS: 1,1,1,1",
    "AT+CNMI=?": "+CNMI: (1,2),(0,2),(0),(0,1),(0)",
    "AT+CNMI=*": "",
    "AT+CNMI?": "+CNMI: 2,2,0,1,0",
    "AT+CMGL=4": "",
    "AT+CNMA": "",
}
"""What it says to a command, before the OK."""
SIM_BUSY = "+CME ERROR: 14"
"""Its first answer to +CPIN?."""


def phone() -> str:
    """The whole definition."""
    return "\n".join([
        '<?xml version="1.0"?>',
        "<simulator>",
        *(_chat(command, _ending_in_ok(said)) for command, said in ANSWERS.items()),
        _chat("AT+CPIN?", SIM_BUSY, switch="ready"),
        _state("ready", _chat("AT+CPIN?", _ending_in_ok("+CPIN: READY"))),
        _chat("AT+CMGS=*", "> ", switch="prompt", has_end=False),
        _state(
            "prompt",
            _chat(f"{_prefix(REPORTED_LATER)}*", _reference(1), switch="reporting"),
            _chat(f"{_prefix(REPORTED_FIRST)}*", f"{_report(REPORTED_FIRST, 2)}\n{_reference(2)}", switch="ready"),
            _chat(f"{_prefix(ANSWERED)}*", _reference(3), switch="answering"),
            _chat(f"{_prefix(WITHOUT_REFERENCE)}*", "OK", switch="ready"),
            _chat(f"{_prefix(REFUSED)}*", f"+CMS ERROR: {REFUSAL}", switch="ready"),
        ),
        _state("reporting", _unsolicited(_report(REPORTED_LATER, 1))),
        _state("answering", _unsolicited(_message())),
        "</simulator>",
        "",
    ])  # fmt: skip


def _ending_in_ok(said: str) -> str:
    return f"{said}\n\nOK" if said else "OK"


def _reference(reference: int) -> str:
    return _ending_in_ok(f"+CMGS: {reference}")


def _prefix(destination: str) -> str:
    """How a PDU to this number begins, as far as it is the same for all texts; reports are wanted."""
    [pdu] = submit_pdus("x", destination=destination, reference=0, wants_report=True)
    octets_before_number, digits = 4, len(destination) - 1
    return pdu.hex[: 2 * (octets_before_number + 1) + digits + digits % 2]


def _report(recipient: str, reference: int) -> str:
    now = datetime.now(UTC)
    pdu = encode_status_report(
        message_reference=reference, recipient=recipient, sent_at=now, done_at=now, status=0
    )
    return _handed_over("+CDS: ", pdu)


def _message() -> str:
    return _handed_over("+CMT: ,", encode_deliver(ANSWER, originator=SENDER, sent_at=datetime.now(UTC)))


def _handed_over(name: str, pdu: Pdu) -> str:
    return f"{name}{pdu.tpdu_octets}\n{pdu.hex}"


def _chat(command: str, response: str, *, switch: str = "", has_end: bool = True) -> str:
    attributes = "" if has_end else ' eol="false"'
    then = f'<switch name="{switch}"/>' if switch else ""
    said = escape(response)
    return f"<chat><command>{escape(command)}</command><response{attributes}>{said}</response>{then}</chat>"


def _state(name: str, *content: str) -> str:
    return "\n".join([f'<state name="{name}">', *content, "</state>"])


def _unsolicited(said: str) -> str:
    return f'<unsolicited delay="{AWAY_MS}" once="true" switch="ready">{escape(said)}</unsolicited>'
