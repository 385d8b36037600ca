"""How faults are added, counted and ended."""

import math
from typing import Any

import pytest

from drivers.fake_kit.faults import FAULTS_MAX, FaultInvalid
from tests.unit.drivers.modem.emulator.desk import Desk


@pytest.fixture
def desk() -> Desk:
    """A modem that works."""
    return Desk().quiet()


def test_a_fault_counts_and_is_then_over(desk: Desk) -> None:
    desk.faults.add("cms_error", count=2, code=42)
    assert [desk.send()[0] for _ in range(3)] == ["+CMS ERROR: 42", "+CMS ERROR: 42", "+CMGS: 2"]


def test_a_fault_can_let_some_pass_first(desk: Desk) -> None:
    desk.faults.add("cms_error", skip=2)
    assert [desk.send()[-1] for _ in range(4)] == ["OK", "OK", "+CMS ERROR: 500", "OK"]


def test_a_fault_that_counts_can_last_instead(desk: Desk) -> None:
    desk.faults.add("cms_error", seconds=10)
    assert [desk.send()[-1] for _ in range(3)] == ["+CMS ERROR: 500"] * 3
    desk.wait(10)
    assert desk.send()[-1] == "OK"


def test_a_fault_can_be_cleared(desk: Desk) -> None:
    desk.faults.add("no_signal")
    desk.faults.add("no_smsc")
    assert desk.faults.clear("no_signal") == 1
    assert [fault.kind.name for fault in desk.faults.all()] == ["no_smsc"]
    assert desk.faults.clear() == 1


@pytest.mark.parametrize(
    ("name", "parameters", "problem"),
    [
        ("nothing", {}, "no fault named nothing"),
        ("hang", {"count": 1}, "neither count nor skip"),
        ("reboot", {"seconds": 1.0}, "happens at once"),
        ("cms_error", {"count": 0}, "more than 0"),
        ("hang", {"seconds": -1.0}, "more than 0"),
        ("cms_error", {"code": "x"}, "must be a int"),
        ("cms_error", {"code": True}, "must be a int"),
        ("cms_error", {"kode": 1}, "does not take kode"),
        ("cms_error", {"code": 10**23}, "from 0 to 9999"),
        ("report_failed", {"status": 256}, "from 0 to 255"),
        ("slow_radio", {"delay_s": math.nan}, "from 0 to 86400"),
        ("slow_radio", {"delay_s": math.inf}, "from 0 to 86400"),
        ("slow_radio", {"delay_s": -5}, "from 0 to 86400"),
        ("slow_reads", {"bytes_per_s": 0}, "from 1 to 1000000"),
        ("pin", {"tries": -4}, "from 1 to 3"),
        ("pin", {"pin": '"\r\nOK'}, "must be like 1234"),
        ("puk", {"puk": "1234"}, "must be like 12345678"),
        ("sim_swap", {"number": "hello\r\nworld"}, "number of sim_swap must be like"),
        ("sim_swap", {"iccid": "x"}, "iccid of sim_swap must be like"),
        ("refuse", {"command": "+CNMI\r"}, "must be like"),
    ],
)
def test_a_fault_that_is_not_in_the_table_is_refused(
    desk: Desk, name: str, parameters: dict[str, Any], problem: str
) -> None:
    with pytest.raises(FaultInvalid, match=problem):
        desk.faults.add(name, **parameters)


def test_there_is_a_limit_to_faults(desk: Desk) -> None:
    for _ in range(FAULTS_MAX):
        desk.faults.add("lost_cmti")
    with pytest.raises(FaultInvalid, match="clear some"):
        desk.faults.add("lost_cmti")
