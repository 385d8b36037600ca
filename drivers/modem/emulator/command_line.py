"""The grammar of a command line (ITU-T V.250, 5.2 to 5.4): from its text to the commands on it."""

import re
from dataclasses import dataclass
from enum import Enum, auto

from drivers.modem.emulator.errors import Refusal

COMMANDS_MAX = 40
"""On one line."""
_EXTENDED = re.compile(r"([+^$*#%][A-Z][A-Z0-9_]*)(=\?|\?|=)?")
_BASIC = re.compile(r"(S[0-9]+)(=\?|\?|=)?([0-9]*)|([&\\%]?[A-Z])([0-9]*)")


class Form(Enum):
    """What is asked of a command."""

    EXECUTE = auto()
    READ = auto()
    SET = auto()
    TEST = auto()


SIGNS = {Form.EXECUTE: "", Form.READ: "?", Form.SET: "=", Form.TEST: "=?"}
_FORMS = {"": Form.EXECUTE, None: Form.EXECUTE, "?": Form.READ, "=": Form.SET, "=?": Form.TEST}


@dataclass(slots=True, frozen=True)
class Call:
    """One command with what it was given."""

    name: str
    """In capitals, such as `+CMGS`, `E`, `S3`, `&F`."""
    form: Form
    arguments: tuple[str, ...] = ()
    """Without quotes; one that was left out is empty."""

    def text(self, position: int, default: str = "") -> str:
        """An argument as it is; `default` if it was left out."""
        return (self.arguments[position] if position < len(self.arguments) else "") or default

    def number(self, position: int, default: int | None = None) -> int:
        """An argument as a number. Raises Refusal if it is none, or was left out and has no default."""
        text = self.text(position)
        if not text and default is not None:
            return default
        if not text.isascii() or not text.isdigit():
            raise Refusal
        return int(text)


def commands_on(line: str) -> list[Call]:
    """The commands of a line, without its `AT`. Raises Refusal where it is not a command line."""
    calls: list[Call] = []
    rest = line.strip(" ")
    while rest:
        if len(calls) >= COMMANDS_MAX:
            raise Refusal
        call, rest = _next(rest)
        calls.append(call)
        rest = rest.lstrip(" ;")
    return calls


def _next(rest: str) -> tuple[Call, str]:
    capitals = rest.upper()
    if capitals.startswith("D"):
        # Dialling takes the line to its end (V.250, 6.3.1).
        return Call("D", Form.SET, (rest[1:],)), ""
    if match := _EXTENDED.match(capitals):
        end = _end_of_command(rest, match.end())
        form = _FORMS[match[2]]
        given = rest[match.end() : end]
        if given.strip() and form is not Form.SET:
            raise Refusal
        return Call(match[1], form, _arguments(given) if form is Form.SET else ()), rest[end:]
    if match := _BASIC.match(capitals):
        register, sign, value, letter, number = match.groups()
        if register:
            return Call("S" + register[1:], _FORMS[sign], (value,) if value else ()), rest[match.end() :]
        return Call(letter, Form.SET if number else Form.EXECUTE, (number,) if number else ()), rest[
            match.end() :
        ]
    raise Refusal


def _end_of_command(text: str, start: int) -> int:
    """Where the semicolon is that is in no quotes, or the end."""
    is_quoted = False
    for position in range(start, len(text)):
        if text[position] == '"':
            is_quoted = not is_quoted
        elif text[position] == ";" and not is_quoted:
            return position
    return len(text)


def _arguments(text: str) -> tuple[str, ...]:
    arguments: list[str] = []
    current: list[str] = []
    is_quoted = False
    for character in text:
        if character == '"':
            is_quoted = not is_quoted
        elif character == "," and not is_quoted:
            arguments.append("".join(current))
            current = []
        elif character != " " or is_quoted:
            current.append(character)
    if is_quoted:
        raise Refusal
    return (*arguments, "".join(current))
