"""Checks of single fields, gathered so that a caller hears of all its faults at once.

Owns the gathering and the forms that several requests share. Knows no request. What a description says never
quotes the input.
"""

import re
from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from core.errors import FieldViolation, InvalidArgument

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
"""By shape only: whether a plan knows the number is for the network to say."""

NAME_CHARACTERS_MAX = 100

_NO_LINE = re.compile(r"[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]")
"""What breaks a line, controls a terminal or turns the direction. All else is text, such as joined emoji."""

Value = TypeVar("Value")

_SECONDS_MIN, _SECONDS_MAX = -62_135_596_800, 253_402_300_799
"""Years 1 to 9999, as google.protobuf.Timestamp demands."""


class Faults:
    """The faulty fields found so far. Each check answers the value as it is to be used."""

    def __init__(self) -> None:
        self.violations: list[FieldViolation] = []

    def add(self, field: str, description: str) -> None:
        """Note a fault."""
        self.violations.append(FieldViolation(field, description))

    def check(self) -> None:
        """Raise InvalidArgument with every fault, if there is one."""
        if self.violations:
            raise InvalidArgument(self.violations)

    def gather(self, read: Callable[[], Value]) -> Value | None:
        """What `read` answers; None if it raises InvalidArgument, whose faults are taken over."""
        try:
            return read()
        except InvalidArgument as refused:
            self.violations.extend(refused.violations)
            return None

    def name(self, field: str, value: str) -> str:
        """A name for people: 1 to 100 printable characters, not only white space."""
        if not value.strip():
            self.add(field, "is required")
            return ""
        return self.note(field, value, characters_max=NAME_CHARACTERS_MAX)

    def note(self, field: str, value: str, *, characters_max: int) -> str:
        """A line of printable text; may be empty."""
        if len(value) > characters_max:
            self.add(field, f"must be at most {characters_max} characters; it has {len(value)}")
        elif _NO_LINE.search(value):
            self.add(field, "must be printable: no line breaks or other control characters")
        return value

    def number(self, field: str, value: int, *, least: int, most: int, zero: int | None = None) -> int:
        """A number from `least` to `most`; `zero`: what 0 stands for, if it is allowed beside them."""
        if value == 0 and zero is not None:
            return zero
        if not least <= value <= most:
            self.add(field, f"must be {least} to {most}")
        return value

    def enum(self, field: str, value: int, known: Collection[int]) -> None:
        """A number that the proto's enumeration has."""
        if value not in known:
            self.add(field, "has an unknown value")

    def words(self, field: str, values: Sequence[str], known: Collection[str]) -> list[str]:
        """Words of a list that is known, each once, in the order given; may be empty."""
        if not set(values) <= set(known):
            self.add(field, f"must be among {', '.join(known)}")
        return list(dict.fromkeys(values))

    def mask(self, field: str, mask: FieldMask, known: Sequence[str]) -> frozenset[str]:
        """Which fields to change: at least one, and only known ones."""
        paths = frozenset(mask.paths)
        if not paths or not paths <= set(known):
            self.add(field, f"must name at least one of {', '.join(known)}, and nothing else")
        return paths

    def time(self, field: str, value: Timestamp) -> int:
        """A moment, in milliseconds."""
        if not (_SECONDS_MIN <= value.seconds <= _SECONDS_MAX and 0 <= value.nanos < 1_000_000_000):
            self.add(field, "must be a time in the years 1 to 9999")
            return 0
        return value.seconds * 1000 + value.nanos // 1_000_000
