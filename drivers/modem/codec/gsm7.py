"""The GSM 7 bit alphabets: text to septets and back, septets to octets and back.

Owns the default alphabet and its extension (3GPP TS 23.038 §6.2.1) and the packing of septets (§6.1.2.1). Septets are
bytes with one septet in each octet. Knows nothing of messages.
"""

from collections.abc import Mapping

DEFAULT_ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""By septet; the escape stands for itself."""

EXTENSION: Mapping[int, str] = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
"""What an escape and this septet mean."""

ESCAPE = 0x1B

SEPTETS: Mapping[str, bytes] = {
    **{character: bytes([septet]) for septet, character in enumerate(DEFAULT_ALPHABET) if septet != ESCAPE},
    **{character: bytes([ESCAPE, septet]) for septet, character in EXTENSION.items()},
}
"""The one or two septets of each character that can be sent."""

_CHARACTERS = frozenset(SEPTETS)


def can_encode(text: str) -> bool:
    """Whether every character is in the default alphabet or its extension."""
    return _CHARACTERS.issuperset(text)


def encode(text: str) -> bytes:
    """The septets of a text that `can_encode` allows."""
    return b"".join([SEPTETS[character] for character in text])


def decode(
    septets: bytes, *, alphabet: str = DEFAULT_ALPHABET, extension: Mapping[int, str] = EXTENSION
) -> str:
    """The text of septets, whatever they are.

    A septet without a meaning after an escape means what it does without one; an escape after an escape, or at the
    end, is a space (TS 23.038 §6.2.1.1).
    """
    if ESCAPE not in septets:
        return "".join([alphabet[septet] for septet in septets])
    characters: list[str] = []
    rest = iter(septets)
    for septet in rest:
        if septet != ESCAPE:
            characters.append(alphabet[septet])
            continue
        code = next(rest, ESCAPE)
        characters.append(" " if code == ESCAPE else extension.get(code) or alphabet[code])
    return "".join(characters)


def pack(septets: bytes, *, fill_bits: int = 0) -> bytes:
    """The octets of septets, lowest bits first, after so many empty bits; the last octet is filled with zeros."""
    octets = bytearray()
    bits, held = 0, fill_bits
    for septet in septets:
        bits |= septet << held
        held += 7
        if held >= 8:
            octets.append(bits & 0xFF)
            bits >>= 8
            held -= 8
    if held:
        octets.append(bits)
    return bytes(octets)


def unpack(octets: bytes, *, first: int = 0, count: int) -> bytes:
    """`count` septets from the septet `first` on; the octets must hold them."""
    bits = int.from_bytes(octets, "little")
    return bytes([bits >> 7 * position & 0x7F for position in range(first, first + count)])
