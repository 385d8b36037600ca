"""What counts as one JSON object."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rest_facade.errors import ApiError
from rest_facade.strict_json import parse_object

HOSTILE = {
    "nothing": (b"", "empty"),
    "only white space": (b" \r\n\t", "empty"),
    "a list": (b'["to"]', "object"),
    "a string": (b'"to"', "object"),
    "null": (b"null", "object"),
    "a byte order mark": (b'\xef\xbb\xbf{"to":1}', "byte order mark"),
    "UTF-16": ('{"to":1}'.encode("utf-16"), "not valid JSON"),
    "invalid UTF-8": (b'{"to":"\xff"}', "UTF-8"),
    "an overlong NUL": (b'{"to":"\xc0\x80"}', "UTF-8"),
    "a surrogate in UTF-8": (b'{"to":"\xed\xa0\x80"}', "UTF-8"),
    "a lone high surrogate": (b'{"to":"\\ud800"}', "not valid JSON"),
    "a lone low surrogate": (b'{"to":"\\udc00"}', "not valid JSON"),
    "surrogates in the wrong order": (b'{"to":"\\udc00\\ud800"}', "not valid JSON"),
    "a lone surrogate in a key": (b'{"\\ud800":1}', "not valid JSON"),
    "NaN": (b'{"to":NaN}', "not valid JSON"),
    "Infinity": (b'{"to":Infinity}', "not valid JSON"),
    "minus Infinity": (b'{"to":-Infinity}', "not valid JSON"),
    "a number of 10000 digits": (b'{"to":' + b"1" * 10_000 + b"}", "out of range"),
    "a fraction of 10000 digits": (b'{"to":' + b"1" * 10_000 + b".5}", "out of range"),
    "an exponent out of range": (b'{"to":1e999}', "out of range"),
    "a leading zero": (b'{"to":01}', "not valid JSON"),
    "a deep list": (b'{"to":' + b"[" * 60_000 + b"]" * 60_000 + b"}", "nested too deeply"),
    "a deep object": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "nested too deeply"),
    "an open deep list": (b"[" * 60_000, "nested too deeply"),
    "a control character in a string": (b'{"to":"\x01"}', "not valid JSON"),
    "a trailing comma": (b'{"to":1,}', "not valid JSON"),
    "single quotes": (b"{'to':1}", "not valid JSON"),
    "a comment": (b'{"to":1}//', "not valid JSON"),
    "two objects": (b'{"to":1}{"to":2}', "not valid JSON"),
    "a NUL after it": (b'{"to":1}\x00', "not valid JSON"),
    "a repeated key": (b'{"to":"1","to":"2"}', '"to"'),
    "a key repeated with an escape": (b'{"to":"1","t\\u006f":"2"}', '"to"'),
    "a key repeated with an escaped quote beside it": (b'{"to":"1","x":"\\"","to":"2"}', '"to"'),
    "a key repeated with another type": (b'{"to":[1],"to":"2"}', '"to"'),
    "a key repeated with numbers": (b'{"to":1,"to":1}', '"to"'),
    "an empty key repeated": (b'{"":1,"":2}', '""'),
    "a key repeated further in": (b'{"a":{"b":[{"c":1,"c":2}]}}', '"c"'),
    "a long key repeated": (b'{"' + b"k" * 500 + b'":1,"' + b"k" * 500 + b'":2}', "k" * 64 + "…"),
}


@pytest.mark.parametrize(("body", "told"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_body_is_refused_with_the_reason(body: bytes, told: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_object(body)
    assert refused.value.code.name == "invalid_json"
    assert told in refused.value.sentence
    refused.value.sentence.encode()


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b' {"to" : "x"} \n',
        b'{"to":"\\ud83d\\ude00"}',
        '{"to":"😀"}'.encode(),
        b'{"a":1.5e3,"b":-0,"c":true,"d":null,"e":[],"f":{}}',
        b'{"a":{"x":1},"b":{"x":1}}',
        b'{"a":"\\"a\\""}',
        b'{"a":"b","b":"a"}',
        b'{"a":99999999999999999999999999}',
    ],
)
def test_well_formed_object_is_read_as_python_reads_it(body: bytes) -> None:
    assert parse_object(body) == json.loads(body)


Json = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=4), Json, max_size=6), st.booleans())
def test_any_object_survives_being_written_and_read(value: dict[str, Any], ascii_only: bool) -> None:
    assert parse_object(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(
    st.lists(st.tuples(st.text(max_size=2), Json), min_size=1, max_size=6), st.integers(0, 5), st.booleans()
)
@example([("a", "x")], 0, True)
@example([('"', '\\"')], 0, True)
def test_any_repeated_key_is_found(pairs: list[tuple[str, Any]], which: int, ascii_only: bool) -> None:
    repeated = pairs[which % len(pairs)][0]
    members = [
        f"{json.dumps(key, ensure_ascii=ascii_only)}:{json.dumps(value, ensure_ascii=ascii_only)}"
        for key, value in [*pairs, (repeated, None)]
    ]
    with pytest.raises(ApiError) as refused:
        parse_object(("{" + ",".join(members) + "}").encode())
    assert "more than once" in refused.value.sentence


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        outcome: object = parse_object(body)
    except ApiError as refused:
        outcome = refused.code.name
    assert outcome == "invalid_json" or isinstance(outcome, dict)
