"""`infinireach modem emulate`: a served modem, and the commands that make things happen to it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from core.cli.roles import command_of
from drivers.modem.emulator import FAULTS
from tests.fakes.command_line import Finished, infinireach_modem

pytestmark = pytest.mark.usefixtures("var")


def emulate(*arguments: str) -> Finished:
    """Run a command of the emulator."""
    return infinireach_modem("emulate", *arguments)


def state() -> dict[str, Any]:
    """The only modem's."""
    [modem] = json.loads(emulate("state", "--json").out)["modems"]
    return modem


def test_it_says_where_the_modem_is_and_a_probe_finds_it_fine(served: str, var: Path) -> None:
    name, number, port, url = served.split()
    assert (name, number, port) == ("modem", "+15559876543", str(var / "emulated" / "modem"))
    probed = infinireach_modem("probe", port)
    assert probed.status == 0, probed.out
    assert "\nIt can send.\n" in probed.out
    document = json.loads(infinireach_modem("probe", url, "--json").out)
    assert document["can_send"] is True
    assert document["port"] == url
    assert {finding["mark"] for finding in document["findings"]} == {"ok"}


@pytest.mark.usefixtures("served")
def test_a_probe_of_a_modem_that_cannot_send_ends_with_a_status_and_says_why(var: Path) -> None:
    assert emulate("fault", "no_sim").status == 0
    probed = infinireach_modem("probe", str(var / "emulated" / "modem"))
    assert probed.status == 1
    assert "fault    SIM: There is no SIM.\n         There is no SIM. Put one in" in probed.out
    assert probed.err == "\nIt cannot send yet; what is marked as a fault says what to do.\n"


@pytest.mark.usefixtures("served")
def test_a_message_comes_in_and_lies_in_the_memory() -> None:
    assert emulate("inbound", "--body", "Hi") == Finished(0, "It comes in.\n", "")
    assert emulate("inbound", "--body", "x" * 400, "--from", "Bank", "--parts", "3,1,2").out == (
        "It comes in, in 3 parts.\n"
    )
    assert state()["stored"]["SM"] == 4
    assert "home" in emulate("state").out
    assert emulate("taken").out == "It took nothing yet.\n"
    assert json.loads(emulate("taken", "--json").out) == {"messages": []}


@pytest.mark.usefixtures("served")
def test_a_fault_is_told_with_its_parameters_and_ended() -> None:
    said = emulate("fault", "cms_error", "code=38", "taken=yes", "--count", "2", "--skip", "1")
    assert said == Finished(0, f"{FAULTS['cms_error'].sentence}\n", "")
    assert emulate("fault", "hang", "--seconds", "60").status == 0
    struck, hanging = state()["faults"]
    assert struck == {"name": "cms_error", "left": 2, "skip": 1, "code": 38, "taken": True}
    assert hanging["name"] == "hang"
    assert emulate("clear", "hang").out == "Faults that were ended: 1.\n"
    assert emulate("clear").out == "Faults that were ended: 1.\n"
    assert state()["faults"] == []


@pytest.mark.usefixtures("served")
def test_the_network_and_the_signal_can_be_changed() -> None:
    assert emulate("change", "--signal", "3", "--radio-s", "2", "--report-s", "0").status == 0
    assert state()["signal"] == 3
    network = json.loads(emulate("state", "--json").out)["network"]
    assert (network["radio_s"], network["report_after_s"]) == (2.0, 0.0)


REFUSED = [
    (["fault", "nonsense"], "There is no fault nonsense."),
    (["fault", "cms_error", "number=1"], "cms_error takes code, taken, not number."),
    (["fault", "cms_error", "code=many"], "code must be like 500, not 'many'."),
    (["fault", "cms_error", "taken=1"], "taken must be like no, not '1'."),
    (["fault", "hang", "--count", "2"], "hang takes neither count nor skip."),
    (["fault", "cms_error", "--count", "0"], "count and seconds must be more than 0"),
    (["inbound", "--body", "Hi", "--parts", "first"], "--parts takes numbers"),
    (["inbound", "--body", "Hi", "--parts", "2"], "The message has 1 parts"),
    (
        ["state", "--socket", "/nowhere/emulator.sock"],
        "No emulated modem runs at /nowhere/emulator.sock.",
    ),
]


@pytest.mark.usefixtures("served")
def test_what_cannot_be_done_is_told_in_a_sentence() -> None:
    for arguments, sentence in REFUSED:
        refused = emulate(*arguments)
        assert refused.status == 1
        assert refused.err.startswith(sentence)


def test_without_an_emulator_the_way_to_start_one_is_told(var: Path) -> None:
    refused = emulate("inbound", "--body", "Hi")
    socket = var / "emulated" / "emulator.sock"
    assert refused == Finished(
        1, "", f"No emulated modem runs at {socket}. Start one: infinireach up --modem emulated\n"
    )


@pytest.mark.usefixtures("served")
def test_a_second_emulator_in_the_same_folder_is_refused(var: Path) -> None:
    refused = subprocess.run(
        command_of("drivers.modem", "emulate"), capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode == 1
    assert refused.stderr == f"A process listens at {var / 'emulated' / 'emulator.sock'} already.\n"


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (("--number", "0170"), "--number must be"),
        (("--pin", "12"), "--pin must be"),
        (("--modems", "3", "--tcp", "65534"), "--tcp must leave a port for each modem: at most 65533."),
        (("--script", "/nowhere"), "The modems cannot be served: No such file or directory (/nowhere)."),
    ],
)
def test_modems_that_cannot_be_served_are_told(option: tuple[str, ...], sentence: str) -> None:
    refused = emulate(*option)
    assert refused.status == 1
    assert refused.err.startswith(sentence)


def test_every_fault_is_listed_with_what_it_may_be_told() -> None:
    listed = emulate("faults").out
    for kind in FAULTS.values():
        assert f"\n{kind.name} " in listed
        assert kind.sentence in listed
        assert all(parameter.name + "=" in listed for parameter in kind.parameters)
