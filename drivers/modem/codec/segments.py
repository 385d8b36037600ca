"""Cutting a text into segments.

Owns the rule by which it is cut: as few segments as whole characters allow, each filled before the next
(3GPP TS 23.038 §6.2, TS 23.040 §9.2.3.24.1). The core counts by the same rule.
"""

from drivers.modem.codec import gsm7
from drivers.modem.codec.user_data import OCTETS_MAX, SEPTETS_MAX, header_septets
from drivers.modem.codec.values import Encoding

_HEADER_OCTETS = {8: 6, 16: 7}
"""A header with nothing but a concatenation, by the width of its reference in bits."""


def encoding_of(text: str) -> Encoding:
    """GSM7 if every character is in the default alphabet or its extension, else UCS2."""
    return Encoding.GSM7 if gsm7.can_encode(text) else Encoding.UCS2


def split_text(text: str, *, reference_bits: int = 8) -> list[str]:
    """The text of each segment; the whole text if one is enough. No character is cut: no escape from its septet, no
    surrogate from its pair. `reference_bits` is 8 or 16.
    """
    header_octets = _HEADER_OCTETS[reference_bits]
    if encoding_of(text) is Encoding.GSM7:
        costs = [len(gsm7.SEPTETS[character]) for character in text]
        single, concatenated = SEPTETS_MAX, SEPTETS_MAX - header_septets(header_octets)
    else:
        costs = [2 if character > "\uffff" else 1 for character in text]
        single, concatenated = OCTETS_MAX // 2, (OCTETS_MAX - header_octets) // 2
    if sum(costs) <= single:
        return [text]
    segments: list[str] = []
    start = used = 0
    for position, cost in enumerate(costs):
        if used + cost > concatenated:
            segments.append(text[start:position])
            start, used = position, 0
        used += cost
    return [*segments, text[start:]]
