"""`infinireach config`: every setting of the core, where its value comes from, and what is wrong.

Owns how a setting is described; docs/configuration.md is made of the same descriptions.
"""

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from core.cli.options import AsJson
from core.cli.output import EXIT_USAGE, note, say, say_json
from core.config import PREFIX, InvalidSettings, Settings, load, shown, variable

OTHERS = tuple(
    PREFIX + rest
    for rest in (
        "REST_",
        "DRIVER_",
        "SIMULATED_",
        "MODEM_",
        "WHATSAPP_",
        "ANDROID_",
        "TEST_",
        "RATE_LIMIT_",
        "CORE_",
    )
)
"""Beginnings of variables that the facade and the drivers declare."""


@dataclass(frozen=True, slots=True)
class Described:
    """What can be said of a setting without reading it."""

    variable: str
    default: str
    unit: str
    range: str
    help: str
    secret: bool


def config(*, as_json: AsJson = False) -> None:
    """Show every setting: value, default, whether the environment sets it, and its meaning. Secrets are masked."""
    try:
        settings, problems = load(), list[str]()
    except InvalidSettings as invalid:
        settings, problems = None, invalid.problems
    guesses = misspelt(os.environ)
    rows = [_row(name, described, settings) for name, described in describe().items()]
    if as_json:
        say_json({"settings": rows, "problems": problems, "unknown": guesses})
    else:
        for row in rows:
            origin = "" if row["source"] == "default" else "  (from the environment)"
            say(f"{typer.style(row['variable'], bold=True)} = {row['value']}{origin}")
            say(f"    {row['help']}; default {row['default'] or 'empty'}")
        for problem in problems:
            note(problem)
        for wrong, meant in guesses.items():
            note(f"{wrong} is no setting; did you mean {meant}?")
    if problems:
        raise typer.Exit(EXIT_USAGE)


def describe() -> dict[str, Described]:
    """The settings by field name."""
    return {name: _described(name, field) for name, field in Settings.model_fields.items()}


def misspelt(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that are nobody's but resemble one of ours, with the one that was probably meant."""
    known = [variable(name) for name in Settings.model_fields]
    found = {}
    for name in environment:
        if name.startswith(PREFIX) and name not in known and not name.startswith(OTHERS):
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
            found.update({name: near[0]} if near else {})
    return found


def _described(name: str, field: FieldInfo) -> Described:
    extra: dict[str, Any] = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    default = extra["default"] if field.default is PydanticUndefined else shown(field.default)
    return Described(
        variable=variable(name),
        default=default,
        unit=extra["unit"],
        range=range_of(field),
        help=field.description or "",
        secret=field.annotation is SecretStr,
    )


def range_of(field: FieldInfo) -> str:
    limits = {
        bound: getattr(limit, bound)
        for limit in field.metadata
        for bound in ("ge", "le")
        if hasattr(limit, bound)
    }
    if limits:
        return (
            f"{limits['ge']:g} to {limits['le']:g}"
            if field.annotation is float
            else "{ge} to {le}".format(**limits)
        )
    words = getattr(field.annotation, "__args__", ())
    if field.annotation is bool:
        return "true or false"
    return " or ".join(words) if words and all(isinstance(word, str) for word in words) else ""


def _row(name: str, described: Described, settings: Settings | None) -> dict[str, Any]:
    given = bool(os.environ.get(described.variable))
    value = shown(getattr(settings, name)) if settings else "?"
    return {
        "variable": described.variable,
        "value": "*****" if described.secret and given else value,
        "default": described.default,
        "source": "environment" if given else "default",
        "unit": described.unit,
        "range": described.range,
        "help": described.help,
    }
