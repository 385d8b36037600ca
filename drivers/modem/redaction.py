"""What of a line may stand in a log: the dialogue's form, and neither numbers nor texts nor keys.

Knows nothing of ports and state.
"""

import re

from drivers.modem.at.unsolicited import WORDS

PUBLIC_STRINGS = frozenset({
    "SM",
    "ME",
    "MT",
    "SR",
    "BM",
    "TA",
    "AT",
    "GSM",
    "UCS2",
    "IRA",
    "HEX",
    "8859-1",
    "UTF-8",
})
"""Quoted strings that name memories and alphabets."""
FORM = re.compile(
    r"(?P<head>AT[+^*%$#!&]?[A-Z0-9]*|[+^*%$#!&][A-Z0-9_]+)(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
QUOTED = re.compile(r'"([^"]*)("|$)')
LONG_WORD = re.compile(r"[^\s,;:=?()]{4,}")
ERROR = re.compile(r"\+?CM[ES] ERROR.*", re.IGNORECASE)
PUBLIC_LINES = WORDS | {
    "OK",
    "ERROR",
    ">",
    "NO CARRIER",
    "BUSY",
    "NO ANSWER",
    "NO DIALTONE",
    "COMMAND NOT SUPPORT",
}
SECRET_HEADS = frozenset({"+CUSD", "+CPIN", "AT+CUSD", "AT+CPIN", "ATD", "+CNUM", "+CLIP", "+COPN"})
"""Of these, no parameter is shown, but for the state of the PIN."""
PIN_STATES = re.compile(
    r":?\s*(READY|(SIM|PH-SIM|PH-FSIM|PH-NET) (PIN|PUK)2?|NOT READY|NOT INSERTED|\??)", re.IGNORECASE
)


def redacted(line: str) -> str:
    """The line with everything hidden that may be a number, a text, a PDU, a PIN or an identity.

    Short numbers stay (indices, states, lengths); what has four or more characters goes, and all of a line of no
    known form.
    """
    if line.upper() in PUBLIC_LINES or ERROR.fullmatch(line):
        return line
    if (form := FORM.fullmatch(line)) is None:
        return f"<{len(line)} characters>"
    head, rest = form["head"], form["rest"]
    if head.upper().startswith("ATD"):
        return "ATD<hidden>"
    if head.upper() in SECRET_HEADS:
        return line if PIN_STATES.fullmatch(rest) else f"{head}<hidden>"
    if len(head) > 16:
        return f"<{len(line)} characters>"
    rest = QUOTED.sub(lambda match: match[0] if match[1] in PUBLIC_STRINGS else '"<hidden>"', rest)
    return head + LONG_WORD.sub(lambda match: match[0] if keeps(match[0]) else "<hidden>", rest)


def keeps(word: str) -> bool:
    """Whether a word of four or more characters was already judged, as a quoted string."""
    return word.startswith('"') and word.endswith('"')
