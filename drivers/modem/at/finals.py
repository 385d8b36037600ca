"""Final result codes: the line that ends a command.

Knows no I/O and no running command. Sources: ITU-T V.250 §5.7.1 and table 1, 3GPP TS 27.007 §9.2 (+CME ERROR),
TS 27.005 §3.2.5 (+CMS ERROR). Beyond them: what some modems write in place of ERROR.
"""

import re
from dataclasses import dataclass

from drivers.modem.at.results import Domain

CODED_ERROR = re.compile(r"\+?(CM[ES]) ERROR\s*:?\s*(.*)", re.IGNORECASE)
BARE_ERRORS = frozenset({
    "ERROR",
    "COMMAND NOT SUPPORT",  # Huawei
    "COMMAND NOT SUPPORTED",
    "TOO MANY PARAMETERS",  # Huawei
})
CALL_RESULTS = frozenset({"NO CARRIER", "BUSY", "NO ANSWER", "NO DIALTONE", "NO DIAL TONE", "CONNECT"})
"""They end a command that dials. At any other time they tell of a call that somebody else made or ended."""

CODES_OF_WORDS = {
    Domain.CME: {
        "phone failure": 0,
        "no connection to phone": 1,
        "phone-adaptor link reserved": 2,
        "operation not allowed": 3,
        "operation not supported": 4,
        "ph-sim pin required": 5,
        "ph-fsim pin required": 6,
        "ph-fsim puk required": 7,
        "sim not inserted": 10,
        "sim pin required": 11,
        "sim puk required": 12,
        "sim failure": 13,
        "sim busy": 14,
        "sim wrong": 15,
        "incorrect password": 16,
        "sim pin2 required": 17,
        "sim puk2 required": 18,
        "memory full": 20,
        "invalid index": 21,
        "not found": 22,
        "memory failure": 23,
        "text string too long": 24,
        "invalid characters in text string": 25,
        "dial string too long": 26,
        "invalid characters in dial string": 27,
        "no network service": 30,
        "network timeout": 31,
        "network not allowed - emergency calls only": 32,
        "emergency calls only": 32,
        "network personalization pin required": 40,
        "network personalization puk required": 41,
        "network subset personalization pin required": 42,
        "network subset personalization puk required": 43,
        "service provider personalization pin required": 44,
        "service provider personalization puk required": 45,
        "corporate personalization pin required": 46,
        "corporate personalization puk required": 47,
        "incorrect parameters": 50,
        "unknown": 100,
    },
    Domain.CMS: {
        "me failure": 300,
        "phone failure": 300,
        "sms service of me reserved": 301,
        "sms service of phone reserved": 301,
        "operation not allowed": 302,
        "operation not supported": 303,
        "invalid pdu mode parameter": 304,
        "invalid text mode parameter": 305,
        "sim not inserted": 310,
        "sim pin required": 311,
        "sim pin necessary": 311,
        "ph-sim pin required": 312,
        "ph-sim pin necessary": 312,
        "sim failure": 313,
        "sim busy": 314,
        "sim wrong": 315,
        "sim puk required": 316,
        "sim pin2 required": 317,
        "sim puk2 required": 318,
        "memory failure": 320,
        "invalid memory index": 321,
        "memory full": 322,
        "smsc address unknown": 330,
        "no network service": 331,
        "no network": 331,
        "network timeout": 332,
        "no +cnma acknowledgement expected": 340,
        "no cnma acknowledgement expected": 340,
        "unknown error": 500,
        "unknown": 500,
    },
}
"""What AT+CMEE=2 says, in lower case, and the number that AT+CMEE=1 says for it. (U)SIM counts as SIM."""


@dataclass(slots=True, frozen=True)
class Final:
    """How a command ended."""

    text: str
    is_ok: bool = False
    domain: Domain = Domain.NONE
    code: int | None = None


def final_of(line: str) -> Final | None:
    """The final result code that a line is; None if it is none. Results of calls are not among them."""
    upper = line.upper()
    if upper == "OK":
        return Final(line, is_ok=True)
    if upper in BARE_ERRORS:
        return Final(line)
    if coded := CODED_ERROR.fullmatch(line):
        domain = Domain(coded[1].upper())
        return Final(line, domain=domain, code=code_of(domain, coded[2].strip()))
    return None


def code_of(domain: Domain, text: str) -> int | None:
    """The number of an error, from its digits or its words; None if the words are not known."""
    if text.isascii() and text.isdecimal():
        return int(text[:9])
    words = " ".join(text.lower().replace("(u)sim", "sim").replace("usim", "sim").split())
    return CODES_OF_WORDS[domain].get(words)
