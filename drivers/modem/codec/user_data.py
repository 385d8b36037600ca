"""User data with its header (3GPP TS 23.040 §9.2.3.24): concatenation, ports, languages, and the text after them.

Owns the elements of the header and where user data begins. Knows nothing of the PDUs around it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from drivers.modem.codec import gsm7, national
from drivers.modem.codec.octets import Malformed, Octets
from drivers.modem.codec.values import Concatenation, Encoding, TextTooLong

OCTETS_MAX = 140
SEPTETS_MAX = 160

CONCATENATION_8_BIT = 0x00
WAITING_INDICATION = 0x01
PORTS_8_BIT = 0x04
PORTS_16_BIT = 0x05
CONCATENATION_16_BIT = 0x08
SINGLE_SHIFT = 0x24
LOCKING_SHIFT = 0x25
SIM_TOOLKIT_SECURITY = frozenset(range(0x70, 0x80))
"""(U)SIM Toolkit security headers (TS 31.115)."""


@dataclass(slots=True, frozen=True)
class Header:
    """What the header says, of what matters here."""

    concatenation: Concatenation | None = None
    destination_port: int | None = None
    locking_shift: int = 0
    single_shift: int = 0
    is_waiting_indication: bool = False
    is_for_sim: bool = False


@dataclass(slots=True, frozen=True)
class UserData:
    """User data, taken apart."""

    header: Header
    units: bytes
    """Without the header. GSM7: one septet in each byte; else the octets."""


def concatenation_header(concatenation: Concatenation) -> bytes:
    """A header, with its length in front, that says which segment this is."""
    if concatenation.reference_bits == 8:
        element = bytes([CONCATENATION_8_BIT, 3, concatenation.reference])
    else:
        element = bytes([CONCATENATION_16_BIT, 4, *concatenation.reference.to_bytes(2, "big")])
    element += bytes([concatenation.total, concatenation.number])
    return bytes([len(element)]) + element


def header_septets(header_octets: int) -> int:
    """How many septets a header takes, with the bits that fill it up to a whole one."""
    return (8 * header_octets + 6) // 7


def encode_user_data(units: bytes, encoding: Encoding, *, header: bytes = b"") -> bytes:
    """TP-UDL and TP-UD; `units` as in UserData, `header` with its length in front.

    Raises TextTooLong if one segment cannot hold them.
    """
    if encoding is Encoding.GSM7:
        first = header_septets(len(header))
        length, data = first + len(units), gsm7.pack(units, fill_bits=7 * first - 8 * len(header))
    else:
        length, data = len(header) + len(units), units
    if len(header) + len(data) > OCTETS_MAX:
        raise TextTooLong("more than one segment holds")
    return bytes([length]) + header + data


def read_user_data(octets: Octets, encoding: Encoding, *, has_header: bool) -> UserData:
    """Read TP-UDL and TP-UD; raises Malformed."""
    length = octets.octet("user data length")
    in_septets = encoding is Encoding.GSM7
    data = octets.take((7 * length + 7) // 8 if in_septets else length, "user data")
    if not has_header:
        return UserData(Header(), gsm7.unpack(data, count=length) if in_septets else data)
    reader = Octets(data)
    header = reader.take(reader.octet("user data header"), "user data header")
    header_octets = 1 + len(header)
    if in_septets:
        first = header_septets(header_octets)
        units = gsm7.unpack(data, first=first, count=max(length - first, 0))
    else:
        units = data[header_octets:]
    return UserData(_header(header), units)


def decode_units(units: bytes, encoding: Encoding, *, locking_shift: int, single_shift: int) -> str:
    """The text of units, whatever they are; empty if they are not text. Halves of characters become U+FFFD."""
    if encoding is Encoding.OCTETS:
        return ""
    if encoding is Encoding.UCS2:
        return units.decode("utf-16-be", errors="replace")
    return gsm7.decode(
        units, alphabet=national.alphabet(locking_shift), extension=national.extension(single_shift)
    )


def _header(header: bytes) -> Header:
    """What the header says: of repeated elements the last counts, and none if one is cut off (§9.2.3.24)."""
    try:
        elements = dict(_elements(header))
    except Malformed:
        return Header()
    return Header(
        concatenation=_concatenation(elements.get(CONCATENATION_16_BIT, b""), reference_octets=2)
        or _concatenation(elements.get(CONCATENATION_8_BIT, b""), reference_octets=1),
        destination_port=_destination_port(elements.get(PORTS_16_BIT, b""), port_octets=2)
        or _destination_port(elements.get(PORTS_8_BIT, b""), port_octets=1),
        locking_shift=_language(elements.get(LOCKING_SHIFT, b"")),
        single_shift=_language(elements.get(SINGLE_SHIFT, b"")),
        is_waiting_indication=WAITING_INDICATION in elements,
        is_for_sim=not SIM_TOOLKIT_SECURITY.isdisjoint(elements),
    )


def _elements(header: bytes) -> Iterator[tuple[int, bytes]]:
    """Identifier and data of each element; raises Malformed if one is cut off."""
    octets = Octets(header)
    position = 0
    while position < len(header):
        identifier, length = octets.octet("element"), octets.octet("element")
        yield identifier, octets.take(length, "element")
        position += 2 + length


def _concatenation(data: bytes, *, reference_octets: int) -> Concatenation | None:
    """None if it is not possible, which counts as if the element were not there (§9.2.3.24.1)."""
    if len(data) != reference_octets + 2:
        return None
    reference, (total, number) = data[:reference_octets], data[reference_octets:]
    if not 1 <= number <= total:
        return None
    return Concatenation(int.from_bytes(reference, "big"), 8 * reference_octets, total=total, number=number)


def _destination_port(data: bytes, *, port_octets: int) -> int | None:
    """The first of the two ports (§9.2.3.24.3 and .4)."""
    return int.from_bytes(data[:port_octets], "big") if len(data) == 2 * port_octets else None


def _language(data: bytes) -> int:
    return data[0] if len(data) == 1 else 0
