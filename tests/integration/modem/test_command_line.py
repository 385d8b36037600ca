"""Commands of `infinireach modem` that ask the running driver, and those that look at files and ports."""

import errno
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from core.cli.roles import command_of
from tests.fakes.command_line import infinireach_modem

pytestmark = pytest.mark.usefixtures("var")

MODEM: dict[str, Any] = {
    "name": "office",
    "state": "attention",
    "reason": "sim_missing",
    "remedy": "There is no SIM. Put one in, the right way round.",
    "window": 0,
    "signal_percent": 61,
    "operator": "26201",
    "is_roaming": True,
    "port": "/dev/ttyUSB2",
    "maker": "Quectel",
    "model": "EC25",
    "parts_today": 7,
    "parts_per_day": 100,
}
CONFIG = """
[[modem]]
name = "office"
port = "/dev/none"
number = "+491701234567"
balance_ussd = "*100#"
"""


class RunningDriver:
    """Answers requests on the control socket of a modem driver, one connection after the other."""

    def __init__(self, folder: Path) -> None:
        self.answers: list[object] = [{"ok": True}]
        """In turn; the last one again and again."""
        self.request: object = None
        """The last one."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "modem.sock"))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def answer(self) -> object:
        """The answer to the next request."""
        return self.answers[0]

    @answer.setter
    def answer(self, value: object) -> None:
        self.answers = [value]

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, connection.makefile("rwb") as stream:
                    self.request = json.loads(stream.readline())
                    answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                    stream.write(json.dumps(answer).encode() + b"\n")

    def close(self) -> None:
        """Stop."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()


@pytest.fixture
def driver(var: Path) -> Generator[RunningDriver]:
    """A modem driver that runs in the data folder."""
    running = RunningDriver(var)
    yield running
    running.close()


def test_status_shows_each_modem_and_what_to_do(driver: RunningDriver) -> None:
    driver.answer = {"ok": True, "modems": [MODEM]}
    shown = infinireach_modem("status")
    assert shown.status == 0
    assert driver.request == {"status": {}}
    for part in ("office", "attention (sim_missing)", "61 %", "26201 roaming", "7 of 100", "/dev/ttyUSB2"):
        assert part in shown.out
    assert "office: There is no SIM. Put one in, the right way round." in shown.out


def test_status_tells_how_much_of_what_came_in_is_for_no_person(driver: RunningDriver) -> None:
    counts = {"message": 4, "dropped_silent": 2, "dropped_sim_data": 1, "broadcast": 3}
    driver.answer = {"ok": True, "modems": [MODEM | {"counts": counts}]}
    assert (
        "office: 6 that came in since the driver started were for no person"
        in infinireach_modem("status").out
    )


def test_status_as_json_is_what_the_driver_says(driver: RunningDriver) -> None:
    told = {"modems": [MODEM], "counts": {"reports": {"delivered": 1}}}
    driver.answer = {"ok": True, **told}
    assert json.loads(infinireach_modem("status", "--json").out) == told


def test_a_modem_cannot_steer_the_terminal(driver: RunningDriver) -> None:
    driver.answer = {"ok": True, "modems": [{**MODEM, "model": "EC25\x1b[2J"}]}
    assert "EC25\\x1b[2J" in infinireach_modem("status").out


def test_a_modem_cannot_steer_the_terminal_through_json_either(driver: RunningDriver) -> None:
    modem = {**MODEM, "model": "EC25\x1b[2J\x9b2J\u202e"}
    driver.answer = {"ok": True, "modems": [modem]}
    shown = infinireach_modem("status", "--json").out
    assert json.loads(shown)["modems"] == [modem]
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_unlock_tells_the_driver_that_the_pin_is_right(driver: RunningDriver) -> None:
    assert infinireach_modem("unlock", "office").status == 0
    assert driver.request == {"unlock": {"device": "office"}}


def test_ussd_goes_through_the_driver_if_it_runs(driver: RunningDriver) -> None:
    driver.answer = {"ok": True, "text": "Balance: 9.50", "is_open": False}
    shown = infinireach_modem("ussd", "office", "*100#")
    assert (shown.status, shown.out) == (0, "Balance: 9.50\n")
    assert driver.request == {"ussd": {"device": "office", "code": "*100#"}}


def test_ussd_without_a_code_asks_for_the_balance(driver: RunningDriver) -> None:
    driver.answers = [
        {"ok": True, "modems": [MODEM | {"balance_ussd": "*101#"}]},
        {"ok": True, "text": "Balance: 9.50", "is_open": False},
    ]
    assert infinireach_modem("ussd", "office", "--json").out == (
        '{\n  "text": "Balance: 9.50",\n  "is_open": false\n}\n'
    )
    assert driver.request == {"ussd": {"device": "office", "code": "*101#"}}


def test_ussd_without_a_code_of_a_modem_that_has_none_says_where_it_belongs(driver: RunningDriver) -> None:
    driver.answer = {"ok": True, "modems": [MODEM]}
    refused = infinireach_modem("ussd", "office")
    assert refused.err == "office has no balance_ussd in modems.toml; name a CODE, such as '*100#'.\n"


def test_ussd_without_a_code_of_a_modem_that_the_driver_has_not_says_so(driver: RunningDriver) -> None:
    driver.answer = {"ok": True, "modems": [MODEM]}
    refused = infinireach_modem("ussd", "nobody")
    assert (refused.status, refused.err) == (1, "The driver has no modem nobody. It has: office\n")


def test_the_drivers_refusal_is_passed_on(driver: RunningDriver) -> None:
    driver.answer = {"ok": False, "code": "not_ready", "error": "The modem is away."}
    refused = infinireach_modem("unlock", "office")
    assert (refused.status, refused.out, refused.err) == (1, "", "The modem is away.\n")


@pytest.mark.parametrize("answer", [[], "nonsense", None])
def test_a_driver_that_answers_nonsense_is_a_fault(driver: RunningDriver, answer: object) -> None:
    driver.answer = answer
    refused = infinireach_modem("status")
    assert refused.status == 1
    assert "did not answer with an object" in refused.err


def test_without_a_driver_the_way_to_start_one_is_told(var: Path) -> None:
    refused = infinireach_modem("status")
    assert refused.status == 1
    assert f"No modem driver listens at {var}/modem.sock" in refused.err
    assert "infinireach driver modem --config modems.toml" in refused.err
    assert "sudo -u infinireach env INFINIREACH_VAR=/var/lib/infinireach" in refused.err


def test_a_socket_of_another_user_is_told_with_the_way_to_ask_as_that_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    refused = infinireach_modem("status")
    assert refused.err.startswith("This user may not use")
    assert "sudo -u infinireach env INFINIREACH_VAR=/var/lib/infinireach" in refused.err


def test_ussd_without_driver_and_without_file_names_both_ways() -> None:
    refused = infinireach_modem("ussd", "office", "*100#")
    assert refused.status == 1
    assert "No modem driver listens" in refused.err
    assert "--config" in refused.err


def test_ussd_on_a_port_that_is_not_there_tells_it(var: Path) -> None:
    (var / "modems.toml").write_text(CONFIG)
    refused = infinireach_modem("ussd", "office", "*100#")
    assert refused.status == 1
    assert "There is no modem at /dev/none" in refused.err


def test_ussd_of_a_modem_that_the_file_does_not_have_names_those_it_has(var: Path) -> None:
    (var / "modems.toml").write_text(CONFIG)
    refused = infinireach_modem("ussd", "home", "*100#")
    assert refused.err == "There is no modem home in modems.toml. There are: office\n"


def test_a_right_file_is_said_to_be_right(var: Path) -> None:
    (var / "modems.toml").write_text(CONFIG)
    checked = infinireach_modem("check-config")
    assert (checked.status, checked.out) == (0, "modems.toml is right: office.\n")


def test_everything_wrong_in_a_file_is_told_at_once(var: Path) -> None:
    (var / "mine.toml").write_text('[[modem]]\nname = "Office"\nports = "x"\n')
    refused = infinireach_modem("check-config", "--config", "mine.toml")
    assert refused.status == 1
    assert refused.err.startswith("mine.toml cannot be used:\n")
    for key in ("name must be", "ports is not known", "port is missing", "number is missing"):
        assert key in refused.err


@pytest.mark.parametrize("variable", ["INFINIREACH_VAR", "INFINIREACH_MODEM_CONFIG"])
def test_a_folder_of_nobody_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "~nobody-of-this-name/x")
    refused = infinireach_modem("status" if variable == "INFINIREACH_VAR" else "check-config")
    assert refused.status == 1
    assert refused.err == "~nobody-of-this-name/x begins in the home of a user whom there is not.\n"


@pytest.mark.parametrize("speed", ["0", "-1", "5000000"])
def test_a_speed_that_modems_toml_would_not_take_is_not_probed_with(speed: str) -> None:
    assert infinireach_modem("probe", "/dev/none", "--baud", speed).status == 2


def test_ports_are_listed_as_text_and_as_json() -> None:
    assert infinireach_modem("list").status == 0
    assert isinstance(json.loads(infinireach_modem("list", "--json").out)["ports"], list)


@pytest.mark.parametrize("arguments", [["modem"], ["modem", "--help"], ["driver", "modem", "--help"]])
def test_the_gateways_command_hands_everything_on(arguments: list[str]) -> None:
    shown = subprocess.run(
        [sys.executable, "-P", "-m", "core.cli.main", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert "Usage: infinireach modem" in shown.stdout
    assert "probe" in shown.stdout


def test_the_driver_is_started_in_one_way_which_the_help_tells() -> None:
    assert infinireach_modem("run").status == 2
    assert "infinireach driver modem --config modems.toml" in infinireach_modem("--help").out


def test_a_fault_ends_in_a_sentence_and_no_log_line(var: Path) -> None:
    shown = subprocess.run(
        command_of("drivers.modem", "probe", str(var / "none")),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert shown.returncode == 1
    assert shown.stdout.startswith("fault    port: There is no modem at")
    assert "{" not in shown.stdout + shown.stderr
