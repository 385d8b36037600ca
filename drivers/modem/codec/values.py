"""What PDUs say, as values: the words between the codec and whoever sends, receives or plays the network.

Owns the shapes; does nothing. Sources: 3GPP TS 23.040 §9.2 (PDUs), TS 23.038 §4 (data coding).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum


class Encoding(Enum):
    """How user data is coded."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"
    """UTF-16, big-endian."""
    OCTETS = "octets"
    """Not text, or text that was compressed."""


class DeliverKind(Enum):
    """What an incoming message is for."""

    TEXT = "text"
    BINARY = "binary"
    """Data for an application; there is no text."""
    SILENT = "silent"
    """Type 0: to be acknowledged and dropped; nobody is to see it."""
    SIM_DATA = "sim_data"
    """For the SIM card, which has it already or never will."""
    MMS_NOTIFICATION = "mms_notification"
    """A WAP push, which is how networks announce a multimedia message."""
    WAITING_INDICATION = "waiting_indication"
    """Messages wait elsewhere, such as in a voice mailbox; the text may say so, or be empty."""


class DeliveryStatus(Enum):
    """What became of a message, from TP-ST (TS 23.040 §9.2.3.15)."""

    DELIVERED = "delivered"
    UNCONFIRMED = "unconfirmed"
    """The network has done with it and cannot tell whether it was received: handed on, replaced, or its own codes."""
    PENDING = "pending"
    """The network goes on trying."""
    FAILED = "failed"


@dataclass(slots=True, frozen=True)
class Concatenation:
    """Which segment of which text."""

    reference: int
    reference_bits: int
    """8 or 16."""
    total: int
    """1 to 255."""
    number: int
    """1 to `total`."""


@dataclass(slots=True, frozen=True)
class Pdu:
    """A PDU as a modem takes it or hands it in."""

    hex: str
    """Upper-case hexadecimal with the SMSC's address in front, `00` if there is none."""
    tpdu_octets: int
    """Length without the SMSC's address, which is what `AT+CMGS=` and `+CMT:` give."""


@dataclass(slots=True, frozen=True)
class Deliver:
    """An incoming message, or one segment of it (SMS-DELIVER, §9.2.2.1)."""

    smsc: str
    originator: str
    """`+49…` if the network says that it is international, digits as they are, or an alphanumeric name."""
    sent_at: datetime | None
    """When the network took it, in UTC; None if it says nothing that can be a time."""
    kind: DeliverKind
    text: str
    """The text of this segment alone; `join_text` is for several."""
    encoding: Encoding
    message_class: int | None
    """0 (flash) to 3."""
    concatenation: Concatenation | None
    user_data: bytes
    """Without its header. GSM7: one septet in each byte; else the octets."""
    locking_shift: int
    """The language whose table takes the place of the default alphabet; 0: none."""
    single_shift: int
    """The language whose table takes the place of the extension; 0: none."""
    raw: str
    """The PDU as it was handed in."""


@dataclass(slots=True, frozen=True)
class Submit:
    """An outgoing message, or one segment of it (SMS-SUBMIT, §9.2.2.2)."""

    smsc: str
    destination: str
    message_reference: int
    wants_report: bool
    validity: timedelta | None
    """None: not given, or not as a time from now on."""
    text: str
    encoding: Encoding
    is_flash: bool
    concatenation: Concatenation | None
    user_data: bytes
    """As in Deliver."""
    locking_shift: int
    single_shift: int
    raw: str


@dataclass(slots=True, frozen=True)
class StatusReport:
    """What became of a message that was sent (SMS-STATUS-REPORT, §9.2.2.3)."""

    smsc: str
    message_reference: int
    recipient: str
    sent_at: datetime | None
    """When the network took the message, in UTC; None as in Deliver."""
    done_at: datetime | None
    """When `status` came true, in UTC; None as in Deliver."""
    status: int
    """TP-ST, 0 to 255."""
    delivery: DeliveryStatus
    raw: str


@dataclass(slots=True, frozen=True)
class Undecodable:
    """What is not the PDU that it should be."""

    raw: str
    problem: str
    """What is wrong, in words that quote nothing of it."""


class AddressInvalid(ValueError):
    """Not a number that a SIM can send to: at most 20 of the digits 0 to 9, *, #, a, b and c, maybe after a plus."""


class TextTooLong(ValueError):
    """More segments than there can be."""


class TextUnencodable(ValueError):
    """Half of a surrogate pair without the other: not Unicode text."""
