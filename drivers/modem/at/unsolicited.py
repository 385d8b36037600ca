"""Which lines a modem says unasked, and which answer the running command.

Knows no I/O and keeps no state. Sources: 3GPP TS 27.005 §3.4.1 (+CMTI, +CMT, +CBMI, +CBM, +CDSI, +CDS), TS 27.007 §7
(registration, calls), manuals and logs of SIMCom, Quectel, Huawei, ZTE, Telit and u-blox for what has no standard.
"""

import re
from collections.abc import Sequence

from drivers.modem.at.commands import ONE_LINE, REGISTRATIONS, SAID_UNASKED, Command, Form
from drivers.modem.at.finals import CALL_RESULTS
from drivers.modem.at.results import Unsolicited

NAMED = re.compile(r"([+^*%$#!&][A-Z][A-Z0-9_]*)\s*(?::\s*(.*))?", re.IGNORECASE | re.DOTALL)
PDU = re.compile(r"(?:[0-9A-Fa-f]{2})+")

WITH_PDU = frozenset({"+CMT", "+CDS", "+CBM"})
"""Take the following line."""
RESTARTED = frozenset({"RDY", "SYSSTART", "^SYSSTART", "^SYSSTART AIRPLANE MODE", "MODEM:STARTUP"})
"""Only a modem that has just started says this: it has forgotten what it was told before."""
CLOSED_QUOTE = re.compile(r'",\s*[0-9]{1,3}$')
"""The end of the string in `+CUSD: <m>,"<str>",<dcs>` (3GPP TS 27.007 §7.15), whatever quotes were in it."""
QUOTED_LINES_MAX = 16
"""How many lines the string of one `+CUSD` may have."""
WORDS = frozenset({
    "RING",
    "RDY",
    "READY",
    "SMS READY",  # SIMCom
    "SMS DONE",  # SIMCom LTE
    "CALL READY",  # SIMCom
    "PB DONE",  # SIMCom LTE
    "SIM READY",
    "SIM NOT READY",
    "NORMAL POWER DOWN",  # SIMCom
    "POWERED DOWN",  # Quectel
    "UNDER-VOLTAGE POWER DOWN",
    "UNDER-VOLTAGE WARNING",
    "UNDER-VOLTAGE WARNNING",  # SIMCom writes it so
    "OVER-VOLTAGE POWER DOWN",
    "OVER-VOLTAGE WARNING",
    "OVER-VOLTAGE WARNNING",
    "MODEM:STARTUP",  # u-blox
    "SYSSTART",
    "+PBREADY",  # Telit, u-blox
    "^SYSSTART",  # Cinterion
    "^SYSSTART AIRPLANE MODE",
    "^SHUTDOWN",
    "^EXIT",
})
"""Whole lines without parameters."""
WORDS_WITH_PARAMETERS = frozenset({"DST", "APP RDY", "VOICE CALL", "MISSED_CALL"})


def unsolicited_of(line: str) -> Unsolicited | None:
    """The unsolicited code that a line is when no command runs; its name in capitals. None if it is none."""
    upper = line.upper()
    if upper in WORDS or upper in CALL_RESULTS:
        return Unsolicited(upper)
    head, colon, parameters = line.partition(":")
    if colon and head.upper() in WORDS_WITH_PARAMETERS:
        return Unsolicited(head.upper(), parameters.strip())
    if (named := NAMED.fullmatch(line)) and named[2] is not None:
        return Unsolicited(named[1].upper(), named[2].strip())
    return None


def answers(command: Command, code: Unsolicited, lines_before: Sequence[str]) -> bool:
    """Whether a line answers the running command, of whose answer these lines have come."""
    if code.name not in command.prefixes:
        return False
    if code.name in SAID_UNASKED:
        return command.form in {Form.READ, Form.TEST}
    if code.name not in ONE_LINE or command.form is Form.TEST:
        return True
    if command.form is Form.SET or any(line.upper().startswith(f"{code.name}:") for line in lines_before):
        return False
    return code.name not in REGISTRATIONS or is_registration_answer(command, code)


def is_registration_answer(command: Command, code: Unsolicited) -> bool:
    """Whether `+CREG: …` answers AT+CREG? (3GPP TS 27.007 §7.2).

    The answer is `<n>,<stat>[,…]`; unasked it is `<stat>[,"<lac>",…]`. Areas are quoted or have several digits.
    """
    if command.form is not Form.READ:
        return False
    fields = [field.strip() for field in code.parameters.split(",")]
    return len(fields) >= 2 and all(field.isdecimal() and len(field) <= 2 for field in fields[:2])


def is_pdu(line: str) -> bool:
    """Whether a line is whole octets in hex."""
    return PDU.fullmatch(line) is not None


def has_open_quote(line: str) -> bool:
    """Whether a quoted string goes on in the next line, as long texts of +CUSD do."""
    return line.count('"') % 2 == 1 and CLOSED_QUOTE.search(line) is None
