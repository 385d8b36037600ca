"""The PDUs of SMS (3GPP TS 23.040 and TS 23.038): text to PDUs and back. Pure; knows no I/O and nothing of the driver.

What is named here is what others use.
"""

from drivers.modem.codec.from_network import (
    deliver_pdus,
    encode_deliver,
    encode_octets_deliver,
    encode_status_report,
)
from drivers.modem.codec.incoming import decode_incoming, delivery_status, join_text
from drivers.modem.codec.segments import encoding_of, split_text
from drivers.modem.codec.submit import decode_submit, submit_pdus
from drivers.modem.codec.values import (
    AddressInvalid,
    Concatenation,
    Deliver,
    DeliverKind,
    DeliveryStatus,
    Encoding,
    Pdu,
    StatusReport,
    Submit,
    TextTooLong,
    TextUnencodable,
    Undecodable,
)

__all__ = [
    "AddressInvalid",
    "Concatenation",
    "Deliver",
    "DeliverKind",
    "DeliveryStatus",
    "Encoding",
    "Pdu",
    "StatusReport",
    "Submit",
    "TextTooLong",
    "TextUnencodable",
    "Undecodable",
    "decode_incoming",
    "decode_submit",
    "deliver_pdus",
    "delivery_status",
    "encode_deliver",
    "encode_octets_deliver",
    "encode_status_report",
    "encoding_of",
    "join_text",
    "split_text",
    "submit_pdus",
]
