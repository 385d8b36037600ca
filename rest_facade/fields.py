"""Tables of fields, and taking a body or a query apart by one: every fault at once.

Owns the walk over a table and the schema that says the same. Must not know which tables there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from rest_facade.errors import FieldFault, invalid_request
from rest_facade.shapes import Shape, ShapeFault

QUERY_FIELDS_MAX = 100


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a body or a query. `aliases` are looked at, in order, where the field itself is absent."""

    name: str
    shape: Shape
    help: str
    required: bool = False
    aliases: tuple[str, ...] = ()
    example: Any = field(default=None, hash=False)


def read_fields(fields: Sequence[Field], body: Mapping[str, Any]) -> tuple[dict[str, Any], list[FieldFault]]:
    """The values that are given, normalised, by name, and every fault. null counts as absent; unknown keys too."""
    values: dict[str, Any] = {}
    faults: list[FieldFault] = []
    for wanted in fields:
        value = body.get(wanted.name)
        if value is None and wanted.aliases:
            value = next((body[name] for name in wanted.aliases if body.get(name) is not None), None)
        if value is None:
            if wanted.required:
                faults.append(FieldFault(wanted.name, "is required"))
            continue
        try:
            values[wanted.name] = wanted.shape.check(value)
        except ObjectFault as inner:
            faults += [FieldFault(f"{wanted.name}.{fault.field}", fault.issue) for fault in inner.faults]
        except ShapeFault as fault:
            faults.append(FieldFault(wanted.name, str(fault)))
    return values, faults


class ObjectFault(ShapeFault):
    """An object with faulty fields of its own; their names are paths below it."""

    def __init__(self, faults: Sequence[FieldFault]) -> None:
        super().__init__("has faulty fields")
        self.faults: Sequence[FieldFault] = faults


def object_of(fields: Sequence[Field]) -> Shape:
    """An object whose own fields are a table; normalised to the values that are given."""

    def check(value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ShapeFault("must be an object")
        given: dict[str, Any] = value
        values, faults = read_fields(fields, given)
        if faults:
            raise ObjectFault(faults)
        return values

    return Shape(check, body_of(fields))


def body_of(fields: Sequence[Field], *, least: int = 0) -> dict[str, Any]:
    """The schema of a body that a table checks; null counts as absent. `least`: fields that must be given."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {field.name: _property(field) for field in fields},
    }
    if required := [field.name for field in fields if field.required]:
        schema["required"] = required
    if least:
        given: dict[str, Any] = {"not": {"type": "null"}}
        schema["anyOf"] = [{"required": [field.name], "properties": {field.name: given}} for field in fields]
    return schema


def _property(field: Field) -> dict[str, Any]:
    schema: dict[str, Any] = {**field.shape.schema, "description": field.help}
    if not field.required:
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    if field.example is not None:
        schema["examples"] = [field.example]
    return schema


def require_fields(fields: Sequence[Field], body: Mapping[str, Any]) -> dict[str, Any]:
    """The same. Raises ApiError `invalid_request` if there is any fault."""
    values, faults = read_fields(fields, body)
    if faults:
        raise invalid_request(faults)
    return values


def read_query(fields: Sequence[Field], query: str) -> dict[str, Any]:
    """The values of a query string. Raises ApiError `invalid_request`; unknown names are ignored."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX, errors="strict")
    except ValueError:
        raise invalid_request([FieldFault("query", "is not valid percent-encoded UTF-8")]) from None
    known = {wanted.name for wanted in fields}
    given: dict[str, Any] = {}
    repeated: list[FieldFault] = []
    for name, value in pairs:
        if name in given:
            repeated.append(FieldFault(name, "is given more than once"))
        elif name in known:
            given[name] = value
    values, faults = read_fields(fields, given)
    if repeated or faults:
        raise invalid_request([*repeated, *faults])
    return values
