"""What a table of faults is made of: the one table behind a fake's control socket, its help and its page.

What a fault does is done where it strikes; `faults` keeps which are in force.
"""

from dataclasses import dataclass
from enum import Enum

Value = str | int | float | bool
NUMBER_MAX = 1_000_000_000.0


class Extent(Enum):
    """How far a fault reaches."""

    COUNT = "next time"
    """It strikes the next `count` times (1) that there is an occasion, after `skip` (0) of them went well."""
    DURATION = "lasts"
    """It lasts for `seconds`, or until it is cleared."""
    NOW = "at once"
    """It happens at once, and once."""


@dataclass(slots=True, frozen=True)
class Parameter:
    """Something that a fault may be told. The type of `default` is the type of the value."""

    name: str
    default: Value
    sentence: str
    least: float = 0.0
    most: float = NUMBER_MAX
    """Of a number."""
    pattern: str = ".*"
    """Of the whole of a text."""
    choices: tuple[str, ...] = ()
    """Of a text; none: any that is like the pattern."""


@dataclass(slots=True, frozen=True)
class FaultKind:
    """One line of a table."""

    name: str
    when: Enum
    """An Extent, or the occasion at which it strikes, of a fake that has its own."""
    sentence: str
    parameters: tuple[Parameter, ...] = ()
