"""The udev rule and the systemd unit that come with the driver."""

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from drivers.modem.cli import system_files
from drivers.modem.link.serial_ports import CONVERTER_VENDORS, MODEM_VENDORS
from tests.fakes.command_line import Finished, infinireach_modem

RULES, UNIT = system_files.NAMES
MATCH = re.compile(
    r'(ACTION|SUBSYSTEM|KERNEL|LABEL|GOTO|GROUP|MODE|SYMLINK|ENV\{\w+\}|ATTR\{[\w/]+\})(==|!=|\+=|=)"[^"]*"'
)
"""One key of a rule (udev(7))."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder into which the files were written."""
    assert infinireach_modem("system-files", str(tmp_path)).status == 0
    return tmp_path


def test_every_rule_is_made_of_keys_that_udev_knows(folder: Path) -> None:
    lines = (folder / RULES).read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules
    for rule in rules:
        for key in rule.split(", "):
            assert MATCH.fullmatch(key), key


def test_every_place_that_a_rule_goes_to_is_there(folder: Path) -> None:
    text = (folder / RULES).read_text(encoding="utf-8")
    assert set(re.findall(r'GOTO="(\w+)"', text)) == set(re.findall(r'LABEL="(\w+)"', text))


def test_the_rules_know_the_vendors_that_the_list_of_ports_knows(folder: Path) -> None:
    text = (folder / RULES).read_text(encoding="utf-8")
    vendors = {
        int(vendor, 16) for each in re.findall(r'idVendor}=="([^"]*)"', text) for vendor in each.split("|")
    }
    assert vendors == set(MODEM_VENDORS) | set(CONVERTER_VENDORS)


def test_the_unit_runs_the_driver_without_rights_that_it_does_not_need(folder: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # pyright: ignore[reportAttributeAccessIssue] - as its own documentation does
    unit.read_string((folder / UNIT).read_text(encoding="utf-8"))
    service = unit["Service"]
    assert service["ExecStart"].endswith("/infinireach driver modem")
    assert (service["User"], service["SupplementaryGroups"]) == ("infinireach", "dialout")
    assert (service["NoNewPrivileges"], service["CapabilityBoundingSet"]) == ("yes", "")
    assert service["Restart"] == "always"


def test_systemd_takes_the_unit(folder: Path) -> None:
    """Where there is no systemd, the test above has looked at what can be looked at."""
    program = shutil.which("systemd-analyze")
    path = folder / UNIT
    here = f"{Path(sys.executable).parent}/"
    path.write_text(path.read_text(encoding="utf-8").replace("/opt/infinireach/bin/", here), encoding="utf-8")
    if program:
        done = subprocess.run([program, "verify", str(path)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_what_the_owner_changed_is_not_overwritten_unless_said_so(folder: Path) -> None:
    (folder / UNIT).write_text("mine", encoding="utf-8")
    refused = infinireach_modem("system-files", str(folder))
    assert refused == Finished(
        1, f"{folder / RULES}\n", f"{folder / UNIT} is there and differs. --force overwrites it.\n"
    )
    assert infinireach_modem("system-files", str(folder), "--force").status == 0
    assert (folder / UNIT).read_text(encoding="utf-8").startswith("# The modem driver")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    refused = infinireach_modem("system-files", str(tmp_path / "none"))
    assert refused == Finished(1, "", f"There is no folder {tmp_path / 'none'}.\n")


def test_a_folder_in_the_place_of_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / RULES).mkdir()
    refused = infinireach_modem("system-files", str(tmp_path))
    assert refused == Finished(1, "", f"{tmp_path / RULES} cannot be written: Is a directory.\n")
