"""Segments of a text, counted a second time by cutting a real octet string as the standard says."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.segments import count_segments, unicode_characters

# 3GPP TS 23.038 §6.2.1, by code point in the order of the table; None is the escape.
DEFAULT_ALPHABET = [
    *(0x40, 0xA3, 0x24, 0xA5, 0xE8, 0xE9, 0xF9, 0xEC, 0xF2, 0xC7, 0x0A, 0xD8, 0xF8, 0x0D, 0xC5, 0xE5),
    *(0x394, 0x5F, 0x3A6, 0x393, 0x39B, 0x3A9, 0x3A0, 0x3A8, 0x3A3, 0x398, 0x39E),
    *(None, 0xC6, 0xE6, 0xDF, 0xC9),
    *(0x20, 0x21, 0x22, 0x23, 0xA4, *range(0x25, 0x30)),
    *range(0x30, 0x40),
    *(0xA1, *range(0x41, 0x5B), 0xC4, 0xD6, 0xD1, 0xDC, 0xA7),
    *(0xBF, *range(0x61, 0x7B), 0xE4, 0xF6, 0xF1, 0xFC, 0xE0),
]
ESCAPE = 0x1B
# §6.2.1.1, the extension table: what follows the escape.
EXTENSION = {
    0x0C: 0x0A, 0x5E: 0x14, 0x7B: 0x28, 0x7D: 0x29, 0x5C: 0x2F,
    0x5B: 0x3C, 0x7E: 0x3D, 0x5D: 0x3E, 0x7C: 0x40, 0x20AC: 0x65,
}  # fmt: skip
SEPTETS = {
    **{chr(point): [septet] for septet, point in enumerate(DEFAULT_ALPHABET) if point is not None},
    **{chr(point): [ESCAPE, code] for point, code in EXTENSION.items()},
}

GSM7 = "".join(SEPTETS)
PLAIN = "".join(character for character, septets in SEPTETS.items() if len(septets) == 1)
DOUBLE = "".join(map(chr, EXTENSION))
ASTRAL = "\N{GRINNING FACE}"

gsm7_texts = st.text(st.sampled_from(GSM7), max_size=1600)
texts = st.one_of(
    gsm7_texts,
    st.text(st.sampled_from(GSM7[:5] + DOUBLE), min_size=140, max_size=500),
    st.text(st.sampled_from("aя" + ASTRAL), min_size=60, max_size=300),
    st.text(max_size=1600),
)


def cut_gsm7(text: str) -> list[list[int]]:
    """The segments' septets: an escape never ends a segment."""
    septets = [septet for character in text for septet in SEPTETS[character]]
    if len(septets) <= 160:
        return [septets]
    segments = []
    while septets:
        end = min(153, len(septets))
        if end < len(septets) and septets[end - 1] == ESCAPE:
            end -= 1
        segments.append(septets[:end])
        septets = septets[end:]
    return segments


def cut_ucs2(text: str) -> list[bytes]:
    """The segments' octets: a surrogate pair never spans two segments."""
    octets = text.encode("utf-16-be")
    if len(octets) <= 140:
        return [octets]
    segments = []
    while octets:
        end = min(134, len(octets))
        if end < len(octets) and 0xD8 <= octets[end - 2] <= 0xDB:
            end -= 2
        segments.append(octets[:end])
        octets = octets[end:]
    return segments


def counted_again(text: str) -> tuple[str, int, int]:
    if all(character in SEPTETS for character in text):
        segments = cut_gsm7(text)
        return "gsm7", len(segments), sum(map(len, segments))
    pieces = cut_ucs2(text)
    assert "".join(piece.decode("utf-16-be") for piece in pieces) == text
    return "ucs2", len(pieces), sum(map(len, pieces)) // 2


def counted(text: str) -> tuple[str, int, int]:
    count = count_segments(text)
    return count.encoding, count.segments, count.units


@given(texts)
@example("")
@example("\x1b")
@example("ç")
@example("`")
def test_the_count_is_that_of_the_cut_text(text: str) -> None:
    assert counted(text) == counted_again(text)


def test_the_alphabet_is_the_standards() -> None:
    assert len(DEFAULT_ALPHABET) == 128
    assert all(counted(character) == ("gsm7", 1, 1) for character in PLAIN)
    assert all(counted(character) == ("gsm7", 1, 2) for character in DOUBLE)
    others = (chr(point) for point in (*range(0xD800), *range(0xE000, 0x11000)))
    assert all(
        count_segments(character).encoding == "ucs2" for character in others if character not in SEPTETS
    )


@pytest.mark.parametrize("character", ["a", "é", "Ω"])
@pytest.mark.parametrize(
    ("length", "segments"),
    [(0, 1), (1, 1), (159, 1), (160, 1), (161, 2), (306, 2), (307, 3), (459, 3), (460, 4), (1600, 11)],
)
def test_plain_gsm7_text_has_160_or_153_characters_a_segment(
    character: str, length: int, segments: int
) -> None:
    assert counted(character * length) == ("gsm7", segments, length)


@pytest.mark.parametrize("segments", range(2, 11))
def test_each_concatenated_gsm7_segment_is_filled_before_the_next(segments: int) -> None:
    assert counted("a" * (153 * segments)) == ("gsm7", segments, 153 * segments)
    assert count_segments("a" * (153 * segments + 1)).segments == segments + 1


@pytest.mark.parametrize(
    ("length", "segments"), [(1, 1), (69, 1), (70, 1), (71, 2), (134, 2), (135, 3), (201, 3), (1600, 24)]
)
def test_ucs2_text_has_70_or_67_code_units_a_segment(length: int, segments: int) -> None:
    assert counted("я" * length) == ("ucs2", segments, length)


@pytest.mark.parametrize("segments", range(2, 11))
def test_each_concatenated_ucs2_segment_is_filled_before_the_next(segments: int) -> None:
    assert counted("я" * (67 * segments)) == ("ucs2", segments, 67 * segments)
    assert count_segments("я" * (67 * segments + 1)).segments == segments + 1


@pytest.mark.parametrize("character", DOUBLE)
def test_an_extension_character_is_not_split_over_two_segments(character: str) -> None:
    text = "a" * 152 + character + "b" * 152
    assert counted(text) == ("gsm7", 3, 306)  # fits two segments by units alone
    assert counted("a" * 151 + character + "b" * 153) == ("gsm7", 2, 306)


def test_an_extension_character_may_end_a_single_message() -> None:
    assert counted("a" * 158 + "€") == ("gsm7", 1, 160)
    assert counted("a" * 159 + "€") == ("gsm7", 2, 161)


def test_a_surrogate_pair_is_not_split_over_two_segments() -> None:
    assert counted("я" * 66 + ASTRAL + "я" * 66) == ("ucs2", 3, 134)  # fits two segments by units alone
    assert counted("я" * 65 + ASTRAL + "я" * 67) == ("ucs2", 2, 134)


def test_pairs_alone_leave_one_unit_of_each_segment_empty() -> None:
    assert counted(ASTRAL * 35) == ("ucs2", 1, 70)
    assert counted(ASTRAL * 36) == ("ucs2", 2, 72)
    assert counted(ASTRAL * 1600) == ("ucs2", 49, 3200)


def test_one_foreign_character_turns_the_whole_text_into_ucs2() -> None:
    assert counted("a" * 100 + "я") == ("ucs2", 2, 101)
    assert counted("€" * 70 + "я") == ("ucs2", 2, 71)


@given(texts)
def test_the_named_characters_are_those_that_force_ucs2(text: str) -> None:
    named = unicode_characters(text)
    assert named == [c for n, c in enumerate(text) if c not in SEPTETS and c not in text[:n]]
    assert (count_segments(text).encoding == "ucs2") == bool(named)
    kept = "".join(character for character in text if character not in named)
    assert count_segments(kept).encoding == "gsm7"
