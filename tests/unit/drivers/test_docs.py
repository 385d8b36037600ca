"""The documents about drivers name what there is, all of it."""

import re
from pathlib import Path

from drivers.runtime.main import (
    EXIT_CLEAN,
    EXIT_FAILED,
    EXIT_JOURNAL_UNUSABLE,
    EXIT_NOT_ADMITTED,
    EXIT_SETTINGS_INVALID,
    EXIT_SUPERSEDED,
    runtime_settings,
)
from drivers.simulated.driver import SimulatedDriver
from drivers.simulated.sandbox import SANDBOX
from tests import repository

SANDBOX_PAGE = repository.ROOT / "docs/sandbox.md"
WRITING_PAGE = repository.ROOT / "docs/writing-a-driver.md"


def rows(page: Path) -> str:
    """The tables of a page."""
    return "\n".join(line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("|"))


def test_sandbox_page_lists_exactly_the_numbers_with_a_fate() -> None:
    assert set(re.findall(r"`(\+1500555\d{4})`", rows(SANDBOX_PAGE))) == set(SANDBOX)


def test_sandbox_page_lists_the_settings_of_the_simulated_driver() -> None:
    named = set(re.findall(r"`(INFINIREACH_SIMULATED_\w+)`", rows(SANDBOX_PAGE)))
    assert named == {setting.name for setting in SimulatedDriver.settings}


def test_driver_page_lists_the_settings_of_the_runtime() -> None:
    named = set(re.findall(r"`((?:INFINIREACH_|…_)\w+)`", rows(WRITING_PAGE)))
    for setting in runtime_settings("any"):
        short = {f"…_{setting.name.rsplit('_', count)[-count]}" for count in (1, 2)} | {
            f"…_{'_'.join(setting.name.split('_')[-2:])}"
        }
        assert setting.name in named or short & named, f"{setting.name} is not in the table"


def test_driver_page_lists_the_exit_statuses() -> None:
    named = re.findall(r"^\| (\d) \|", rows(WRITING_PAGE), re.MULTILINE)
    assert [int(status) for status in named] == [
        EXIT_CLEAN,
        EXIT_FAILED,
        EXIT_SETTINGS_INVALID,
        EXIT_SUPERSEDED,
        EXIT_NOT_ADMITTED,
        EXIT_JOURNAL_UNUSABLE,
    ]
