"""SMS-SUBMIT (3GPP TS 23.040 §9.2.2.2): what is given to a modem to be sent.

Owns the form of outgoing PDUs, both ways: the emulator reads what the driver writes.
"""

from datetime import timedelta

from drivers.modem.codec import gsm7
from drivers.modem.codec.addresses import encode_number, encode_smsc, read_address, read_smsc
from drivers.modem.codec.coding import data_coding, data_coding_value
from drivers.modem.codec.octets import Malformed, Octets, octets_of
from drivers.modem.codec.segments import encoding_of, split_text
from drivers.modem.codec.times import TIMESTAMP_OCTETS, decode_validity, encode_validity
from drivers.modem.codec.user_data import (
    concatenation_header,
    decode_units,
    encode_user_data,
    read_user_data,
)
from drivers.modem.codec.values import (
    Concatenation,
    Encoding,
    Pdu,
    Submit,
    TextTooLong,
    TextUnencodable,
    Undecodable,
)

SEGMENTS_MAX = 255

_TYPE_MASK, _SUBMIT_TYPE = 0x03, 0x01
_VALIDITY_MASK, _VALIDITY_RELATIVE = 0x18, 0x10
_WANTS_REPORT = 0x20
_HAS_HEADER = 0x40
_FLASH_CLASS = 0
_DEFAULT_PROTOCOL = 0


def submit_pdus(
    text: str,
    *,
    destination: str,
    reference: int,
    wants_report: bool,
    validity: timedelta | None = None,
    is_flash: bool = False,
    reference_bits: int = 8,
    smsc: str = "",
) -> list[Pdu]:
    """One PDU for each segment of `split_text`.

    Of the concatenation `reference` the lowest `reference_bits` (8 or 16) count; of `validity` what a relative period
    can say, rounded down, but never less than its smallest, five minutes; None leaves it to the network.
    Raises AddressInvalid, TextTooLong or TextUnencodable.
    """
    encoding = encoding_of(text)
    segments = split_text(text, reference_bits=reference_bits)
    if len(segments) > SEGMENTS_MAX:
        raise TextTooLong(f"{len(segments)} segments, at most {SEGMENTS_MAX}")
    first_octet = (
        _SUBMIT_TYPE
        | (_WANTS_REPORT if wants_report else 0)
        | (_HAS_HEADER if len(segments) > 1 else 0)
        | (0 if validity is None else _VALIDITY_RELATIVE)
    )
    coding = data_coding_value(encoding, _FLASH_CLASS if is_flash else None)
    # The modem puts a message reference of its own in place of the zero.
    head = bytes([first_octet, 0]) + encode_number(destination) + bytes([_DEFAULT_PROTOCOL, coding])
    if validity is not None:
        head += bytes([encode_validity(validity)])
    prefix = encode_smsc(smsc)
    pdus: list[Pdu] = []
    for number, segment in enumerate(segments, start=1):
        header = b""
        if len(segments) > 1:
            header = concatenation_header(
                Concatenation(reference % (1 << reference_bits), reference_bits, len(segments), number)
            )
        tpdu = head + encode_user_data(encode_units(segment, encoding), encoding, header=header)
        pdus.append(Pdu((prefix + tpdu).hex().upper(), len(tpdu)))
    return pdus


def encode_units(text: str, encoding: Encoding) -> bytes:
    """The units of a text, as in UserData; raises TextUnencodable."""
    if encoding is Encoding.GSM7:
        return gsm7.encode(text)
    try:
        return text.encode("utf-16-be")
    except UnicodeEncodeError as error:
        raise TextUnencodable(f"half of a surrogate pair at position {error.start}") from None


def decode_submit(pdu_hex: str) -> Submit | Undecodable:
    """Take apart what a modem is given; never raises, whatever the string."""
    try:
        return _decode_submit(pdu_hex)
    except Malformed as error:
        return Undecodable(pdu_hex, str(error))


def _decode_submit(pdu_hex: str) -> Submit:
    octets = Octets(octets_of(pdu_hex))
    smsc = read_smsc(octets)
    first_octet = octets.octet("first octet")
    if first_octet & _TYPE_MASK != _SUBMIT_TYPE:
        raise Malformed("not an SMS-SUBMIT")
    message_reference = octets.octet("message reference")
    destination = read_address(octets, "destination")
    octets.octet("protocol identifier")
    coding = data_coding(octets.octet("data coding scheme"))
    validity = None
    if first_octet & _VALIDITY_MASK == _VALIDITY_RELATIVE:
        validity = decode_validity(octets.octet("validity period"))
    elif first_octet & _VALIDITY_MASK:
        octets.take(TIMESTAMP_OCTETS, "validity period")
    data = read_user_data(octets, coding.encoding, has_header=bool(first_octet & _HAS_HEADER))
    header = data.header
    return Submit(
        smsc=smsc,
        destination=destination,
        message_reference=message_reference,
        wants_report=bool(first_octet & _WANTS_REPORT),
        validity=validity,
        text=decode_units(
            data.units,
            coding.encoding,
            locking_shift=header.locking_shift,
            single_shift=header.single_shift,
        ),
        encoding=coding.encoding,
        is_flash=coding.message_class == _FLASH_CLASS,
        concatenation=header.concatenation,
        user_data=data.units,
        locking_shift=header.locking_shift,
        single_shift=header.single_shift,
        raw=pdu_hex,
    )
