"""Which phones `infinireach up` runs, from its options alone."""

from pathlib import Path

import pytest

from core.cli.output import CommandFailed
from core.cli.rest_client import RestClient
from core.cli.supervisor import phones
from core.cli.supervisor.phones import Choice, Phones

API = RestClient("http://127.0.0.1:1", "irk_x")


@pytest.mark.parametrize(
    ("modem", "with_driver", "chosen"),
    [("", True, Phones.SIMULATED), ("", False, Phones.NONE), ("emulated", True, Phones.EMULATED)],
)
def test_the_options_name_what_runs(tmp_path: Path, modem: str, with_driver: bool, chosen: Phones) -> None:
    assert phones.choose(modem, with_driver=with_driver, var=tmp_path).phones is chosen


def test_modems_of_a_file_are_run_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "modems.toml").touch()
    monkeypatch.chdir(tmp_path)
    choice = phones.choose("modems.toml", with_driver=True, var=tmp_path)
    assert choice == Choice(Phones.MODEMS, tmp_path / "modems.toml")


@pytest.mark.parametrize(
    ("modem", "with_driver", "sentence"),
    [("emulated", False, "leave one of them away"), ("missing.toml", True, "there is no file missing.toml")],
)
def test_options_that_cannot_be_meant_are_refused(
    tmp_path: Path, modem: str, with_driver: bool, sentence: str
) -> None:
    with pytest.raises(CommandFailed, match=sentence):
        phones.choose(modem, with_driver=with_driver, var=tmp_path)


def test_the_emulator_is_stopped_after_the_driver_that_talks_to_it(tmp_path: Path) -> None:
    choice = phones.choose("emulated", with_driver=True, var=tmp_path)
    driver, emulator = phones.roles(choice, tmp_path, API, {"A": "b"})
    assert (driver.name, emulator.name) == ("driver", "emulator")
    assert driver.environment == {
        "A": "b",
        "INFINIREACH_MODEM_CONFIG": str(tmp_path / "emulated-modems.toml"),
    }
    assert str(tmp_path / "emulated") in emulator.command


def test_without_phones_nothing_is_run_beside_the_gateway(tmp_path: Path) -> None:
    assert phones.roles(Choice(Phones.NONE), tmp_path, API, {}) == []
