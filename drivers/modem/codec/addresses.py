"""Addresses in PDUs: numbers in semi-octets and alphanumeric names (3GPP TS 23.040 §9.1.2.5), the SMSC's too.

Owns their form. Knows nothing of messages.
"""

import re
from itertools import takewhile

from drivers.modem.codec import gsm7
from drivers.modem.codec.octets import Octets
from drivers.modem.codec.values import AddressInvalid

DIGITS_MAX = 20
_DIGITS = "0123456789*#abc"
_NUMBER = re.compile(rf"\+?[0-9*#abc]{{1,{DIGITS_MAX}}}")
_FILLER = 0xF

_UNKNOWN_TYPE = 0x81
_INTERNATIONAL_TYPE = 0x91
_ALPHANUMERIC_TYPE = 0xD0
_TYPE_OF_NUMBER = 0x70
_INTERNATIONAL, _ALPHANUMERIC = 0x10, 0x50


def is_number(address: str) -> bool:
    """Whether an address can be written as a number."""
    return _NUMBER.fullmatch(address) is not None


def encode_number(number: str) -> bytes:
    """Length in semi-octets, type and digits, for TP-DA, TP-RA and TP-OA; raises AddressInvalid."""
    type_and_digits, digits = _type_and_digits(number)
    return bytes([digits]) + type_and_digits


def encode_originator(originator: str) -> bytes:
    """TP-OA: a number, or an alphanumeric name of at most 11 septets; raises AddressInvalid."""
    if is_number(originator):
        return encode_number(originator)
    if not gsm7.can_encode(originator) or len(septets := gsm7.encode(originator)) > 11:
        raise AddressInvalid("neither a number nor a name of at most 11 characters")
    semi_octets = (7 * len(septets) + 3) // 4
    return bytes([semi_octets, _ALPHANUMERIC_TYPE]) + gsm7.pack(septets)


def encode_smsc(number: str) -> bytes:
    """The SMSC's address in front of a PDU, its length in octets; empty for the SIM's own. Raises AddressInvalid."""
    if not number:
        return b"\0"
    type_and_digits, _ = _type_and_digits(number)
    return bytes([len(type_and_digits)]) + type_and_digits


def _type_and_digits(number: str) -> tuple[bytes, int]:
    if not is_number(number):
        raise AddressInvalid(f"not a number of 1 to {DIGITS_MAX} of the digits 0 to 9, *, #, a, b and c")
    digits = number.removeprefix("+")
    semi_octets = [_DIGITS.index(digit) for digit in digits]
    if len(semi_octets) % 2:
        semi_octets.append(_FILLER)
    pairs = zip(semi_octets[::2], semi_octets[1::2], strict=True)
    number_type = _UNKNOWN_TYPE if digits == number else _INTERNATIONAL_TYPE
    return bytes([number_type, *(high << 4 | low for low, high in pairs)]), len(digits)


def read_address(octets: Octets, what: str) -> str:
    """Read TP-OA, TP-DA or TP-RA; raises Malformed."""
    semi_octets = octets.octet(what)
    address_type = octets.octet(what)
    value = octets.take((semi_octets + 1) // 2, what)
    if address_type & _TYPE_OF_NUMBER == _ALPHANUMERIC:
        return _name(value, semi_octets)
    return _number(address_type, value, semi_octets)


def read_smsc(octets: Octets) -> str:
    """Read the SMSC's address; empty if there is none. Raises Malformed."""
    length = octets.octet("SMSC's address")
    if not length:
        return ""
    address_type, *value = octets.take(length, "SMSC's address")
    return _number(address_type, bytes(value), 2 * len(value))


def _number(address_type: int, value: bytes, semi_octets: int) -> str:
    """Digits up to the first filler; a plus in front if the type is international and there is a digit."""
    halves = [half for octet in value for half in (octet & 0xF, octet >> 4)][:semi_octets]
    digits = "".join(_DIGITS[half] for half in takewhile(lambda half: half != _FILLER, halves))
    return f"+{digits}" if digits and address_type & _TYPE_OF_NUMBER == _INTERNATIONAL else digits


def _name(value: bytes, semi_octets: int) -> str:
    """An alphanumeric name.

    Networks that count whole octets make eight septets of a name of seven letters; the eighth, which is zero, would
    read as `@`.
    """
    septets = gsm7.unpack(value, count=semi_octets * 4 // 7)
    return gsm7.decode(septets[:-1] if len(septets) == 8 and septets[-1] == 0 else septets)
