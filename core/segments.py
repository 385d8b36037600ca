"""How many segments a text needs on the air.

Owns the counting rule (3GPP TS 23.038 §6.2.1 alphabets; TS 23.040 §9.2.3.24.1 concatenation with an 8 bit
reference). Pure; the modem's codec must agree with it.
"""

from dataclasses import dataclass

GSM7_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The default alphabet without its escape; every character costs one septet."""

GSM7_EXTENSION = "\f^{}\\[~]|€"
"""The extension table; every character costs two septets, escape and code."""

_COST = {**dict.fromkeys(GSM7_BASIC, 1), **dict.fromkeys(GSM7_EXTENSION, 2)}

GSM7_SINGLE, GSM7_CONCATENATED = 160, 153
UCS2_SINGLE, UCS2_CONCATENATED = 70, 67


@dataclass(frozen=True, slots=True)
class SegmentCount:
    """`encoding` is `gsm7` or `ucs2`; `units` are septets or UTF-16 code units, without user data headers."""

    encoding: str
    segments: int
    units: int


def count_segments(text: str) -> SegmentCount:
    """Count `text`; a character never spans two segments, so a long text may need one more than units suggest."""
    try:
        costs = [_COST[character] for character in text]
    except KeyError:
        costs = [2 if ord(character) > 0xFFFF else 1 for character in text]
        return _count("ucs2", costs, single=UCS2_SINGLE, concatenated=UCS2_CONCATENATED)
    return _count("gsm7", costs, single=GSM7_SINGLE, concatenated=GSM7_CONCATENATED)


def unicode_characters(text: str) -> list[str]:
    """The characters that force UCS-2, each once, in the order of the text."""
    return list(dict.fromkeys(character for character in text if character not in _COST))


def _count(encoding: str, costs: list[int], *, single: int, concatenated: int) -> SegmentCount:
    units = sum(costs)
    if units <= single:
        return SegmentCount(encoding, 1, units)
    segments, used = 1, 0
    for cost in costs:
        if used + cost > concatenated:
            segments, used = segments + 1, 0
        used += cost
    return SegmentCount(encoding, segments, units)
