"""AT commands as a table: which lines answer each of them.

Knows no I/O and no state. Sources: ITU-T V.250 §5.2 to §5.4 (forms of commands), 3GPP TS 27.007 and TS 27.005.
"""

import re
from dataclasses import dataclass
from enum import Enum

COMMAND_CHARACTERS_MAX = 1024
NAME = re.compile(r"AT([+^*%$#!&][A-Z][A-Z0-9_]*|[A-Z]|$)", re.IGNORECASE)
PDU = re.compile(r"(?:[0-9A-F]{2})+")

SAME_ANSWERS = (
    frozenset({"+CGMI", "+GMI"}),
    frozenset({"+CGMM", "+GMM"}),
    frozenset({"+CGMR", "+GMR"}),
    frozenset({"+CGSN", "+GSN"}),
    frozenset({"+CCID", "+ICCID", "+QCCID", "+CICCID", "^ICCID", "#CCID", "%CCID", "^SCID"}),
)
"""Names that modems use for one another in their answers."""
WITH_BODIES = frozenset({"+CMGL", "+CMGR"})
"""Each line that begins with the name is followed by a line with a PDU."""
ONLY_NAMED = frozenset({
    *(
        "+CSQ",
        "+CESQ",
        "+CREG",
        "+CGREG",
        "+CEREG",
        "+C5GREG",
        "+COPS",
        "+CFUN",
        "+CPIN",
        "+CNUM",
        "+CSCS",
        "+CMEE",
    ),
    *(
        "+CSMS",
        "+CMGF",
        "+CPMS",
        "+CNMI",
        "+CNMA",
        "+CSCA",
        "+CGSMS",
        "+CMMS",
        "+CMGS",
        "+CMGL",
        "+CMGR",
        "+CMGD",
    ),
    *("+CUSD", "+CLCK", "+CPWD", "+CCLK"),
})
"""Answered by lines with their name and no others (but for the bodies). What other lines come is noise."""
ONE_LINE = frozenset({"+CREG", "+CGREG", "+CEREG", "+C5GREG", "+CPIN", "+CSQ", "+CESQ", "+CFUN"})
"""Also said unasked: of one answer only the first such line is meant."""
REGISTRATIONS = frozenset({"+CREG", "+CGREG", "+CEREG", "+C5GREG"})
SAID_UNASKED = frozenset({"+CUSD"})
"""The answer to setting it comes unasked, before or after OK; only `?` and `=?` are answered in place."""
DIALS = frozenset({"D", "A", "O", "H", "+CGDATA"})
"""The results of calls are theirs."""
NUMERIC_RESULTS = frozenset({"", "E", "V", "Q"})
"""May be given before the modem was told to answer in words (V1): `0` is OK and `4` is ERROR."""


class Form(Enum):
    """How a command is written (ITU-T V.250 §5.4)."""

    ACTION = ""
    SET = "="
    READ = "?"
    TEST = "=?"


@dataclass(slots=True, frozen=True)
class Command:
    """One command line and what answers it."""

    line: str
    """As it is written, without its end."""
    name: str
    """Without its parameters, for errors and logs: `AT+CMGS`."""
    form: Form
    prefixes: frozenset[str]
    """Names at the beginning of lines that answer it, such as `+CSQ`."""
    has_plain_lines: bool = False
    """Answered also by lines that begin with no name at all, such as `AT+CGMI`."""
    has_bodies: bool = False
    dials: bool = False
    may_end_in_numbers: bool = False


def parse(line: str) -> Command:
    """What a command line asks.

    Raises ValueError if it is none, is too long, or holds anything but printable ASCII: a line end, Ctrl-Z or ESC in a
    number or a text would begin another command. The message does not quote it.
    """
    if not (line.isascii() and line.isprintable() and len(line) <= COMMAND_CHARACTERS_MAX):
        raise ValueError("a command is printable ASCII of at most 1024 characters")
    commands = [part for part in outside_quotes(line[2:]) if part]
    matches = [match for part in commands or [""] if (match := NAME.match("AT" + part))]
    if line[:2].upper() != "AT" or len(matches) != max(len(commands), 1):
        raise ValueError("a command begins with AT and a name")
    names = [match[1].upper() for match in matches]
    return Command(
        line,
        name=";".join(["AT" + names[0], *names[1:]]),
        form=form_of("AT" + (commands or [""])[-1], matches[-1].end()),
        prefixes=frozenset().union(*(answers_of(name) for name in names)),
        has_plain_lines=not ONLY_NAMED.issuperset(names),
        has_bodies=bool(WITH_BODIES.intersection(names)),
        dials=bool(DIALS.intersection(names)),
        may_end_in_numbers=all(name in NUMERIC_RESULTS for name in names),
    )


def outside_quotes(text: str) -> list[str]:
    """The commands of one line: parted by semicolons, but not by those in a quoted string."""
    return re.findall(r'(?:"[^"]*"?|[^";])+', text)


def form_of(command: str, name_end: int) -> Form:
    """The form of one command, by what follows its name."""
    rest = command[name_end:]
    if rest.startswith("=?"):
        return Form.TEST
    if rest.startswith("?"):
        return Form.READ
    return Form.SET if rest.startswith("=") else Form.ACTION


def answers_of(name: str) -> frozenset[str]:
    """The names that lines of an answer may begin with."""
    return next((names for names in SAME_ANSWERS if name in names), frozenset({name}))


def submit_line(tpdu_octets: int) -> str:
    """AT+CMGS in PDU mode (3GPP TS 27.005 §4.3). Raises ValueError unless the length is one of a PDU."""
    if not 1 <= tpdu_octets <= 255:
        raise ValueError("a TPDU has 1 to 255 octets")
    return f"AT+CMGS={tpdu_octets}"


def pdu_line(pdu: str) -> str:
    """The PDU as it is handed over. Raises ValueError unless it is whole octets in upper-case hex."""
    if not PDU.fullmatch(pdu) or len(pdu) > COMMAND_CHARACTERS_MAX:
        raise ValueError("a PDU is whole octets in upper-case hexadecimal digits")
    return pdu
