"""What a modem hands in: SMS-DELIVER and SMS-STATUS-REPORT (3GPP TS 23.040 §9.2.2.1 and §9.2.2.3).

Owns how they are read and what they are for. What is handed in comes from strangers: nothing in it may raise.
"""

from collections.abc import Sequence

from drivers.modem.codec.addresses import read_address, read_smsc
from drivers.modem.codec.coding import DataCoding, data_coding
from drivers.modem.codec.octets import Malformed, Octets, octets_of
from drivers.modem.codec.times import TIMESTAMP_OCTETS, decode_timestamp
from drivers.modem.codec.user_data import Header, decode_units, read_user_data
from drivers.modem.codec.values import (
    Deliver,
    DeliverKind,
    DeliveryStatus,
    Encoding,
    StatusReport,
    Submit,
    Undecodable,
)

_TYPE_MASK, _SUBMIT_TYPE, _STATUS_REPORT_TYPE = 0x03, 0x01, 0x02
_HAS_HEADER = 0x40

_SILENT_PROTOCOL = 0x40
_SIM_PROTOCOLS = (0x7C, 0x7F)
"""ANSI-136 R-DATA and (U)SIM data download (§9.2.3.9)."""
_SIM_CLASS = 2
_WAP_PUSH_PORTS = (2948, 2949)


def decode_incoming(pdu_hex: str) -> Deliver | StatusReport | Undecodable:
    """Take apart what a modem handed in; never raises, whatever the string."""
    try:
        return _decode(pdu_hex)
    except Malformed as error:
        return Undecodable(pdu_hex, str(error))


def join_text(parts: Sequence[Deliver | Submit]) -> str:
    """The text of segments, given in their order.

    What their user data is made of is joined before it is decoded: other senders do cut characters in two.
    """
    runs: list[tuple[tuple[Encoding, int, int], bytes]] = []
    for part in parts:
        coding = (part.encoding, part.locking_shift, part.single_shift)
        if runs and runs[-1][0] == coding:
            runs[-1] = coding, runs[-1][1] + part.user_data
        else:
            runs.append((coding, part.user_data))
    return "".join(
        decode_units(units, encoding, locking_shift=locking_shift, single_shift=single_shift)
        for (encoding, locking_shift, single_shift), units in runs
    )


def delivery_status(status: int) -> DeliveryStatus:
    """What TP-ST means; reserved values from 0x80 on count as refused by the network (§9.2.3.15)."""
    if status == 0x00:
        return DeliveryStatus.DELIVERED
    if status < 0x20:
        return DeliveryStatus.UNCONFIRMED
    if status < 0x40:
        return DeliveryStatus.PENDING
    return DeliveryStatus.FAILED


def _decode(pdu_hex: str) -> Deliver | StatusReport:
    octets = Octets(octets_of(pdu_hex))
    smsc = read_smsc(octets)
    first_octet = octets.octet("first octet")
    message_type = first_octet & _TYPE_MASK
    if message_type == _STATUS_REPORT_TYPE:
        return _status_report(octets, smsc, pdu_hex)
    if message_type == _SUBMIT_TYPE:
        raise Malformed("an SMS-SUBMIT, which is nothing that came in")
    # The fourth type is reserved and to be read as an SMS-DELIVER (§9.2.3.1).
    return _deliver(octets, smsc, pdu_hex, has_header=bool(first_octet & _HAS_HEADER))


def _status_report(octets: Octets, smsc: str, raw: str) -> StatusReport:
    message_reference = octets.octet("message reference")
    recipient = read_address(octets, "recipient")
    sent_at = decode_timestamp(octets.take(TIMESTAMP_OCTETS, "time stamp"))
    done_at = decode_timestamp(octets.take(TIMESTAMP_OCTETS, "discharge time"))
    status = octets.octet("status")
    return StatusReport(
        smsc, message_reference, recipient, sent_at, done_at, status, delivery_status(status), raw
    )


def _deliver(octets: Octets, smsc: str, raw: str, *, has_header: bool) -> Deliver:
    originator = read_address(octets, "originator")
    protocol = octets.octet("protocol identifier")
    coding = data_coding(octets.octet("data coding scheme"))
    sent_at = decode_timestamp(octets.take(TIMESTAMP_OCTETS, "time stamp"))
    data = read_user_data(octets, coding.encoding, has_header=has_header)
    header = data.header
    return Deliver(
        smsc=smsc,
        originator=originator,
        sent_at=sent_at,
        kind=_kind(protocol, coding, header),
        text=decode_units(
            data.units,
            coding.encoding,
            locking_shift=header.locking_shift,
            single_shift=header.single_shift,
        ),
        encoding=coding.encoding,
        message_class=coding.message_class,
        concatenation=header.concatenation,
        user_data=data.units,
        locking_shift=header.locking_shift,
        single_shift=header.single_shift,
        raw=raw,
    )


def _kind(protocol: int, coding: DataCoding, header: Header) -> DeliverKind:
    if protocol == _SILENT_PROTOCOL:
        return DeliverKind.SILENT
    if header.is_for_sim or (protocol in _SIM_PROTOCOLS and coding.message_class == _SIM_CLASS):
        return DeliverKind.SIM_DATA
    if header.destination_port in _WAP_PUSH_PORTS:
        return DeliverKind.MMS_NOTIFICATION
    if coding.is_waiting_indication or header.is_waiting_indication:
        return DeliverKind.WAITING_INDICATION
    return DeliverKind.BINARY if coding.encoding is Encoding.OCTETS else DeliverKind.TEXT
