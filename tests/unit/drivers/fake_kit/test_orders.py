"""How an order is taken apart."""

from typing import Any

import pytest

from drivers.fake_kit.orders import (
    Fields,
    OrderInvalid,
    fault_values,
    nothing_else,
    pop,
    pop_last,
    taken_apart,
)


def test_an_order_has_a_name_and_fields_that_can_be_popped() -> None:
    order = {"inbound": {"body": "Hello"}}
    name, fields = taken_apart(order, ["inbound", "state"])
    assert (name, pop(fields, "body", str, ""), fields) == ("inbound", "Hello", {})
    assert order == {"inbound": {"body": "Hello"}}
    nothing_else(fields)


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ([], "An order is an object with one key of inbound, state."),
        ({"inbound": {}, "state": {}}, "An order is an object with one key of inbound, state."),
        ({"dance": {}}, "An order is an object with one key of inbound, state."),
        ({"state": []}, "What is told of state must be an object."),
    ],
)
def test_what_is_no_order_is_refused(order: object, sentence: str) -> None:
    with pytest.raises(OrderInvalid) as refused:
        taken_apart(order, ["inbound", "state"])
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("value", "kind", "wanted"),
    [
        ("x", str, "x"),
        (7, int, 7),
        (7, float, 7.0),
        (0.5, float, 0.5),
        (True, bool, True),
        ({}, dict, {}),
        (None, int, "default"),
    ],
)
def test_a_field_is_of_its_kind(value: object, kind: type, wanted: object) -> None:
    found = pop({"field": value}, "field", kind, "default")
    assert (found, type(found)) == (wanted, type(wanted))


@pytest.mark.parametrize(
    ("value", "kind", "sentence"),
    [
        (7, str, "field must be a text."),
        (True, int, "field must be a whole number."),
        (0.5, int, "field must be a whole number."),
        (True, float, "field must be a number."),
        ("7", float, "field must be a number."),
        (10**400, float, "field must be a number that is not infinite."),
        (float("nan"), float, "field must be a number that is not infinite."),
        (1, bool, "field must be true or false."),
        ([], dict, "field must be an object."),
    ],
)
def test_a_field_of_another_kind_is_refused(value: object, kind: type, sentence: str) -> None:
    with pytest.raises(OrderInvalid) as refused:
        pop({"field": value}, "field", kind, None)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("fields", [{"last": 0}, {"last": 11}, {"last": "1"}, {"last": 1, "first": 1}])
def test_only_so_many_of_the_last_can_be_asked_for(fields: Fields) -> None:
    with pytest.raises(OrderInvalid):
        pop_last(fields, default=5, most=10)


def test_the_last_few_are_shown_unless_more_are_wanted() -> None:
    assert pop_last({}, default=5, most=10) == 5
    assert pop_last({"last": 10}, default=5, most=10) == 10


@pytest.mark.parametrize("value", [[], {}, None])
def test_a_fault_is_told_simple_values_only(value: Any) -> None:
    assert fault_values({"code": 1, "taken": True}) == {"code": 1, "taken": True}
    with pytest.raises(OrderInvalid, match="a text, a number, true or false"):
        fault_values({"code": value})


def test_fields_that_are_left_are_named() -> None:
    with pytest.raises(OrderInvalid, match="Not known: body, to"):
        nothing_else({"body": "x", "to": "y"})
