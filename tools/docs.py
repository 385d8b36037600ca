#!/usr/bin/env python3
"""Writes the pages that are made of declarations: docs/configuration.md and docs/cli.md.

    .venv/bin/python tools/docs.py

Owns the form of these pages. The words are those of the settings and commands themselves.
"""

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import typer.main
from pydantic import BaseModel, SecretStr
from typer.core import TyperCommand, TyperGroup

from core.cli import configuration
from core.cli.main import app
from core.cli.roles import drivers, fakes
from core.config import shown
from drivers.runtime import Driver, Setting
from drivers.runtime.main import runtime_settings
from rest_facade import config as rest_config

DOCS = Path(__file__).resolve().parent.parent / "docs"
Row = Sequence[str]

CONFIGURATION = """\
# Configuration

<!-- Made by tools/docs.py from the declarations; change those. -->

Every setting is an environment variable. An empty one counts as not set. A process reads its settings once, at its
start, and names everything that is wrong with them together. `infinireach config` shows the core's settings as they
are; `infinireach doctor` notices misspelt ones.

`<var>` stands for the data folder, INFINIREACH_VAR. Secrets are masked wherever settings are shown.
"""
CLI = """\
# Command line

<!-- Made by tools/docs.py from the declarations; change those. -->

`infinireach COMMAND --help` shows the same. A command ends with 0 when it did what was asked, with 1 when that was
refused or failed, with 2 when the command line or a setting is wrong. Faults are on stderr, `--json` on stdout.
"""
CLIENT_VARIABLES: list[Row] = [
    (
        "INFINIREACH_URL",
        "the `rest` of `<var>/run.json`",
        "",
        "address of the REST API for `message`, `device`, `webhook`",
    ),
    ("INFINIREACH_API_KEY", "the `apiKey` of `<var>/run.json`", "", "API key for the same commands"),
]


def pages() -> dict[Path, str]:
    """The pages by path."""
    return {DOCS / "configuration.md": _configuration(), DOCS / "cli.md": _cli()}


def _configuration() -> str:
    sections = {
        "Core, relay and deliver": _core_rows(),
        "REST facade": _facade_rows(rest_config.Settings),
        "Every driver": _driver_rows(runtime_settings("<kind>")),
    }
    for name in drivers():
        if rows := _driver_rows(_driver(name).settings):
            sections[f"The driver `{name}`"] = rows
    sections["Command line"] = CLIENT_VARIABLES
    return CONFIGURATION + "".join(_section(title, rows) for title, rows in sections.items())


def _core_rows() -> list[Row]:
    return [
        (row.variable, _code(row.default), f"{row.range} {row.unit}".strip(), row.help)
        for row in configuration.describe().values()
    ]


def _facade_rows(settings: type[BaseModel]) -> list[Row]:
    own = {described.variable for described in configuration.describe().values()}
    rows: list[Row] = []
    for field in settings.model_fields.values():
        variable = str(field.validation_alias)
        if variable not in own:
            default = "" if field.annotation is SecretStr or field.default is None else shown(field.default)
            rows.append((variable, _code(default), configuration.range_of(field), field.description or ""))
    return rows


def _driver_rows(settings: Iterable[Setting]) -> list[Row]:
    own = {"INFINIREACH_VAR"}
    return [(s.name, _code(s.default), "", s.help.removesuffix(".")) for s in settings if s.name not in own]


def _driver(name: str) -> type[Driver]:
    """The class that `python -m drivers.<name>` runs."""
    module: Any = importlib.import_module(f"drivers.{name.replace('-', '_')}.driver")
    [found] = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Driver) and value is not Driver
    ]
    return found


def _section(title: str, rows: Sequence[Row]) -> str:
    lines = ["", f"## {title}", "", "| variable | default | range | meaning |", "| --- | --- | --- | --- |"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    """A value as code; a default that is described in words stays as it is."""
    return f"`{text}`" if text and (" " not in text or text.startswith("[")) else text


def _cli() -> str:
    return CLI + "".join(_command(command, names) for command, names in commands())


def commands() -> Iterator[tuple[TyperCommand | TyperGroup, list[str]]]:
    """Every command with its name in words; those that are handed on to a package of ours stand for themselves."""
    others = handed_on()
    for command, names in _commands(_group(app), ["infinireach"]):
        if (names[1],) in others:
            yield from _commands(others[(names[1],)], names)
        else:
            yield command, names
        for words, other in others.items():
            if words[:-1] == tuple(names[1:]):
                if other.invoke_without_command:
                    yield other, ["infinireach", *words]
                yield from _commands(other, ["infinireach", *words])


def handed_on() -> dict[tuple[str, ...], TyperGroup]:
    """Whose commands follow the words after `infinireach` that are handed on to a package of ours."""
    modules = {("modem",): "drivers.modem.cli.main"}
    if "android" in drivers() and importlib.util.find_spec("drivers.android.cli"):
        modules["android",] = "drivers.android.cli"
    modules |= {("fake", name): f"{module}.command_line" for name, module in fakes().items()}
    return {words: _group(importlib.import_module(module).app) for words, module in modules.items()}


def _group(application: typer.Typer) -> TyperGroup:
    root = typer.main.get_command(application)
    assert isinstance(root, TyperGroup)
    return root


def _commands(group: TyperGroup, names: list[str]) -> Iterator[tuple[TyperCommand | TyperGroup, list[str]]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            if command.invoke_without_command:
                yield command, [*names, name]
            yield from _commands(command, [*names, name])
        else:
            assert isinstance(command, TyperCommand)
            yield command, [*names, name]


def _command(command: TyperCommand | TyperGroup, names: list[str]) -> str:
    context = typer.Context(command, info_name=" ".join(names))
    usage = " ".join([*names, *command.collect_usage_pieces(context)])
    lines = ["", f"## {' '.join(names)}", "", f"`{usage}`", "", (command.help or "").strip(), ""]
    records = [parameter.get_help_record(context) for parameter in command.params]
    lines += [f"- `{record[0]}`: {record[1]}" for record in records if record]
    if command.epilog:
        lines += ["", command.epilog]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    DOCS.mkdir(exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
