"""Bytes to one JSON object (RFC 8259), or an ApiError that says what is wrong.

Owns what is refused beyond the grammar: repeated keys, lone surrogates, numbers out of range, a byte order mark,
deep nesting, anything but an object. Must not know fields.
"""

import codecs
import json
from typing import Any, cast

import msgspec

from rest_facade.errors import ApiError

_decode = msgspec.json.Decoder().decode


def parse_object(body: bytes) -> dict[str, Any]:
    """The object that `body` holds. Raises ApiError `invalid_json`."""
    try:
        value = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as refused:
        raise ApiError("invalid_json", _explain(body, refused)) from None
    if not isinstance(value, dict):
        raise ApiError("invalid_json", "The body must be a JSON object.")
    parsed = cast("dict[str, Any]", value)
    if not _is_plainly_unique(body, parsed):
        _refuse_repeated_keys(body)
    return parsed


def _is_plainly_unique(body: bytes, parsed: dict[str, Any]) -> bool:
    """Whether no key can have been dropped as a repeat; False: it takes a closer look.

    Without an escaped quote every quote in the text begins or ends a string, and a repeated key has a string that
    the flat result lacks. So equal counts prove that nothing was dropped.
    """
    if b'\\"' in body:
        return False
    strings = len(parsed)
    for value in parsed.values():
        if isinstance(value, str):
            strings += 1
        elif isinstance(value, dict | list):
            return False
    return body.count(b'"') == 2 * strings


def _refuse_repeated_keys(body: bytes) -> None:
    """Read well-formed JSON once more for its keys only. Raises ApiError that names the repeated one."""
    try:
        json.loads(body, object_pairs_hook=_unique, parse_int=_no_number, parse_float=_no_number)
    except RecursionError:
        raise ApiError("invalid_json", "The body is nested too deeply.") from None


def _unique(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise ApiError("invalid_json", f"The key {_shown(key)} is given more than once.")
        seen.add(key)


def _no_number(_text: str) -> int:
    return 0


def _shown(key: str) -> str:
    return json.dumps(key if len(key) <= 64 else key[:64] + "…", ensure_ascii=False)


def _explain(body: bytes, refused: Exception) -> str:
    if not body.strip():
        return "The body is empty; it must be a JSON object."
    if body.startswith(codecs.BOM_UTF8):
        return "The body begins with a byte order mark; send UTF-8 without one."
    if isinstance(refused, UnicodeDecodeError):
        return "The body is not valid UTF-8."
    if isinstance(refused, RecursionError):
        return "The body is nested too deeply."
    if isinstance(refused, msgspec.ValidationError):
        return "A number in the body is out of range."
    return f"The body is not valid JSON: {refused}."
