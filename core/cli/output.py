"""What the commands write: tables and sentences for people, JSON for scripts, faults on stderr.

Owns the exit statuses: 0 done, 1 refused or failed, 2 the command line or the settings are wrong. Knows no command.
"""

import json
import re
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NoReturn

import typer

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line feed, and marks of writing direction, which can pass a line off as another."""

EXIT_FAILED = 1
EXIT_USAGE = 2


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


def fail(problem: str, *, status: int = EXIT_FAILED) -> NoReturn:
    """Say what is wrong on stderr and end the process."""
    typer.echo(problem, err=True)
    sys.exit(status)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, none: str) -> None:
    """Rows under headings, aligned and never shortened, so that ids can be copied; `none` if there are no rows."""
    lines = [[_cell(cell) for cell in row] for row in rows]
    if not lines:
        say(none)
        return
    widths = [max(len(line[column]) for line in [list(headings), *lines]) for column in range(len(headings))]
    for number, line in enumerate([list(headings), *lines]):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        say(typer.style(text, bold=True) if number == 0 else text)


def fields(values: dict[str, Any], *, texts: Collection[str] = ()) -> None:
    """Names and values, one a line; empty ones are left out. Those named in `texts` may have several lines, set in."""
    shown = {name: value for name, value in values.items() if value not in (None, "", [])}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        shown_text = (
            printable(text).replace("\n", "\n" + " " * (width + 2)) if name in texts else one_line(text)
        )
        say(f"{name.ljust(width)}  {shown_text}")


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else one_line(str(value))


def printable(text: str) -> str:
    """A text from outside as a terminal may show it: what would steer the terminal is escaped."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """The same on one line: a line break could pass what follows off as a line of our own."""
    return printable(text).replace("\n", "\\n")
