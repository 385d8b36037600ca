"""What the commands write: tables and sentences for people, JSON for scripts, faults on stderr.

Owns that a fault ends in one sentence and a status: 1 refused or failed, 2 the command line is wrong. Knows no command.
"""

import json
import re
from collections.abc import Iterable, Sequence

import typer

EXIT_FAILED = 1

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line feed, and marks of writing direction: a modem must not steer a terminal."""


class CommandFailed(Exception):
    """A command cannot go on; its text is one or more sentences for people."""


def say(text: str = "") -> None:
    """One line, or several, on stdout."""
    typer.echo(text)


def note(text: str) -> None:
    """A line on stderr, where it is in no script's way."""
    typer.echo(text, err=True)


def say_json(value: object) -> None:
    """One JSON document on stdout, in ASCII: what would steer a terminal is escaped."""
    typer.echo(json.dumps(value, indent=2))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, none: str) -> None:
    """Rows under headings, aligned and never shortened; `none` if there are no rows."""
    lines = [[_cell(cell) for cell in row] for row in rows]
    if not lines:
        say(none)
        return
    widths = [max(len(line[column]) for line in [list(headings), *lines]) for column in range(len(headings))]
    for number, line in enumerate([list(headings), *lines]):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        say(typer.style(text, bold=True) if number == 0 else text)


def _cell(value: object) -> str:
    return "" if value is None else printable(str(value))


def printable(text: str) -> str:
    """A text from outside as a terminal may show it."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
