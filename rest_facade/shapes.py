"""What a single value may look like: its check, what it is normalised to, and its JSON Schema, side by side.

Owns the shape rules of the public API. Must not know fields, requests or the core.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

SMS_CHARACTERS_MAX = 1600
WHATSAPP_CHARACTERS_MAX = 4096
CAPTION_CHARACTERS_MAX = 1024
EXTERNAL_ID_CHARACTERS_MAX = 255
NAME_CHARACTERS_MAX = 100
DESCRIPTION_CHARACTERS_MAX = 255
DESTINATION_CHARACTERS_MAX = 100
WHATSAPP_DESTINATION_CHARACTERS_MAX = 140
URL_CHARACTERS_MAX = 2048
JSON_DEPTH_MAX = 16

NUMBER_PATTERN = r"^\+[1-9][0-9]{6,14}$"
"""E.164 by shape: what no numbering plan knows, the device refuses."""
SPACED_NUMBER_PATTERN = r"^[ ]?\+?[ ().-]*[1-9](?:[ ().-]*[0-9]){6,14}[ ().-]*$"
"""The same with the separators that people write; compared by its digits."""
GROUP_PATTERN = r"^(?:[^\u0000-\u0020\u007f-\u00a0\u2028\u2029]*:)?[0-9A-Za-z_-]{1,64}@g\.us$"
"""No \\S: what is white space differs between this language's patterns and those of JSON Schema."""
HIDDEN_USER_PATTERN = r"^(?:[A-Z]{2}\.[0-9A-Za-z]{1,128}|[0-9]{1,32}@lid)$"
"""What WhatsApp gives in place of the number of a user who hides it: its business API, and its own protocol."""
PRINTABLE_PATTERN = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$"
"""Nothing that breaks a line, controls a terminal or turns the direction of what follows."""
TEXT_PATTERN = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$"
VISIBLE_PATTERN = r"[^\t\n\u000b\u000c\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""Something that is no white space by Unicode; what `\\S` means differs between validators."""
TIME_PATTERN = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
URL_PATTERN = r"^[Hh][Tt][Tt][Pp][Ss]?://\S+$"
"""What is looked at here. Hosts, ports and addresses are the core's to judge, by its operator's settings."""
MEDIA_URL_PATTERN = (
    r"^https://[0-9A-Za-z](?:[0-9A-Za-z.-]{0,252}[0-9A-Za-z])?(?::[0-9]{1,5})?(?:[/?#][!-~]*)?$"
)
"""Visible ASCII (RFC 3986) and nobody's password. Whether anything can be fetched there is for the network to say."""
SAFE_URL_PATTERN = (
    r"^https://(?:[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?\.){1,5}[a-z]{2,12}(?::(?:443|8443))?"
    r"(?:/[A-Za-z0-9._~/-]*)?(?:\?[A-Za-z0-9._~=&-]*)?$"
)
"""URLs that every installation accepts; the published schema promises no others."""

_number = re.compile(NUMBER_PATTERN).fullmatch
_spaced_number = re.compile(SPACED_NUMBER_PATTERN).fullmatch
_group = re.compile(GROUP_PATTERN).fullmatch
_hidden_user = re.compile(HIDDEN_USER_PATTERN).fullmatch
_printable = re.compile(PRINTABLE_PATTERN).fullmatch
_text = re.compile(TEXT_PATTERN).fullmatch
_time = re.compile(TIME_PATTERN).fullmatch
_url = re.compile(URL_PATTERN).fullmatch
_encode = msgspec.json.Encoder().encode
_not_digits = re.compile(r"[^0-9]")


class ShapeFault(Exception):
    """A value that is not of the shape; its sentence goes to the caller, so it repeats nothing of the value."""


@dataclass(frozen=True, slots=True)
class Shape:
    """`check` answers the normalised value or raises ShapeFault; `schema` accepts the same values, but for URL."""

    check: Callable[[Any], Any]
    schema: Mapping[str, Any]


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ShapeFault("must be a string")
    return value


def _check_number(value: object) -> str:
    if not _number(_string(value)):
        raise ShapeFault("must be a phone number in E.164 form: + and 7 to 15 digits")
    return str(value)


def _check_destination(value: object) -> str:
    text = _string(value)
    if _number(text):
        return text
    if len(text) <= DESTINATION_CHARACTERS_MAX and _group(text):
        return text.rpartition(":")[2]
    raise ShapeFault("must be a phone number in E.164 form, + and 7 to 15 digits, or a WhatsApp group id")


def _check_whatsapp_destination(value: object) -> str:
    text = _string(value)
    if len(text) <= WHATSAPP_DESTINATION_CHARACTERS_MAX:
        if _number(text) or _hidden_user(text):
            return text
        if _group(text):
            return text.rpartition(":")[2]
    raise ShapeFault("must be a phone number in E.164 form, + and 7 to 15 digits, or a WhatsApp group id")


def _check_sender(value: object) -> str:
    text = _string(value)
    if len(text) > 40 or not _spaced_number(text):
        raise ShapeFault("must be the phone number of one of your devices, 7 to 15 digits")
    return "+" + _not_digits.sub("", text)


def message(maximum: int) -> Shape:
    """A text of 1 to `maximum` characters, not only white space, with line breaks and tabs."""

    def check(value: object) -> str:
        text = _string(value)
        if not 1 <= len(text) <= maximum:
            raise ShapeFault(f"must be 1 to {maximum} characters")
        if text.isspace():
            raise ShapeFault("must not be only white space")
        if not _text(text):
            raise ShapeFault("must not contain control characters other than line breaks and tabs")
        return text

    lengths = {"minLength": 1, "maxLength": maximum}
    return Shape(
        check,
        {"type": "string", **lengths, "allOf": [{"pattern": TEXT_PATTERN}, {"pattern": VISIBLE_PATTERN}]},
    )


def pattern(expression: str, *, maximum: int, issue: str) -> Shape:
    """A string of at most `maximum` characters that matches as a whole; `issue` says what is wrong with any other."""
    matches = re.compile(expression).fullmatch

    def check(value: object) -> str:
        text = _string(value)
        if len(text) > maximum or not matches(text):
            raise ShapeFault(issue)
        return text

    return Shape(check, {"type": "string", "maxLength": maximum, "pattern": expression})


def printable(minimum: int, maximum: int) -> Shape:
    """A string of `minimum` to `maximum` characters, none of them a control character or line separator."""

    def check(value: object) -> str:
        text = _string(value)
        if not minimum <= len(text) <= maximum:
            raise ShapeFault(f"must be {minimum} to {maximum} characters")
        if not _printable(text):
            raise ShapeFault("must contain only printable characters")
        return text

    lengths = {"minLength": minimum, "maxLength": maximum}
    return Shape(check, {"type": "string", **lengths, "pattern": PRINTABLE_PATTERN})


def name(maximum: int) -> Shape:
    """A printable string of at most `maximum` characters, not only white space."""
    line = printable(1, maximum)

    def check(value: object) -> str:
        text = str(line.check(value))
        if text.isspace():
            raise ShapeFault("must not be only white space")
        return text

    schema = {name: limit for name, limit in line.schema.items() if name != "pattern"}
    return Shape(check, {**schema, "allOf": [{"pattern": PRINTABLE_PATTERN}, {"pattern": VISIBLE_PATTERN}]})


def one_of(words: Sequence[str]) -> Shape:
    """One word of a list."""

    def check(value: object) -> str:
        if value not in words or not isinstance(value, str):
            raise ShapeFault("must be one of " + ", ".join(words))
        return value

    return Shape(check, {"type": "string", "enum": list(words)})


def whole_number(minimum: int, maximum: int) -> Shape:
    """An integer; never a boolean or a string."""

    def check(value: object) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            raise ShapeFault(f"must be a whole number from {minimum} to {maximum}")
        return value

    return Shape(check, {"type": "integer", "minimum": minimum, "maximum": maximum})


def _check_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ShapeFault("must be true or false")
    return value


def _check_time(value: object) -> datetime:
    text = _string(value)
    if not _time(text):
        raise ShapeFault("must be a time such as 2024-10-25T10:30:00Z")
    fraction = re.search(r"\.[0-9]+", text)
    if fraction:  # datetime knows microseconds
        text = text.replace(fraction[0], fraction[0][:7])
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ShapeFault("must be a time that exists, such as 2024-10-25T10:30:00Z") from None


def _check_url(value: object) -> str:
    text = _string(value)
    if len(text) > URL_CHARACTERS_MAX or not _url(text):
        raise ShapeFault(f"must be an http or https URL of at most {URL_CHARACTERS_MAX} characters")
    return text


def json_objects(bytes_max: int) -> Shape:
    """A list of objects in somebody else's form, at most `bytes_max` as compact JSON; normalised to that."""

    def check(value: object) -> bytes:
        if not isinstance(value, list):
            raise ShapeFault("must be a list")
        items: list[Any] = value
        if not all(isinstance(item, dict) for item in items):
            raise ShapeFault("must be a list of objects")
        if _is_deeper(items, JSON_DEPTH_MAX):
            raise ShapeFault(f"must not be nested more than {JSON_DEPTH_MAX} deep")
        encoded = _encode(items)
        if len(encoded) > bytes_max:
            raise ShapeFault(f"must be at most {bytes_max} bytes as JSON")
        return encoded

    return Shape(check, {"type": "array", "items": {"type": "object"}})


def _is_deeper(value: object, levels: int) -> bool:
    if not isinstance(value, list | dict):
        return False
    entries: Any = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(entry, levels - 1) for entry in entries)


def list_of(shape: Shape, *, maximum: int) -> Shape:
    """At most `maximum` different values of a shape."""

    def check(value: object) -> list[Any]:
        if not isinstance(value, list):
            raise ShapeFault("must be a list")
        items: list[Any] = value
        if len(items) > maximum:
            raise ShapeFault(f"must have at most {maximum} entries")
        checked = [shape.check(item) for item in items]
        if len(set(checked)) != len(checked):
            raise ShapeFault("must not name anything twice")
        return checked

    return Shape(check, {"type": "array", "items": shape.schema, "maxItems": maximum, "uniqueItems": True})


NUMBER = Shape(_check_number, {"type": "string", "pattern": NUMBER_PATTERN})
DESTINATION = Shape(
    _check_destination,
    {
        "type": "string",
        "maxLength": DESTINATION_CHARACTERS_MAX,
        "pattern": f"{NUMBER_PATTERN}|{GROUP_PATTERN}",
    },
)
WHATSAPP_DESTINATION = Shape(
    _check_whatsapp_destination,
    {
        "type": "string",
        "maxLength": WHATSAPP_DESTINATION_CHARACTERS_MAX,
        "pattern": f"{NUMBER_PATTERN}|{GROUP_PATTERN}|{HIDDEN_USER_PATTERN}",
    },
)
SENDER = Shape(_check_sender, {"type": "string", "maxLength": 40, "pattern": SPACED_NUMBER_PATTERN})
SMS = message(SMS_CHARACTERS_MAX)
WHATSAPP = message(WHATSAPP_CHARACTERS_MAX)
CAPTION = message(CAPTION_CHARACTERS_MAX)
NAME = name(NAME_CHARACTERS_MAX)
FLAG = Shape(_check_flag, {"type": "boolean"})
TIME = Shape(_check_time, {"type": "string", "format": "date-time"})
URL = Shape(_check_url, {"type": "string", "maxLength": URL_CHARACTERS_MAX, "pattern": SAFE_URL_PATTERN})
MEDIA_URL = pattern(
    MEDIA_URL_PATTERN,
    maximum=URL_CHARACTERS_MAX,
    issue=f"must be an https URL of at most {URL_CHARACTERS_MAX} characters",
)
