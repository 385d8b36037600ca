"""Texts of options."""

import pytest
import typer

from core.cli.options import expiry_ms

NOW_MS = 1_729_852_200_000  # 2024-10-25T10:30:00Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("90m", NOW_MS + 90 * 60_000),
        ("12h", NOW_MS + 12 * 3_600_000),
        ("30d", NOW_MS + 30 * 86_400_000),
        ("2024-10-26", 1_729_900_800_000),
        ("2024-10-25T10:30:00Z", NOW_MS),
        ("2024-10-25T12:30:00+02:00", NOW_MS),
    ],
)
def test_an_expiry_is_a_time_from_now_or_a_date(text: str, expected: int | None) -> None:
    assert expiry_ms(text, NOW_MS) == expected


@pytest.mark.parametrize("text", ["soon", "0d", "-1d", "1w", "30 d", "2024-13-01"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="30d"):
        expiry_ms(text, NOW_MS)
