"""What reaches the terminal."""

import pytest

from core.cli.output import printable


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
