"""The tables of docs/api.md, made from the route table, the catalogue of errors, the fields and the settings.

`python -m rest_facade.reference docs/api.md` writes them anew between their markers. Owns how they are written.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from rest_facade.config import Settings
from rest_facade.errors import CODES
from rest_facade.field_tables import (
    LIST_MESSAGES_FIELDS,
    MEDIA_FIELDS,
    MESSAGE_FIELDS,
    NEW_WEBHOOK_FIELDS,
    TEMPLATE_FIELDS,
)
from rest_facade.fields import Field
from rest_facade.route_table import ROUTES

_BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def with_tables(text: str) -> str:
    """`text` with each table between its markers as it ought to be. Raises KeyError for an unknown table."""
    return _BLOCK.sub(lambda block: f"{block[1]}{TABLES[block[2]]()}{block[3]}", text)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def _routes() -> str:
    rows = [
        (f"`{route.label}`", f"`{route.scope}`" if route.scope else "no key", route.summary)
        for route in ROUTES
    ]
    return _table(("Route", "Scope", ""), rows)


def _errors() -> str:
    rows = [(str(code.status), f"`{code.name}`", code.sentence, code.help) for code in CODES.values()]
    return _table(("Status", "Code", "Meaning", "What to do"), rows)


def _fields(fields: Sequence[Field]) -> str:
    rows = [(f"`{field.name}`", "required" if field.required else "optional", field.help) for field in fields]
    return _table(("Field", "", "Meaning"), rows)


def _settings() -> str:
    rows = [
        (f"`{field.validation_alias}`", _default_of(field), _range_of(field), str(field.description))
        for field in Settings.model_fields.values()
    ]
    return _table(("Variable", "Default", "Range", "Meaning"), rows)


def _default_of(field: FieldInfo) -> str:
    default: Any = field.default
    text = ",".join(default) if isinstance(default, tuple) else str("" if default is None else default)
    return f"`{text}`" if text else ""


def _range_of(field: FieldInfo) -> str:
    bounds = {
        name: getattr(limit, name)
        for limit in field.metadata
        for name in ("ge", "le")
        if hasattr(limit, name)
    }
    return f"{bounds['ge']} to {bounds['le']}" if len(bounds) == 2 else ""


TABLES: Mapping[str, Callable[[], str]] = {
    "routes": _routes,
    "errors": _errors,
    "message": lambda: _fields(MESSAGE_FIELDS),
    "template": lambda: _fields(TEMPLATE_FIELDS),
    "media": lambda: _fields(MEDIA_FIELDS),
    "messages": lambda: _fields(LIST_MESSAGES_FIELDS),
    "webhook": lambda: _fields(NEW_WEBHOOK_FIELDS),
    "settings": _settings,
}

if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(with_tables(file.read_text(encoding="utf-8")), encoding="utf-8")
