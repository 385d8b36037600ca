"""What reaches the terminal."""

import json

import pytest

from core.cli.output import fields, printable, say_json, table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße 👋 שלום", "Grüße 👋 שלום"),
        ("hi\x1b]0;title\x07", "hi\\x1b]0;title\\x07"),
        ("one\rtwo\x9b2J", "one\\rtwo\\x9b2J"),
        ("gpj.\u202etxt", "gpj.\\u202etxt"),
        ("a\tb\nc", "a\tb\nc"),
    ],
)
def test_a_text_from_outside_cannot_steer_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("text", ["Grüße 👋", "one\rtwo\x9b2J", "gpj.\u202etxt", "\ud800"])
def test_a_text_from_outside_cannot_steer_the_terminal_through_json_either(
    capsys: pytest.CaptureFixture[str], text: str
) -> None:
    say_json({"text": text})
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"text": text}
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_a_value_cannot_pass_its_second_line_off_as_another_field(capsys: pytest.CaptureFixture[str]) -> None:
    fields({"name": "Ada\nstatus  sent", "message": "one\nstatus  sent"}, texts=("message",))
    table(["NAME"], [["Ada\nBob"]], none="")
    assert capsys.readouterr().out.splitlines() == [
        "name     Ada\\nstatus  sent",
        "message  one",
        "         status  sent",
        "NAME",
        "Ada\\nBob",
    ]
