"""`infinireach fake graph`: a served Graph, and the commands that make things happen to it."""

import json
import signal
import subprocess
import tomllib
from collections.abc import Generator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from core.cli.roles import command_of
from tests.fakes.command_line import infinireach_fake_graph as graph

MODULE = "drivers.whatsapp_cloud.fake_graph"
WRITER = "+15551112222"
TEXT = {"messaging_product": "whatsapp", "to": WRITER, "type": "text", "text": {"body": "Hello"}}


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder in which nothing runs."""
    monkeypatch.setenv("INFINIREACH_VAR", str(tmp_path))
    return tmp_path


@pytest.fixture
def served(var: Path) -> Generator[dict[str, Any]]:
    """The whatsapp.toml that a Graph prints whose webhooks nobody takes; it ends in order."""
    options = ("--port", "0", "--callback", "http://127.0.0.1:9/whatsapp", "--number", "+15550001111=42")
    process = subprocess.Popen(command_of(MODULE, *options), stdout=subprocess.PIPE, text=True)
    printed = ""
    try:
        assert process.stdout is not None
        while "app_secret_file" not in printed:
            line = process.stdout.readline()
            assert line, "it ended"
            printed += line
        yield tomllib.loads(printed)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 0


def post(served: dict[str, Any], token: str) -> int:
    """The status with which a text is answered."""
    address = urlsplit(served["graph"]["url"])
    assert address.hostname
    connection = HTTPConnection(address.hostname, address.port, timeout=20)
    path = f"/v25.0/{served['number'][0]['phone_number_id']}/messages"
    connection.request("POST", path, json.dumps(TEXT), {"Authorization": f"Bearer {token}"})
    status = connection.getresponse().status
    connection.close()
    return status


def test_what_it_prints_is_a_configuration_with_which_messages_are_accepted(
    served: dict[str, Any], var: Path
) -> None:
    [number] = served["number"]
    assert (number["number"], number["phone_number_id"]) == ("+15550001111", "42")
    assert served["webhook"] == {
        "host": "127.0.0.1",
        "port": 9,
        "path": "/whatsapp",
        "verify_token": "fake-graph",
    }
    token_file = Path(number["token_file"])
    assert token_file.stat().st_mode & 0o777 == 0o600
    assert Path(number["app_secret_file"]).read_text(encoding="utf-8").strip()
    old = token_file.read_text(encoding="utf-8").strip()
    assert graph("inbound", WRITER, "Hello").out.startswith("wamid.")
    assert post(served, old) == 200
    assert graph("revoke-token").status == 0
    assert post(served, old) == 401
    assert graph("new-token").status == 0
    assert post(served, token_file.read_text(encoding="utf-8").strip()) == 200
    assert WRITER[1:] in graph("taken").out
    assert len(json.loads(graph("taken", "--json").out)["messages"]) == 2


def test_faults_and_time_are_told_by_commands(served: dict[str, Any]) -> None:
    token = Path(served["number"][0]["token_file"]).read_text(encoding="utf-8").strip()
    assert "error object" in graph("fault", "error", "code=131031", "--to", WRITER).out
    assert post(served, token) == 403
    assert graph("fault", "server_error", "taken=yes", "--lasting").status == 0
    assert post(served, token) == 500
    assert graph("clear").out == "Faults that were ended: 1.\n"
    assert graph("advance", "25").status == graph("pause").status == graph("resume").status == 0
    assert graph("status", "wamid.unknown", "read", "--callback-data", "other").status == 0
    state = json.loads(graph("state").out)
    assert (state["taken"], state["faults"], state["webhooks"]["is_verified"]) == (1, [], False)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("inbound", "Bank", "Hello"), "from"),
        (("fault", "nothing"), "no_answer"),
        (("fault", "slow", "surprise=1"), "delay_s"),
        (("fault", "slow", "delay_s=long"), "delay_s"),
        (("status", "wamid.x", "lost"), "status"),
    ],
)
@pytest.mark.usefixtures("served")
def test_what_cannot_be_is_refused_in_a_sentence(arguments: tuple[str, ...], word: str) -> None:
    refused = graph(*arguments)
    assert (refused.status, refused.out) == (1, "")
    assert word in refused.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--number", "555"),
        ("--template", "Order"),
        ("--callback", "localhost:80"),
        ("inbound", WRITER),
    ],
)
@pytest.mark.usefixtures("var")
def test_what_it_cannot_begin_with_is_said_at_once(arguments: tuple[str, ...]) -> None:
    refused = graph(*arguments)
    assert (refused.status, refused.out) == (1, "")
    assert refused.err.count("\n") == 1


def test_the_faults_are_listed() -> None:
    listed = graph("faults").out
    assert "status_before_answer" in listed
    assert "hang_s=3600.0" in listed
