"""What is compared: a program that sends what it was given through an emulated modem."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

TEXT = "Hello from Infini Reach!"


@dataclass(frozen=True, slots=True)
class Subject:
    """A program that sends, with more to do than it can.

    `reported` is how many deliveries it has been told of and knows what message each is about; `waiting` is how many
    messages it has still to send, at least. `configuration` holds the files it runs with.
    """

    pids: Mapping[str, int]
    reported: Callable[[], int]
    waiting: Callable[[], int]
    durability: str
    configuration: Mapping[str, str] = field(default_factory=dict[str, str])
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
