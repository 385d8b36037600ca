"""The national language tables: what the septets of a language mean (3GPP TS 23.038 Annex A, release 13).

Owns the tables of the languages 1 to 13 and nothing else. A locking table takes the place of the default alphabet, a
single shift table that of its extension. The scripts of India share one layout, which follows their Unicode blocks.
"""

from collections.abc import Mapping

from drivers.modem.codec import gsm7

NOT_USED = "\N{REPLACEMENT CHARACTER}"
"""What a septet of a locking table is read as where the standard has no character."""

# A table is a list of words: two hexadecimal digits are an offset into the script's block, four are a code point,
# a single character is itself.
_CONTROLS = {"LF": "\n", "CR": "\r", "ES": "\x1b", "SP": " ", "--": NOT_USED}

_INDIC_ALPHABET = """
01 02 03 05 06 07 08 09 0A 0B LF 0C 0D CR 0E 0F 10 11 12 13 14 15 16 17 18 19 1A ES 1B 1C 1D 1E
SP !  1F 20 21 22 23 24 )  (  25 26 ,  27 .  28 0  1  2  3  4  5  6  7  8  9  :  ;  29 2A 2B ?
2C 2D 2E 2F 30 31 32 33 34 35 36 37 38 39 3C 3D 3E 3F 40 41 42 43 44 45 46 47 48 49 4A 4B 4C 4D
"""
"""The septets 0x00 to 0x5F; at 0x60 and from 0x7B on the languages differ, and a to z lie between."""

_URDU_ALPHABET = """
27 22 28 7B 80 7E A6 2A C2 7F LF 79 7D CR 7A 7C 2B 2C 81 84 83 85 86 87 2D 2E 2F ES 8C 88 89 8A
SP !  8F 8D 30 31 91 93 )  (  99 32 ,  96 .  98 0  1  2  3  4  5  6  7  8  9  :  ;  9A 33 34 ?
35 36 37 38 39 41 42 A9 AA AB AF B3 B1 44 45 46 BA BB BC 48 C4 D5 C1 BE 21 CC D0 D2 4D 50 4F 57
"""

_SHARED_EXTENSION = {
    **dict(enumerate("@£$¥¿\"¤%&'\f*+")),
    **dict(enumerate("-/<=>¡^¡_#*", start=0x0E)),
    **dict(enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ", start=0x41)),
    **gsm7.EXTENSION,
}
_EXTENSION_SEPTETS = (
    *(0x19, 0x1A),
    *range(0x1C, 0x28),
    *range(0x2A, 0x2F),
    *range(0x30, 0x3C),
    0x3F,
)
"""Where the single shift tables of these languages have characters of their own, in the order of the words."""


def _characters(words: str, *, block: int, not_used: str = "") -> list[str]:
    """The characters of a table's words; `not_used` are offsets for which the script has no character."""
    missing = not_used.split()
    return [NOT_USED if word in missing else _character(word, block=block) for word in words.split()]


def _character(word: str, *, block: int) -> str:
    if len(word) == 1:
        return word
    if word in _CONTROLS:
        return _CONTROLS[word]
    return chr(int(word, 16) if len(word) == 4 else block + int(word, 16))


def _script(
    block: int,
    *,
    last: str,
    extension: str,
    not_used: str = "",
    alphabet: str = _INDIC_ALPHABET,
) -> tuple[str, Mapping[int, str]]:
    """Both tables of a language with a script of its own; `last` are the words of 0x60 and 0x7B to 0x7F."""
    first = _characters(alphabet, block=block, not_used=not_used)
    at_60, *after_z = _characters(last, block=block)
    own = zip(_EXTENSION_SEPTETS, _characters(extension, block=block), strict=False)
    return (
        "".join([*first, at_60, *"abcdefghijklmnopqrstuvwxyz", *after_z]),
        {**_SHARED_EXTENSION, **{septet: character for septet, character in own if character != NOT_USED}},
    )


def _latin(*, extension: str, alphabet: str = "") -> tuple[str, Mapping[int, str]]:
    """Both tables of a language with the Latin script, by what differs from the default ones: each word is a septet in
    two hexadecimal digits and its character.
    """
    changed = _changes(alphabet)
    return (
        "".join([changed.get(septet, character) for septet, character in enumerate(gsm7.DEFAULT_ALPHABET)]),
        {**gsm7.EXTENSION, **_changes(extension)},
    )


def _changes(words: str) -> Mapping[int, str]:
    return {int(word[:2], 16): word[2:] for word in words.split()}


_TABLES: Mapping[int, tuple[str, Mapping[int, str]]] = {
    1: _latin(  # Turkish
        alphabet="04€ 07ı 0BĞ 0Cğ 1CŞ 1Dş 40İ 60ç",
        extension="47Ğ 49İ 53Ş 63ç 67ğ 69ı 73ş",
    ),
    2: _latin(  # Spanish, which has no locking table
        extension="09ç 41Á 49Í 4FÓ 55Ú 61á 69í 6Fó 75ú",
    ),
    3: _latin(  # Portuguese
        alphabet=(
            "04ê 06ú 07í 08ó 09ç 0BÔ 0Cô 0EÁ 0Fá 12ª 13Ç 14À 15∞ 16^ 17\\ 18€ 19Ó 1A| 1CÂ 1Dâ 1EÊ "
            "24º 40Í 5BÃ 5CÕ 5DÚ 60~ 7Bã 7Cõ 7D`"
        ),
        extension=(
            "05ê 09ç 0BÔ 0Cô 0EÁ 0Fá 12Φ 13Γ 15Ω 16Π 17Ψ 18Σ 19Θ 1FÊ "
            "41À 49Í 4FÓ 55Ú 5BÃ 5CÕ 61Â 69í 6Fó 75ú 7Bã 7Cõ 7Fâ"
        ),
    ),
    4: _script(  # Bengali and Assamese
        0x0980,
        not_used="0D 0E 11 12 29 31 33 34 35 45 46 49 4A",
        last="4E 57 5C 5D 70 71",
        extension="66 67 68 69 6A 6B 6C 6D 6E 6F 5F 60 61 62 63 72 73 74 75 76 77 78 79 7A",
    ),
    5: _script(  # Gujarati
        0x0A80,
        not_used="0E 12 29 31 34 46 4A",
        last="50 60 61 62 63 71",
        extension="0964 0965 66 67 68 69 6A 6B 6C 6D 6E 6F",
    ),
    6: _script(  # Hindi
        0x0900,
        last="50 72 7B 7C 7E 7F",
        extension="64 65 66 67 68 69 6A 6B 6C 6D 6E 6F 51 52 53 54 58 59 5A 5B 5C 5D 5E 5F 60 61 62 63 70 71",
    ),
    7: _script(  # Kannada
        0x0C80,
        not_used="01 0D 11 29 34 45 49",
        last="55 56 60 61 62 63",
        extension="0964 0965 66 67 68 69 6A 6B 6C 6D 6E 6F 5E 71 72",
    ),
    8: _script(  # Malayalam
        0x0D00,
        not_used="01 0D 11 29 3C 45 49",
        last="57 60 61 62 63 79",
        extension="0964 0965 66 67 68 69 6A 6B 6C 6D 6E 6F 70 71 72 73 74 75 7A 7B 7C 7D 7E 7F",
    ),
    9: _script(  # Oriya
        0x0B00,
        not_used="0D 0E 11 12 29 31 34 45 46 49 4A",
        last="56 57 60 61 62 63",
        extension="0964 0965 66 67 68 69 6A 6B 6C 6D 6E 6F 5C 5D 5F 70 71",
    ),
    10: _script(  # Punjabi
        0x0A00,
        not_used="0B 0C 0D 0E 11 12 29 31 34 37 3D 43 44 45 46 49 4A",
        last="51 70 71 72 73 74",
        extension="0964 0965 66 67 68 69 6A 6B 6C 6D 6E 6F 59 5A 5B 5C 5E 75",
    ),
    11: _script(  # Tamil
        0x0B80,
        not_used="01 0B 0C 0D 11 16 17 18 1B 1D 20 21 22 25 26 27 2B 2C 2D 3C 3D 43 44 45 49",
        last="50 57 70 71 72 79",
        extension="0964 0965 66 67 68 69 6A 6B 6C 6D 6E 6F 73 74 75 76 77 78 7A",
    ),
    12: _script(  # Telugu
        0x0C00,
        not_used="0D 11 29 34 3C 45 49",
        last="55 56 60 61 62 63",
        extension="-- -- 66 67 68 69 6A 6B 6C 6D 6E 6F 58 59 78 79 7A 7B 7C 7D 7E 7F",
    ),
    13: _script(  # Urdu
        0x0600,
        alphabet=_URDU_ALPHABET,
        last="54 55 51 53 56 70",
        extension=(
            "00 01 F0 F1 F2 F3 F4 F5 F6 F7 F8 F9 0C 0D 0E 0F 10 11 12 13 14 1B 1F 40 52 58 6B 6C 72 73 CD D4"
        ),
    ),
}


def alphabet(language: int) -> str:
    """The locking table of a language, by septet; the default alphabet for one that is not known, and for 0."""
    return _TABLES[language][0] if language in _TABLES else gsm7.DEFAULT_ALPHABET


def extension(language: int) -> Mapping[int, str]:
    """The single shift table of a language; the default extension for one that is not known, and for 0."""
    return _TABLES[language][1] if language in _TABLES else gsm7.EXTENSION
