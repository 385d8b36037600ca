"""What fakes are told while they run: how an order is taken apart. Knows no order.

An order is a JSON object with one key, its name, and an object of fields. What is wrong with it is an OrderInvalid.
"""

import math
from collections.abc import Collection
from typing import Any

from drivers.fake_kit.fault_table import NUMBER_MAX, Value

Fields = dict[str, Any]

_KINDS: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
}


class OrderInvalid(ValueError):
    """The order cannot be carried out; the text is for people."""


def taken_apart(order: object, known: Collection[str]) -> tuple[str, Fields]:
    """The name of an order and its fields, to be popped. Raises OrderInvalid."""
    if not isinstance(order, dict) or len(order) != 1 or not set(order) <= set(known):
        raise OrderInvalid(f"An order is an object with one key of {', '.join(known)}.")
    [(name, fields)] = order.items()
    if not isinstance(fields, dict):
        raise OrderInvalid(f"What is told of {name} must be an object.")
    return name, dict(fields)


def pop(fields: Fields, name: str, kind: type, default: Any) -> Any:
    """A field of a kind, which is one of str, int, float, bool and dict; `default` if it is not there."""
    value = fields.pop(name, None)
    if value is None:
        return default
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) <= NUMBER_MAX else math.inf
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise OrderInvalid(f"{name} must be {_KINDS[kind]}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise OrderInvalid(f"{name} must be {_KINDS[kind]} that is not infinite.")
    return value


def pop_last(fields: Fields, *, default: int, most: int) -> int:
    """How many of the last are wanted, and nothing else."""
    last = pop(fields, "last", int, default)
    nothing_else(fields)
    if not 1 <= last <= most:
        raise OrderInvalid(f"last must be from 1 to {most}.")
    return last


def fault_values(fields: Fields) -> dict[str, Value]:
    """What is left of an order for a fault: the values of its parameters."""
    if not all(isinstance(value, (str, int, float)) for value in fields.values()):
        raise OrderInvalid("What a fault is told is a text, a number, true or false.")
    return fields


def nothing_else(fields: Fields) -> None:
    """See that no field is left."""
    if fields:
        raise OrderInvalid(f"Not known: {', '.join(fields)}.")
