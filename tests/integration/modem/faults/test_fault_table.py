"""Every fault of the emulator has a test against the real driver."""

import importlib
import inspect

import pytest

from drivers.modem.emulator import FAULTS
from tests.integration.modem.faults.covering import ATTRIBUTE

MODULES = ("test_sending", "test_reports", "test_coming_in", "test_modem", "test_looking_after", "test_wire")


def faults_with_a_test() -> set[str]:
    names: set[str] = set()
    for module in MODULES:
        tests = importlib.import_module(f"{__package__}.{module}")
        for name, test in inspect.getmembers(tests, inspect.isfunction):
            if name.startswith("test_"):
                names.update(getattr(test, ATTRIBUTE, ()))
    return names


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_proved(fault: str) -> None:
    assert fault in faults_with_a_test()
