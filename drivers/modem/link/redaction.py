"""What of a line may stand in a log: the dialogue's form, and neither numbers nor texts nor keys.

Knows nothing of ports and state.
"""

import re

from drivers.modem.at.finals import BARE_ERRORS, CALL_RESULTS, CODED_ERROR
from drivers.modem.at.unsolicited import WORDS

FORM = re.compile(
    r"(?P<head>AT(?:[EVQZXF&]\d?)*|(?:AT)?[+^*%$#!&][A-Z][A-Z0-9_]{0,15})(?P<rest>(?:\s*[:=?;].*)?)",
    re.IGNORECASE | re.DOTALL,
)
"""A command, or a result code with parameters."""
PARAMETER = re.compile(r'"[^"]*"?|[^\s,;:=?()"]+')
PUBLIC_PARAMETER = re.compile(
    r'[+-]?\d{1,3}|"(SM|ME|MT|SR|BM|TA|AT|GSM|UCS2|IRA|HEX|UTF-8)"|READY|NOT|SIM|PH-SIM|PIN2?|PUK2?|[+^]C[A-Z]{3}'
)
"""States, indices and lengths; names of memories and alphabets; states of the PIN; names of further commands."""
PUBLIC_LINES = WORDS | BARE_ERRORS | CALL_RESULTS | {"OK", ">"}
PRIVATE_HEAD = re.compile(r"(AT)?[+^*]?(CUSD|CNUM|CLIP|CCWA|CLCC)", re.IGNORECASE)
"""Nothing else of these is shown."""
CONTROLS = {"\x1b": "<ESC>"}


def redacted(line: str) -> str:
    """The line with everything hidden that may be a number, a text, a PDU, a PIN, an identity or a place.

    Of a line of no known form, nothing is shown but its length.
    """
    line = CONTROLS.get(line, line.strip(" \r\n\x1a"))
    if line in CONTROLS.values() or line.upper() in PUBLIC_LINES or CODED_ERROR.fullmatch(line):
        return line
    if (form := FORM.fullmatch(line)) is None:
        return f"<{len(line)} characters>"
    if PRIVATE_HEAD.fullmatch(form["head"]):
        return f"{form['head']}<hidden>" if form["rest"] else form["head"]
    return form["head"] + PARAMETER.sub(shown, form["rest"])


def shown(parameter: re.Match[str]) -> str:
    """A parameter, if it tells nothing about anybody."""
    return parameter[0] if PUBLIC_PARAMETER.fullmatch(parameter[0]) else "<hidden>"
