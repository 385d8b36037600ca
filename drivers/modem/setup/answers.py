"""Reads what a modem answers: information lines, lists of parameters, ranges of values.

Owns the syntax of information responses (ITU-T V.250 §5.4 and §5.7.3) as far as this driver needs it. Modems are
sloppy, so everything here takes any text and says None or an empty list where nothing sensible is in it.
"""

import re
from collections.abc import Sequence


def value_of(lines: Sequence[str], prefix: str) -> str | None:
    """What follows `prefix` and a colon in the first line that begins so; None if none does."""
    for line in lines:
        head, colon, value = line.partition(":")
        if colon and head.strip().upper() == prefix.upper():
            return value.strip()
    return None


def plain_value(lines: Sequence[str], prefix: str = "") -> str:
    """The first line that says something, without a prefix such as `+CGMM:` and without quotes; empty if none does."""
    for line in lines:
        text = re.sub(rf"^{re.escape(prefix)}:\s*", "", line.strip()) if prefix else line.strip()
        if text:
            return text.strip('"').strip()
    return ""


def parameters(value: str) -> list[str]:
    """The parameters between commas, without quotes; commas inside quotes and parentheses do not separate."""
    found = re.findall(r'(?:^|,)((?:"[^"]*"|\([^)]*\)|[^,"(])*)', value)
    return [each.strip().strip('"') for each in found] if value else []


def number(text: str) -> int | None:
    """A decimal number; None if it is none."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text.strip()) else None


def numbers(value: str) -> list[int | None]:
    """Each parameter as a number, None where it is none."""
    return [number(each) for each in parameters(value)]


def first_number(value: str) -> int | None:
    """The first parameter as a number; None if there is none."""
    return next(iter(numbers(value)), None)


def listed_numbers(group: str) -> frozenset[int]:
    """The numbers of a list or range such as `(0-2)`, `(0,2,3)` or `1`. Ranges end at 1 000."""
    found: set[int] = set()
    for first, last in re.findall(r"([0-9]{1,4})(?:\s*-\s*([0-9]{1,4}))?", group):
        found.update(range(int(first), min(int(last or first), 1000) + 1))
    return frozenset(found)


def listed_words(group: str) -> tuple[str, ...]:
    """The quoted words of a list such as `("SM","ME")`, in its order."""
    return tuple(re.findall(r'"([^"]*)"', group))


def groups(value: str) -> list[str]:
    """The lists of the answer to a test command: `(0-2),(0,1),3` gives three."""
    return [each.strip() for each in re.findall(r"\([^)]*\)|[^,()\s][^,()]*", value)]
