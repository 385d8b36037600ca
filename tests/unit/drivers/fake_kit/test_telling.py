"""How a command tells a fake something, and what it says where that cannot be."""

import socket
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from drivers.fake_kit.fault_table import Extent, FaultKind, Parameter
from drivers.fake_kit.telling import Listener, kind_named, parameters_shown, values
from drivers.runtime.output import CommandFailed

TOY = Listener("fake toy", start="infinireach fake toy", place="toys/toy.sock")
KIND = FaultKind(
    "creak",
    Extent.COUNT,
    "It creaks.",
    (
        Parameter("loud", False, "Whether everybody hears it."),
        Parameter("times", 3, "How often."),
        Parameter("pause_s", 0.5, "Seconds between."),
        Parameter("sound", "eek", "What is heard."),
    ),
)


@pytest.fixture
def answers(tmp_path: Path) -> Generator[list[bytes]]:
    """What whoever listens at `toy.sock` answers, one for each that asks."""
    replies: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "toy.sock"))
        listener.listen()

        def serve() -> None:
            while True:
                connection, _ = listener.accept()
                with connection:
                    if not connection.recv(65_536):
                        return
                    connection.sendall(replies.pop(0))

        thread = threading.Thread(target=serve)
        thread.start()
        yield replies
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(tmp_path / "toy.sock"))
        thread.join()


def test_the_answer_is_what_the_fake_says(answers: list[bytes], tmp_path: Path) -> None:
    answers.append(b'{"ok": true, "height": 3}\n')
    assert TOY.tell(tmp_path / "toy.sock", "measure", {}) == {"ok": True, "height": 3}


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b'{"ok": false, "error": "It is broken."}\n', "It is broken."),
        (b'{"ok": false}\n', "The fake toy refused it."),
        (b"", "The fake toy at .*toy.sock did not answer"),
        (b"[]\n", "The fake toy at .*toy.sock did not answer with an object."),
    ],
)
def test_a_refusal_and_an_answer_that_is_none_end_the_command(
    answers: list[bytes], tmp_path: Path, answer: bytes, sentence: str
) -> None:
    answers.append(answer)
    with pytest.raises(CommandFailed, match=sentence):
        TOY.tell(tmp_path / "toy.sock", "measure", {})


def test_where_none_runs_the_way_to_start_one_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFINIREACH_VAR", str(tmp_path))
    with pytest.raises(CommandFailed) as failed:
        TOY.tell(None, "measure", {})
    path = tmp_path / "toys" / "toy.sock"
    assert str(failed.value) == f"No fake toy runs at {path}. Start one: infinireach fake toy"


def test_a_data_folder_in_nobodys_home_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFINIREACH_VAR", "~nobody-of-this-name/var")
    with pytest.raises(CommandFailed, match="begins in the home of a user whom there is not"):
        TOY.socket_path(None)


def test_values_have_the_types_of_the_defaults() -> None:
    given = ["loud=yes", "times=0x10", "pause_s=2", "sound=a=b"]
    assert values(KIND, given) == {"loud": True, "times": 16, "pause_s": 2.0, "sound": "a=b"}
    assert values(KIND, ["loud=false"]) == {"loud": False}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("colour=red", "creak takes loud, times, pause_s, sound, not colour."),
        ("loud=1", "loud must be like no, not '1'."),
        ("times=many", "times must be like 3, not 'many'."),
        ("pause_s=", "pause_s must be like 0.5, not ''."),
    ],
)
def test_values_that_do_not_fit_are_refused(given: str, sentence: str) -> None:
    with pytest.raises(CommandFailed) as failed:
        values(KIND, [given])
    assert str(failed.value) == sentence


def test_faults_are_found_by_name_and_shown_with_what_they_may_be_told() -> None:
    assert kind_named({"creak": KIND}, "creak") is KIND
    with pytest.raises(CommandFailed, match="no fault squeak"):
        kind_named({"creak": KIND}, "squeak")
    assert parameters_shown(KIND)[:2] == ["loud=no: Whether everybody hears it.", "times=3: How often."]
