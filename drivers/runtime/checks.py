"""What the journal could not write, told to whoever hands it in.

The journal writes many changes in one transaction, so one of them that can never be written would hold up all: it is
refused before it is among the others. Does no I/O.
"""

from collections.abc import Iterable

from drivers.runtime.context import Changes
from drivers.runtime.records import SegmentMark

SEGMENT_NUMBER_MAX = 2**31 - 1
"""Largest number of a segment; no network comes near it."""


def check_text(text: object) -> None:
    """Raise TypeError if it is no text, UnicodeEncodeError if it cannot be written as UTF-8 (a lone surrogate)."""
    if not isinstance(text, str):
        raise TypeError(f"a text is wanted, not {type(text).__name__}")
    text.encode()


def check_number(number: object) -> None:
    """Raise TypeError or ValueError if it is no number of a segment."""
    if not isinstance(number, int):
        raise TypeError(f"a number is wanted, not {type(number).__name__}")
    if not 0 <= number <= SEGMENT_NUMBER_MAX:
        raise ValueError(f"a segment has a number up to {SEGMENT_NUMBER_MAX}, not {number}")


def check_mark(mark: SegmentMark) -> None:
    """Raise TypeError or ValueError if the journal cannot keep the mark."""
    check_text(mark.command_id)
    check_text(mark.reference)
    check_number(mark.segment)


def check_changes(changes: Changes) -> None:
    """Raise TypeError or ValueError if the driver's own store cannot keep one of them."""
    values: Iterable[object] = changes.values()
    for key in changes:
        check_text(key)
    for value in values:
        if value is not None and not isinstance(value, bytes):
            raise TypeError(f"bytes or None are wanted, not {type(value).__name__}")
