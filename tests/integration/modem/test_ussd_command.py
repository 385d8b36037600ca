"""`infinireach modem ussd` on a modem that no driver has."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from core.cli.roles import command_of
from tests.fakes.command_line import Finished, infinireach_modem

CONFIG = """
[[modem]]
name = "office"
port = "{port}"
number = "+15559876543"
balance_ussd = "*100#"
imei = "{imei}"
"""
IMEI = "350000000000014"


@pytest.fixture(autouse=True)
def config(served: str, var: Path) -> Path:
    """A modems.toml with the emulated modem."""
    assert served
    path = var / "modems.toml"
    path.write_text(CONFIG.format(port=var / "emulated" / "modem", imei=IMEI))
    return path


def test_the_balance_is_asked_for_on_the_port() -> None:
    assert infinireach_modem("ussd", "office") == Finished(0, "Your balance is 12.34 EUR.\n", "")


def test_a_pattern_for_the_port_is_followed(config: Path, var: Path) -> None:
    config.write_text(CONFIG.format(port=var / "emulated" / "mod*", imei=IMEI))
    assert infinireach_modem("ussd", "office", "*100#").out == "Your balance is 12.34 EUR.\n"


def test_another_modem_than_the_one_with_the_imei_is_not_asked(config: Path, var: Path) -> None:
    config.write_text(CONFIG.format(port=var / "emulated" / "mod*", imei="490000000000000"))
    refused = infinireach_modem("ussd", "office", "*100#")
    assert refused.status == 1
    assert "No port holds the modem with this imei" in refused.err


def test_a_menu_is_shown_and_waits_for_somebody_to_answer() -> None:
    shown = infinireach_modem("ussd", "office", "*123#")
    assert (shown.status, shown.out) == (0, "1 Balance\n2 Tariff\n")
    assert "The network waits for an answer." in shown.err


def test_in_a_terminal_the_answer_is_asked_for() -> None:
    keyboard, terminal = pty.openpty()
    try:
        os.write(keyboard, b"1\n")
        shown = subprocess.run(
            command_of("drivers.modem", "ussd", "office", "*123#"),
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("1 Balance\n2 Tariff\n")
    assert shown.stdout.endswith("Your balance is 12.34 EUR.\n")


def test_a_code_that_is_none_is_refused_before_the_modem_hears_it() -> None:
    refused = infinireach_modem("ussd", "office", 'AT"')
    assert refused == Finished(1, "", "The code must be 1 to 182 of the characters 0-9, *, # and +.\n")


@pytest.mark.parametrize(
    ("fault", "sentence"), [("pin", "wants a PIN or PUK"), ("no_sim", "The SIM is not ready")]
)
def test_a_sim_that_is_not_open_is_told_and_no_pin_entered(fault: str, sentence: str) -> None:
    assert infinireach_modem("emulate", "fault", fault).status == 0
    refused = infinireach_modem("ussd", "office", "*100#")
    assert refused.status == 1
    assert sentence in refused.err
