"""The data coding scheme (TP-DCS, 3GPP TS 23.038 §4): how user data is coded and how it is to be treated.

Owns the groups of its values and nothing else.
"""

from dataclasses import dataclass

from drivers.modem.codec.values import Encoding

GSM7 = 0x00
OCTETS = 0x04
UCS2 = 0x08
WITH_CLASS = 0x10
"""In the general group: the lowest two bits are the message class."""


@dataclass(slots=True, frozen=True)
class DataCoding:
    """One value of TP-DCS, taken apart."""

    encoding: Encoding
    message_class: int | None = None
    is_waiting_indication: bool = False


def data_coding(value: int) -> DataCoding:
    """Take one octet apart; what is reserved counts as the default alphabet, as §4 asks."""
    group = value >> 4
    if group < 0b1000:
        return _general(value)
    if group < 0b1100:
        return DataCoding(Encoding.GSM7)
    if group == 0b1111:
        return DataCoding(Encoding.OCTETS if value & 0x04 else Encoding.GSM7, message_class=value & 0x03)
    return DataCoding(Encoding.UCS2 if group == 0b1110 else Encoding.GSM7, is_waiting_indication=True)


def _general(value: int) -> DataCoding:
    """The groups 00xx and 01xx; the second only asks for deletion after reading."""
    is_compressed = bool(value & 0x20)
    message_class = value & 0x03 if value & WITH_CLASS else None
    if is_compressed:
        return DataCoding(Encoding.OCTETS, message_class)
    alphabets = {0x00: Encoding.GSM7, 0x04: Encoding.OCTETS, 0x08: Encoding.UCS2, 0x0C: Encoding.GSM7}
    return DataCoding(alphabets[value & 0x0C], message_class)


def data_coding_value(encoding: Encoding, message_class: int | None = None) -> int:
    """The octet of the general group for uncompressed user data."""
    alphabet = {Encoding.GSM7: GSM7, Encoding.OCTETS: OCTETS, Encoding.UCS2: UCS2}[encoding]
    return alphabet if message_class is None else alphabet | WITH_CLASS | message_class
