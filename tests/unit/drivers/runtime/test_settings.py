"""Settings report all their problems together and never show a secret."""

import subprocess
import sys
from pathlib import Path

import pytest

from drivers.runtime import settings as read
from drivers.runtime.main import EXIT_SETTINGS_INVALID, check_credentials, core_address, runtime_settings
from drivers.runtime.settings import Setting, SettingsInvalid, describe_settings, read_settings

TOKEN = {"INFINIREACH_DRIVER_TOKEN": "ird_secret"}


def settings_of(environment: dict[str, str]) -> dict[str, object]:
    return read_settings(runtime_settings("simulated"), environment, checks=[check_credentials])


def test_defaults_are_enough_beside_a_token() -> None:
    settings = settings_of(TOKEN)
    assert settings["INFINIREACH_DRIVER_CORE"] == ("127.0.0.1:50051",)
    assert settings["INFINIREACH_DRIVER_NAME"] == "simulated"
    assert settings["INFINIREACH_VAR"] == Path("var")
    assert settings["INFINIREACH_DRIVER_JOURNAL"] is None


def test_every_problem_is_reported_at_once() -> None:
    environment = {
        "INFINIREACH_DRIVER_CORE": "nowhere",
        "INFINIREACH_DRIVER_NAME": "Two Words",
        "INFINIREACH_DRIVER_GRACE_S": "99",
        "INFINIREACH_DRIVER_HORIZON_DAYS": "soon",
        "INFINIREACH_DRIVER_CA_FILE": "/nonexistent",
        "INFINIREACH_DRIVER_TLS": "maybe",
        "INFINIREACH_DRIVER_LOG_LEVEL": "loud",
    }
    with pytest.raises(SettingsInvalid) as caught:
        settings_of(environment)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "INFINIREACH_DRIVER_CORE",
        "INFINIREACH_DRIVER_TLS",
        "INFINIREACH_DRIVER_CA_FILE",
        "INFINIREACH_DRIVER_NAME",
        "INFINIREACH_DRIVER_GRACE_S",
        "INFINIREACH_DRIVER_HORIZON_DAYS",
        "INFINIREACH_DRIVER_LOG_LEVEL",
        "INFINIREACH_DRIVER_TOKEN",
    ]


def test_secret_is_not_shown_when_it_is_wrong() -> None:
    with pytest.raises(SettingsInvalid) as caught:
        settings_of({"INFINIREACH_DRIVER_TOKEN": "ird_se\ncret"})
    assert "ird_se" not in str(caught.value)


@pytest.mark.parametrize("text", ["", ":1", "host:", "host:0", "host:65536", "host:x", "host"])
def test_address_without_host_or_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        read.address(text)


@pytest.mark.parametrize("text", ["10.0.0.1:50051", "core.example:443", "[::1]:50051"])
def test_address_with_host_and_port_is_taken(text: str) -> None:
    assert read.address(text) == text


def test_token_file_is_read_before_each_connection(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("first\n")
    core = core_address(settings_of({"INFINIREACH_DRIVER_TOKEN_FILE": str(token_file)}))
    assert core.token() == "first"
    token_file.write_text("second\n")
    assert core.token() == "second"


def test_own_certificates_ask_for_tls(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("certificates")
    assert core_address(settings_of({**TOKEN, "INFINIREACH_DRIVER_CA_FILE": str(ca_file)})).is_tls
    assert not core_address(settings_of(TOKEN)).is_tls
    assert core_address(settings_of({**TOKEN, "INFINIREACH_DRIVER_TLS": "yes"})).is_tls


@pytest.mark.parametrize(
    ("address", "is_here"),
    [
        ("127.0.0.1:1", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("10.0.0.1:1", False),
        ("core:1", False),
    ],
)
def test_core_on_this_machine_is_known_as_such(address: str, is_here: bool) -> None:
    core = core_address(settings_of({**TOKEN, "INFINIREACH_DRIVER_CORE": address}))
    assert core.is_on_this_machine() is is_here


def test_description_names_every_setting_with_its_default() -> None:
    setting = Setting("NAME", read.name, "What it is.", "abc")
    assert describe_settings([setting]) == "  NAME\n      What it is. Default: abc."


@pytest.mark.parametrize("module", ["drivers.simulated", "drivers.example_file"])
def test_process_with_wrong_settings_names_them_and_ends_with_its_own_status(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module],
        env={"PATH": "", "INFINIREACH_DRIVER_NAME": "Two Words"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == EXIT_SETTINGS_INVALID
    assert "INFINIREACH_DRIVER_NAME" in done.stderr
    assert "INFINIREACH_DRIVER_TOKEN" in done.stderr


def test_help_needs_no_settings() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "drivers.simulated", "--help"],
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "INFINIREACH_SIMULATED_DEVICES" in done.stdout
    assert "INFINIREACH_DRIVER_TOKEN_FILE" in done.stdout


def test_several_cores_are_separated_by_commas() -> None:
    core = core_address(settings_of({**TOKEN, "INFINIREACH_DRIVER_CORE": "127.0.0.1:1, core:2"}))
    assert core.targets == ("127.0.0.1:1", "core:2")
    assert not core.is_on_this_machine()
    with pytest.raises(ValueError, match="host:port"):
        read.addresses(",")


def test_a_certificate_takes_the_place_of_a_token_and_needs_its_key(tmp_path: Path) -> None:
    file = tmp_path / "driver.pem"
    file.touch()
    both = {"INFINIREACH_DRIVER_CERT_FILE": str(file), "INFINIREACH_DRIVER_KEY_FILE": str(file)}
    core = core_address(settings_of(both))
    assert core.is_tls
    assert core.metadata() == ()
    for name in both:
        with pytest.raises(SettingsInvalid) as caught:
            settings_of({**TOKEN, name: str(file)})
        [problem] = caught.value.problems
        assert problem.startswith("INFINIREACH_DRIVER_KEY_FILE: ")


def test_without_token_and_certificate_both_are_named() -> None:
    with pytest.raises(SettingsInvalid) as caught:
        settings_of({})
    [problem] = caught.value.problems
    assert "INFINIREACH_DRIVER_TOKEN_FILE" in problem
    assert "INFINIREACH_DRIVER_CERT_FILE" in problem
