"""docs/modem-emulator.md names what there is, all of it."""

import json
import re

import pytest

from drivers.modem.emulator import FAULTS, FaultKind, Kind, Network
from drivers.modem.emulator.fates import FATES
from drivers.modem.emulator.orders import Orders
from drivers.modem.emulator.script import read_script
from drivers.modem.emulator.ussd import MENU
from tests import repository
from tests.unit.drivers.modem.emulator.manual_clock import ManualClock

TEXT = (repository.ROOT / "docs/modem-emulator.md").read_text(encoding="utf-8")


def row(kind: FaultKind) -> str:
    """A fault as the page's table has it."""
    told = "<br>".join(
        f"`{each.name}` ({json.dumps(each.default)}): {each.sentence}" for each in kind.parameters
    )
    return f"| `{kind.name}` | {kind.when.value} | {kind.sentence} | {told} |"


def test_the_table_of_faults_is_that_of_the_emulator() -> None:
    written = re.findall(r"^\| `\w+` \| (?:next time|lasts|at once) \|.*$", TEXT, re.MULTILINE)
    assert written == [row(kind) for kind in FAULTS.values()]


def test_the_numbers_with_a_fate_are_those_of_the_emulator() -> None:
    assert re.findall(r"^\| `(\+1500555\d{4})` ", TEXT, re.MULTILINE) == list(FATES)


def test_the_kinds_of_messages_are_those_of_the_emulator() -> None:
    assert re.findall(r"^\| `(\w+)` \| (?!next time|lasts|at once).*message", TEXT, re.MULTILINE) == list(
        Kind
    )


def test_the_codes_for_the_network_are_those_of_the_emulator() -> None:
    assert set(re.findall(r"`(\*\d+#)`", TEXT)) == set(MENU.replies)


@pytest.mark.parametrize("block", re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL))
def test_every_order_and_script_on_the_page_is_one(block: str) -> None:
    orders = Orders(Network(ManualClock()), [])
    assert read_script(block, orders)
