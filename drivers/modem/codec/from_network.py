"""The PDUs of a network, written: SMS-DELIVER and SMS-STATUS-REPORT (3GPP TS 23.040 §9.2.2.1 and §9.2.2.3).

Owns their form for whoever plays a network: the emulator and tests. `incoming` reads them.
"""

from datetime import datetime

from drivers.modem.codec.addresses import encode_number, encode_originator, encode_smsc
from drivers.modem.codec.coding import data_coding_value
from drivers.modem.codec.segments import encoding_of, split_text
from drivers.modem.codec.submit import SEGMENTS_MAX, encode_units
from drivers.modem.codec.times import encode_timestamp
from drivers.modem.codec.user_data import concatenation_header, encode_user_data
from drivers.modem.codec.values import Concatenation, Encoding, Pdu, TextTooLong

_NO_MORE_MESSAGES = 0x04
_DELIVER_TYPE, _STATUS_REPORT_TYPE = 0x00, 0x02
_HAS_HEADER = 0x40


def encode_deliver(
    text: str,
    *,
    originator: str,
    sent_at: datetime,
    concatenation: Concatenation | None = None,
    smsc: str = "",
    protocol: int = 0,
    message_class: int | None = None,
) -> Pdu:
    """A text, or one segment of it, from a number or a name of at most 11 characters.

    `sent_at` is aware, and its zone is written; `protocol` is TP-PID.
    Raises AddressInvalid, TextTooLong if it does not fit, or TextUnencodable.
    """
    encoding = encoding_of(text)
    header = b"" if concatenation is None else concatenation_header(concatenation)
    data = encode_user_data(encode_units(text, encoding), encoding, header=header)
    return _deliver(
        data,
        originator=originator,
        sent_at=sent_at,
        smsc=smsc,
        protocol=protocol,
        data_coding=data_coding_value(encoding, message_class),
        has_header=bool(header),
    )


def deliver_pdus(
    text: str,
    *,
    originator: str,
    sent_at: datetime,
    reference: int,
    reference_bits: int = 8,
    smsc: str = "",
    message_class: int | None = None,
) -> list[Pdu]:
    """A text from a number or a name, one PDU for each segment of `split_text`; parameters as in `submit_pdus`.

    Raises AddressInvalid, TextTooLong or TextUnencodable.
    """
    segments = split_text(text, reference_bits=reference_bits)
    if len(segments) > SEGMENTS_MAX:
        raise TextTooLong(f"{len(segments)} segments, at most {SEGMENTS_MAX}")
    return [
        encode_deliver(
            segment,
            originator=originator,
            sent_at=sent_at,
            concatenation=Concatenation(
                reference % (1 << reference_bits), reference_bits, len(segments), number
            )
            if len(segments) > 1
            else None,
            smsc=smsc,
            message_class=message_class,
        )
        for number, segment in enumerate(segments, start=1)
    ]


def encode_octets_deliver(
    octets: bytes,
    *,
    originator: str,
    sent_at: datetime,
    header: bytes = b"",
    protocol: int = 0,
    message_class: int | None = None,
    smsc: str = "",
) -> Pdu:
    """Data for an application: what multimedia notifications and messages to the SIM are sent as.

    `header` is a user data header with its length in front. Raises AddressInvalid or TextTooLong.
    """
    data = encode_user_data(octets, Encoding.OCTETS, header=header)
    return _deliver(
        data,
        originator=originator,
        sent_at=sent_at,
        smsc=smsc,
        protocol=protocol,
        data_coding=data_coding_value(Encoding.OCTETS, message_class),
        has_header=bool(header),
    )


def encode_status_report(
    *,
    message_reference: int,
    recipient: str,
    sent_at: datetime,
    done_at: datetime,
    status: int,
    smsc: str = "",
) -> Pdu:
    """What became of the message that the modem gave `message_reference`; `status` is TP-ST. Raises AddressInvalid."""
    tpdu = (
        bytes([_STATUS_REPORT_TYPE | _NO_MORE_MESSAGES, message_reference])
        + encode_number(recipient)
        + encode_timestamp(sent_at)
        + encode_timestamp(done_at)
        + bytes([status])
    )
    return _pdu(smsc, tpdu)


def _deliver(
    data: bytes,
    *,
    originator: str,
    sent_at: datetime,
    smsc: str,
    protocol: int,
    data_coding: int,
    has_header: bool,
) -> Pdu:
    first_octet = _DELIVER_TYPE | _NO_MORE_MESSAGES | (_HAS_HEADER if has_header else 0)
    tpdu = (
        bytes([first_octet])
        + encode_originator(originator)
        + bytes([protocol, data_coding])
        + encode_timestamp(sent_at)
        + data
    )
    return _pdu(smsc, tpdu)


def _pdu(smsc: str, tpdu: bytes) -> Pdu:
    return Pdu((encode_smsc(smsc) + tpdu).hex().upper(), len(tpdu))
