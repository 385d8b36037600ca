"""`infinireach simulate inbound` and the control socket."""

import json
import socket
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.fakes.command_line import Finished, infinireach

INBOUND = ("simulate", "inbound", "--from", "+1234567890", "--to", "+15559876543", "--body", "Hi ✓")


class SimulatedDriver:
    """Answers one request on a control socket."""

    def __init__(self, folder: Path) -> None:
        self.answer = b'{"ok": true}\n'
        self.request = b""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "simulated.sock"))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rwb") as stream:
            self.request = stream.readline()
            stream.write(self.answer)

    def close(self) -> None:
        """Wait for the request and stop."""
        self._thread.join(10)
        self._listener.close()


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder in which nothing runs."""
    monkeypatch.setenv("INFINIREACH_VAR", str(tmp_path))
    return tmp_path


@pytest.fixture
def driver(var: Path) -> Generator[SimulatedDriver]:
    """A simulated driver that runs in the data folder."""
    served = SimulatedDriver(var)
    yield served
    served.close()


def test_a_message_comes_in_over_sms_unless_said_otherwise(driver: SimulatedDriver) -> None:
    assert infinireach(*INBOUND).status == 0
    assert json.loads(driver.request) == {
        "inbound": {"from": "+1234567890", "to": "+15559876543", "body": "Hi ✓", "channel": "sms"}
    }


def test_the_drivers_refusal_is_passed_on(driver: SimulatedDriver) -> None:
    driver.answer = (
        json.dumps({"ok": False, "error": "No simulated sms device has that number."}).encode() + b"\n"
    )
    assert infinireach(*INBOUND) == Finished(1, "", "No simulated sms device has that number.\n")


@pytest.mark.parametrize("answer", [b"", b"[]\n", b"nonsense\n"])
def test_a_driver_that_answers_nonsense_is_a_fault(driver: SimulatedDriver, answer: bytes) -> None:
    driver.answer = answer
    finished = infinireach(*INBOUND)
    assert finished.status == 1
    assert "did not answer" in finished.err


def test_without_a_driver_the_way_to_start_one_is_told(var: Path) -> None:
    finished = infinireach(*INBOUND)
    assert finished.status == 1
    assert f"No simulated driver listens at {var}/simulated.sock. Start one: infinireach up" in finished.err


def test_all_faults_of_the_options_are_told_at_once() -> None:
    finished = infinireach(*(
        "simulate",
        "inbound",
        "--from",
        "007",
        "--to",
        "5559876543",
        "--body",
        "",
        "--channel",
        "fax",
    ))
    assert finished.status == 1
    assert [line.split()[0] for line in finished.err.splitlines()] == ["--from", "--to", "--channel"]
