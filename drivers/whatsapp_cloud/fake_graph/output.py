"""What the commands write: tables and sentences for people, JSON for scripts, faults on stderr. Knows no command."""

import json
import re
from collections.abc import Iterable, Sequence

import typer

EXIT_FAILED = 1
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters and marks of writing direction: what somebody wrote must not steer a terminal."""


class CommandFailed(Exception):
    """A command cannot go on; its text is one or more sentences for people."""


def say(text: str = "") -> None:
    """One line, or several, on stdout."""
    typer.echo(text)


def say_json(value: object) -> None:
    """One JSON document on stdout, in ASCII."""
    typer.echo(json.dumps(value, indent=2))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, none: str) -> None:
    """Rows under headings, aligned and never shortened; `none` if there are no rows."""
    lines = [[_cell(cell) for cell in row] for row in rows]
    if not lines:
        say(none)
        return
    widths = [max(len(line[column]) for line in [list(headings), *lines]) for column in range(len(headings))]
    for line in [list(headings), *lines]:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
