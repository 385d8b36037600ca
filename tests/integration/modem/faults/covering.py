"""Which faults of the emulator a test is about."""

from collections.abc import Callable
from typing import TypeVar

from drivers.modem.emulator import FAULTS

Test = TypeVar("Test", bound=Callable[..., object])
ATTRIBUTE = "faults_it_is_about"


def about(*faults: str) -> Callable[[Test], Test]:
    """Say so; a name that is not in the table is refused."""
    for name in faults:
        if name not in FAULTS:
            raise ValueError(f"there is no fault {name}")

    def mark(test: Test) -> Test:
        setattr(test, ATTRIBUTE, faults)
        return test

    return mark
