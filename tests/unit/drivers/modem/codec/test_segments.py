"""Texts are cut as the core counts them, and no character is cut."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.segments import count_segments
from drivers.modem.codec import Encoding, encoding_of, gsm7, split_text

GSM7 = "".join(gsm7.SEPTETS)
texts = st.one_of(
    st.text(max_size=1600),
    st.text(st.sampled_from(GSM7), max_size=1600),
    st.text(st.sampled_from("a€"), min_size=140, max_size=500),
    st.text(st.sampled_from("aя\N{GRINNING FACE}"), min_size=60, max_size=300),
    st.text(st.characters(), max_size=100),
)
UNITS_MAX = {  # alone, with an 8 bit reference, with a 16 bit reference
    Encoding.GSM7: (160, 153, 152),
    Encoding.UCS2: (70, 67, 66),
}


def units(text: str, encoding: Encoding) -> int:
    if encoding is Encoding.GSM7:
        return len(gsm7.encode(text))
    return len(text.encode("utf-16-be", "surrogatepass")) // 2


@settings(max_examples=1000)
@given(texts)
def test_the_core_counts_the_segments_that_are_sent(text: str) -> None:
    count = count_segments(text)
    encoding = encoding_of(text)
    segments = split_text(text)
    assert (count.encoding, count.segments) == (encoding.value, len(segments))
    assert count.units == sum(units(segment, encoding) for segment in segments)


def test_the_core_and_the_codec_agree_on_every_character_of_the_first_plane() -> None:
    differing = [
        point
        for point in range(0x10000)
        if count_segments(chr(point)).encoding != encoding_of(chr(point)).value
    ]
    assert differing == []


@given(texts, st.sampled_from([8, 16]))
def test_segments_are_the_text_and_each_is_as_full_as_whole_characters_allow(
    text: str, reference_bits: int
) -> None:
    encoding = encoding_of(text)
    alone, *concatenated = UNITS_MAX[encoding]
    limit = concatenated[reference_bits // 8 - 1]
    segments = split_text(text, reference_bits=reference_bits)
    assert "".join(segments) == text
    assert (len(segments) == 1) == (units(text, encoding) <= alone)
    for segment, following in pairwise(segments):
        assert units(segment, encoding) <= limit < units(segment + following[0], encoding)
    assert units(segments[-1], encoding) <= (alone if len(segments) == 1 else limit)


@pytest.mark.parametrize(
    ("text", "reference_bits", "lengths"),
    [
        ("", 8, [0]),
        ("a" * 160, 8, [160]),
        ("a" * 161, 8, [153, 8]),
        ("a" * 161, 16, [152, 9]),
        ("a" * 152 + "€" * 10, 8, [152, 10]),
        ("я" * 71, 8, [67, 4]),
        ("я" * 71, 16, [66, 5]),
        ("я" * 66 + "\N{GRINNING FACE}" * 40, 8, [66, 33, 7]),
        ("\N{GRINNING FACE}" * 1600, 8, [33] * 48 + [16]),
    ],
)
def test_lengths(text: str, reference_bits: int, lengths: list[int]) -> None:
    assert [len(segment) for segment in split_text(text, reference_bits=reference_bits)] == lengths
