"""The alphabets: every character there and back, every national table, and septets in octets."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modem.codec import gsm7, national

GSM7 = "".join(gsm7.SEPTETS)
LANGUAGES = range(1, 14)
septet_strings = st.binary(max_size=300).map(lambda octets: bytes(octet & 0x7F for octet in octets))


def test_the_default_alphabet_has_128_septets_and_no_character_twice() -> None:
    assert len(gsm7.DEFAULT_ALPHABET) == len(set(gsm7.DEFAULT_ALPHABET)) == 128
    assert len(gsm7.SEPTETS) == 127 + len(gsm7.EXTENSION)


@given(st.text(st.sampled_from(GSM7)))
def test_a_text_in_the_default_alphabet_comes_back(text: str) -> None:
    assert gsm7.can_encode(text)
    assert gsm7.decode(gsm7.encode(text)) == text


@pytest.mark.parametrize(
    "text", ["ç", "`", "\x1b", "\0", "я", "\N{GRINNING FACE}", "a\N{COMBINING ACUTE ACCENT}"]
)
def test_what_the_default_alphabet_lacks_cannot_be_encoded(text: str) -> None:
    assert not gsm7.can_encode(text)
    assert not gsm7.can_encode(f"abc{text}")


@pytest.mark.parametrize(
    ("septets", "text"),
    [
        (b"a\x1b", "a "),
        (b"a\x1b\x1bb", "a b"),
        (b"\x1b\x00", "@"),
        (b"\x1bA", "A"),
        (b"\x1b\x0d", "\r"),
        (b"\x1be\x1b\x14", "€^"),
        (b"", ""),
    ],
)
def test_escapes_without_a_meaning_are_read_as_the_standard_says(septets: bytes, text: str) -> None:
    assert gsm7.decode(septets) == text


@given(septet_strings, st.integers(0, 6))
def test_packed_septets_come_back_behind_fill_bits(septets: bytes, fill_bits: int) -> None:
    octets = gsm7.pack(septets, fill_bits=fill_bits)
    assert len(octets) == (fill_bits + 7 * len(septets) + 7) // 8
    as_integer = int.from_bytes(octets, "little") >> fill_bits
    assert gsm7.unpack(as_integer.to_bytes(len(octets) + 1, "little"), count=len(septets)) == septets


@given(septet_strings, st.integers(0, 20))
def test_unpacking_may_begin_at_any_septet(septets: bytes, first: int) -> None:
    octets = gsm7.pack(bytes(first) + septets)
    assert gsm7.unpack(octets, first=first, count=len(septets)) == septets


def test_septets_are_packed_as_the_standard_shows() -> None:
    assert gsm7.pack(b"hellohello").hex() == "e8329bfd4697d9ec37"
    assert gsm7.pack(b"") == b""


@given(septet_strings, st.integers(0, 20), st.integers(0, 20))
def test_any_septets_are_a_text_in_any_language(septets: bytes, locking: int, single: int) -> None:
    text = gsm7.decode(septets, alphabet=national.alphabet(locking), extension=national.extension(single))
    assert len(septets) // 2 <= len(text) <= len(septets)
    text.encode()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_national_alphabet_is_whole_and_has_no_character_twice(language: int) -> None:
    alphabet = national.alphabet(language)
    assert len(alphabet) == 128
    assert [septet for septet, character in enumerate(alphabet) if character == "\x1b"] == [gsm7.ESCAPE]
    assert (alphabet[0x0A], alphabet[0x0D], alphabet[0x20]) == ("\n", "\r", " ")
    assert alphabet[0x30:0x3A] == "0123456789"
    assert alphabet[0x61:0x7B] == "abcdefghijklmnopqrstuvwxyz"
    used = alphabet.replace(national.NOT_USED, "")
    assert len(set(used)) == len(used)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_national_extension_keeps_the_default_one(language: int) -> None:
    extension = national.extension(language)
    assert extension.items() >= gsm7.EXTENSION.items()
    assert len(extension) > len(gsm7.EXTENSION)
    assert not {0x0D, gsm7.ESCAPE} & extension.keys(), "codes that are reserved for control"


@pytest.mark.parametrize("language", [0, 14, 127, 255])
def test_a_language_that_is_not_known_changes_nothing(language: int) -> None:
    assert national.alphabet(language) == gsm7.DEFAULT_ALPHABET
    assert national.extension(language) == gsm7.EXTENSION


SCRIPTS = {
    4: ("BENGALI", 13),
    5: ("GUJARATI", 7),
    6: ("DEVANAGARI", 0),
    7: ("KANNADA", 7),
    8: ("MALAYALAM", 7),
    9: ("ORIYA", 11),
    10: ("GURMUKHI", 17),
    11: ("TAMIL", 25),
    12: ("TELUGU", 7),
    13: ("ARABIC", 0),
}
"""Each with the number of septets that its alphabet leaves unused."""


@pytest.mark.parametrize("language", SCRIPTS)
def test_the_letters_of_a_national_alphabet_are_of_its_script(language: int) -> None:
    script, not_used = SCRIPTS[language]
    alphabet = national.alphabet(language)
    letters = [character for character in alphabet if character > "\x7f" and character != national.NOT_USED]
    assert {unicodedata.name(letter).split()[0] for letter in letters} == {script}
    assert alphabet.count(national.NOT_USED) == not_used
    assert len(letters) == 80 - not_used


# From the tables of TS 23.038 Annex A.
@pytest.mark.parametrize(
    ("language", "septet", "name"),
    [
        (1, 0x04, "EURO SIGN"),
        (1, 0x40, "LATIN CAPITAL LETTER I WITH DOT ABOVE"),
        (1, 0x41, "LATIN CAPITAL LETTER A"),
        (2, 0x7D, "LATIN SMALL LETTER N WITH TILDE"),
        (3, 0x15, "INFINITY"),
        (3, 0x7D, "GRAVE ACCENT"),
        (4, 0x60, "BENGALI LETTER KHANDA TA"),
        (5, 0x60, "GUJARATI OM"),
        (6, 0x3C, "DEVANAGARI LETTER NNNA"),
        (6, 0x5F, "DEVANAGARI SIGN VIRAMA"),
        (7, 0x7B, "KANNADA AI LENGTH MARK"),
        (8, 0x7F, "MALAYALAM DATE MARK"),
        (9, 0x60, "ORIYA AI LENGTH MARK"),
        (10, 0x7F, "GURMUKHI EK ONKAR"),
        (11, 0x3C, "TAMIL LETTER NNNA"),
        (12, 0x7C, "TELUGU LETTER VOCALIC RR"),
        (13, 0x00, "ARABIC LETTER ALEF"),
        (13, 0x7F, "ARABIC LETTER SUPERSCRIPT ALEF"),
    ],
)
def test_letters_of_the_national_alphabets(language: int, septet: int, name: str) -> None:
    assert gsm7.decode(bytes([septet]), alphabet=national.alphabet(language)) == unicodedata.lookup(name)


@pytest.mark.parametrize(
    ("language", "septet", "name"),
    [
        (1, 0x69, "LATIN SMALL LETTER DOTLESS I"),
        (2, 0x09, "LATIN SMALL LETTER C WITH CEDILLA"),
        (3, 0x7F, "LATIN SMALL LETTER A WITH CIRCUMFLEX"),
        (4, 0x19, "BENGALI DIGIT ZERO"),
        (5, 0x25, "GUJARATI DIGIT NINE"),
        (6, 0x3A, "DEVANAGARI SIGN HIGH SPACING DOT"),
        (7, 0x26, "KANNADA LETTER FA"),
        (8, 0x34, "MALAYALAM LETTER CHILLU K"),
        (9, 0x2C, "ORIYA LETTER WA"),
        (10, 0x2D, "GURMUKHI SIGN YAKASH"),
        (11, 0x2E, "TAMIL NUMBER SIGN"),
        (12, 0x1C, "TELUGU DIGIT ZERO"),
        (13, 0x3F, "ARABIC FULL STOP"),
        (13, 0x5A, "LATIN CAPITAL LETTER Z"),
    ],
)
def test_letters_of_the_national_extensions(language: int, septet: int, name: str) -> None:
    extension = national.extension(language)
    assert gsm7.decode(bytes([gsm7.ESCAPE, septet]), extension=extension) == unicodedata.lookup(name)
