"""What is read from JSON of Meta's: whatever it holds, a text, an object or a list comes of it, and nothing fails.

Does no I/O.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

Json = Mapping[str, Any]

TEXT_CHARACTERS_MAX = 20_000
ID_CHARACTERS_MAX = 255
SECONDS_MAX = 253402300799
"""Last second that a Timestamp can say: the end of the year 9999."""


def text_in(holder: object, key: str, characters_max: int | None = TEXT_CHARACTERS_MAX) -> str:
    """A text as a database takes it, cut; empty if there is none. Numbers count as texts."""
    value: object = holder.get(key) if isinstance(holder, dict) else None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    return str(value)[:characters_max].replace("\0", "\ufffd").encode(errors="replace").decode()


def id_in(holder: object, key: str) -> str:
    """An id of a message; empty if there is none. Of one that is too long its digest, so that two stay two."""
    text = text_in(holder, key, None)
    if len(text) <= ID_CHARACTERS_MAX:
        return text
    return f"sha256.{hashlib.sha256(text.encode()).hexdigest()}"


def object_in(holder: object, key: str) -> Json:
    """An object; empty if there is none."""
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, dict) else {}


def objects_in(holder: object, key: str) -> list[Json]:
    """The objects of an array; empty if there is none."""
    value = holder.get(key) if isinstance(holder, dict) else None
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def code_in(error: object) -> int | None:
    """The code of an error object; None if it has none."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def time_in(holder: Json) -> Timestamp | None:
    """Its `timestamp`, which is a text of seconds since 1970."""
    text = text_in(holder, "timestamp", 20)
    if not text.isdecimal() or int(text) > SECONDS_MAX:
        return None
    return Timestamp(seconds=int(text))
