"""`python -m drivers.android.fake_smsgate` as a person uses it."""

import json
import socket
import subprocess
import sys
import tomllib
from collections.abc import Generator
from pathlib import Path

import pytest

from drivers.android.config import read_config

CLI = [sys.executable, "-P", "-X", "dev", "-m", "drivers.android.fake_smsgate"]


@pytest.fixture
def phone(tmp_path: Path) -> Generator[str]:
    """What a phone says at its start, while it is there."""
    line = [*CLI, "--port", "0", "--number", "+15559876543", "--number", "+15559876544"]
    with subprocess.Popen(
        [*line, "--socket", str(tmp_path / "s")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            read = process.stdout.readline()
            assert read
            said += read
        yield said
        process.terminate()
        assert process.wait(20) == 0


def run(tmp_path: Path, *arguments: str, status: int = 0) -> str:
    """What a command says."""
    line = [*CLI, *arguments, "--socket", str(tmp_path / "s")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


def test_what_it_says_at_its_start_is_what_the_driver_reads(phone: str, tmp_path: Path) -> None:
    text = phone.split("\n\n")[1]
    assert tomllib.loads(text)["phone"][0]["name"] == "fake"
    config = tmp_path / "phones.toml"
    config.write_text(text)
    config.chmod(0o600)
    [read] = read_config(config).phones
    assert [(each.number, each.sim) for each in read.numbers] == [("+15559876543", 1), ("+15559876544", 2)]


def test_its_commands_reach_it(phone: str, tmp_path: Path) -> None:
    assert phone
    assert run(tmp_path, "inbound", "--body", "Hello", "--sim", "2") == "It comes in.\n"
    assert "The battery runs down" in run(tmp_path, "fault", "battery", "percent=9", "--seconds", "600")
    state = json.loads(run(tmp_path, "state"))
    assert (state["battery"], state["faults"]) == (9, ["battery"])
    assert run(tmp_path, "clear") == "Faults that were ended: 1.\n"
    assert json.loads(run(tmp_path, "sent")) == {"parts": []}
    assert run(tmp_path, "restart", "--lose-memory") == "The app is back.\n"
    assert "percent must be like 5" in run(tmp_path, "fault", "battery", "percent=low", status=1)


def test_without_a_phone_a_command_says_how_to_start_one(tmp_path: Path) -> None:
    assert "Start one: infinireach fake smsgate" in run(tmp_path, "state", status=1)
    assert "There is no fault dance" in run(tmp_path, "fault", "dance", status=1)


def test_port_that_is_taken_ends_it_with_a_sentence_and_nothing_else(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = run(tmp_path, "--port", str(port), status=1)
    assert said == f"It cannot listen on port {port}: Address already in use. Give another --port.\n"
