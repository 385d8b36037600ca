"""What can come in to an emulated modem: the kinds of messages, and their PDUs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from drivers.modem.codec import (
    AddressInvalid,
    TextUnencodable,
    deliver_pdus,
    encode_deliver,
    encode_octets_deliver,
)

SENDER = "+15551112222"
TYPE_0 = 0x40
"""TP-PID of a silent message (3GPP TS 23.040, 9.2.3.9)."""
SIM_DATA_DOWNLOAD = 0x7F
WAP_PUSH_HEADER = bytes.fromhex("0605040B8423F0")
"""Ports 2948 and 9200: how multimedia messages are announced."""
MMS_NOTIFICATION = (
    bytes.fromhex("0006") + b"application/vnd.wap.mms-message\x00" + b"\x8c\x82\x98emulated\x00"
)
MALFORMED_OCTETS = 12
"""Of the message's own octets, how many are left of one that is cut off."""


class InboundInvalid(ValueError):
    """There is no such message; the text is for people."""


class Kind(StrEnum):
    """Kinds of messages."""

    TEXT = "text"
    FLASH = "flash"
    """Class 0: for the screen at once, kept nowhere."""
    SILENT = "silent"
    """Type 0: to be acknowledged and not shown."""
    BINARY = "binary"
    MMS = "mms"
    """The announcement of a multimedia message."""
    SIM = "sim"
    """Data for the SIM, class 2."""
    MALFORMED = "malformed"
    """A PDU that is cut off."""


@dataclass(slots=True, frozen=True)
class Inbound:
    """A message on its way to a SIM."""

    text: str = ""
    sender: str = SENDER
    """E.164, a short code or a name of at most 11 characters."""
    kind: Kind = Kind.TEXT
    order: Sequence[int] = ()
    """In which order its parts come, by number from 1; parts that are not named do not come, and one may come twice.
    Empty: all of them, as they are."""
    reference: int | None = None
    """Of the concatenation; None: the next of the network."""
    reference_bits: int = 8
    sent_at: datetime | None = None
    """None: now."""


def pdus_of(inbound: Inbound, *, reference: int, now: datetime, smsc: str) -> list[str]:
    """The PDUs, in the order in which they come. Raises InboundInvalid."""
    sent_at = inbound.sent_at or now
    try:
        pdus = _pdus(inbound, reference=reference, sent_at=sent_at, smsc=smsc)
    except AddressInvalid:
        raise InboundInvalid("from must be E.164, a short code or a name of at most 11 characters.") from None
    except (TextUnencodable, UnicodeEncodeError):
        raise InboundInvalid("The text must be valid Unicode.") from None
    except ValueError:
        # TextTooLong, or a length that does not even fit into its octet.
        raise InboundInvalid("The text is too long for what it is to be sent as.") from None
    if any(not 1 <= number <= len(pdus) for number in inbound.order):
        raise InboundInvalid(f"The message has {len(pdus)} parts; parts must name them from 1.")
    return [pdus[number - 1] for number in inbound.order or range(1, len(pdus) + 1)]


def _pdus(inbound: Inbound, *, reference: int, sent_at: datetime, smsc: str) -> list[str]:
    text, sender = inbound.text, inbound.sender
    match inbound.kind:
        case Kind.TEXT | Kind.FLASH:
            parts = deliver_pdus(
                text,
                originator=sender,
                sent_at=sent_at,
                reference=reference,
                reference_bits=inbound.reference_bits,
                smsc=smsc,
                message_class=0 if inbound.kind is Kind.FLASH else None,
            )
            return [part.hex for part in parts]
        case Kind.SILENT:
            pdu = encode_deliver(text, originator=sender, sent_at=sent_at, smsc=smsc, protocol=TYPE_0)
        case Kind.BINARY:
            pdu = encode_octets_deliver(text.encode(), originator=sender, sent_at=sent_at, smsc=smsc)
        case Kind.MMS:
            pdu = encode_octets_deliver(
                MMS_NOTIFICATION, originator=sender, sent_at=sent_at, header=WAP_PUSH_HEADER, smsc=smsc
            )
        case Kind.SIM:
            pdu = encode_octets_deliver(
                text.encode(),
                originator=sender,
                sent_at=sent_at,
                protocol=SIM_DATA_DOWNLOAD,
                message_class=2,
                smsc=smsc,
            )
        case Kind.MALFORMED:
            whole = encode_deliver(text, originator=sender, sent_at=sent_at, smsc=smsc)
            prefix = len(whole.hex) - 2 * whole.tpdu_octets
            return [whole.hex[: prefix + 2 * min(MALFORMED_OCTETS, whole.tpdu_octets - 1)]]
    return [pdu.hex]
