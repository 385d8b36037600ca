"""What a message from the network becomes for the core: its text, its identity, the marks where something is missing.

Owns the words and the limits (fact.proto); does no I/O.
"""

import hashlib
from collections.abc import Sequence

from drivers.modem.codec import Deliver, DeliverKind, join_text
from infinireach.driver.v1.fact_pb2 import InboundMessage
from infinireach.v1.message_pb2 import CHANNEL_SMS

TEXT_CODE_POINTS_MAX = 20_000
SOURCE_CHARACTERS_MAX = 64
OCTETS_SHOWN_MAX = 4_096
UNREADABLE_CHARACTERS_MAX = 1_000
GAP = "[…]"
"""Stands for segments that have not come."""
SOURCE_UNKNOWN = "unknown"
"""The source of a message that names none."""

_DROPPED = (DeliverKind.SILENT, DeliverKind.SIM_DATA)
_NAMES = {DeliverKind.BINARY: "binary message", DeliverKind.MMS_NOTIFICATION: "MMS notification"}


def is_for_nobody(deliver: Deliver) -> bool:
    """Whether nobody is to see it: silent messages, data for the SIM, a lamp to be lit."""
    is_only_a_lamp = deliver.kind is DeliverKind.WAITING_INDICATION and not deliver.text
    return deliver.kind in _DROPPED or is_only_a_lamp


def fingerprint(deliver: Deliver) -> str:
    """The same for a message or segment that the network delivers once more, different for any other.

    What it says, who sent it and when the network took it. Two equal texts of one sender in the same second are one.
    """
    part = deliver.concatenation
    numbers = (part.reference, part.reference_bits, part.total, part.number) if part else ()
    sent_at = "" if deliver.sent_at is None else deliver.sent_at.isoformat()
    said = repr((
        deliver.originator,
        sent_at,
        numbers,
        deliver.kind.value,
        deliver.encoding.value,
        deliver.user_data,
    ))
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def identity_of(device_key: str, deliver: Deliver) -> str:
    """The network's identity of a message of one segment, and the modem that it came to.

    It does not name the SIM: what lies in the memory of a modem stays there when its SIM is changed. Empty if the
    network does not say when it took the message: then an equal text of tomorrow looks the same, and it is better to
    hand one in twice than to lose one.
    """
    return "" if deliver.sent_at is None else f"{device_key}/{fingerprint(deliver)}"


def identity_of_unreadable(device_key: str, pdu: str) -> str:
    """The identity of a PDU that nobody understands: the same one again is told once."""
    return f"{device_key}/{hashlib.sha256(pdu.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def unreadable_message(pdu: str, *, device_key: str, number: str) -> InboundMessage:
    """A PDU that nobody understands, as a message that shows it."""
    shown = pdu[:UNREADABLE_CHARACTERS_MAX].encode("unicode_escape").decode()
    mark = "…" if len(pdu) > UNREADABLE_CHARACTERS_MAX else ""
    return InboundMessage(
        device_key=device_key,
        channel=CHANNEL_SMS,
        source=SOURCE_UNKNOWN,
        destination=number,
        text=f"[message that cannot be read: {shown}{mark}]",
        segments=1,
    )


def inbound_messages(
    parts: Sequence[Deliver | None], *, device_key: str, number: str
) -> list[InboundMessage]:
    """The message of these segments, in their order, None where one is missing. More than one if it is too long.

    At least one segment is there.
    """
    there = [part for part in parts if part is not None]
    first = there[0]
    text = text_of(parts)
    source = first.originator.strip().replace("\x00", "")[:SOURCE_CHARACTERS_MAX]
    messages: list[InboundMessage] = []
    for start in range(0, max(len(text), 1), TEXT_CODE_POINTS_MAX):
        message = InboundMessage(
            device_key=device_key,
            channel=CHANNEL_SMS,
            source=source or SOURCE_UNKNOWN,
            destination=number,
            text=text[start : start + TEXT_CODE_POINTS_MAX],
            segments=len(there),
        )
        if first.sent_at is not None:
            message.network_time.FromDatetime(first.sent_at)
        messages.append(message)
    return messages


def text_of(parts: Sequence[Deliver | None]) -> str:
    """The text of the segments; a run of missing ones is one gap."""
    runs: list[list[Deliver] | None] = []
    for part in parts:
        if part is None:
            if not runs or runs[-1] is not None:
                runs.append(None)
        elif runs and (last := runs[-1]) is not None:
            last.append(part)
        else:
            runs.append([part])
    return "".join(GAP if run is None else _text_of_run(run) for run in runs)


def _text_of_run(run: Sequence[Deliver]) -> str:
    name = _NAMES.get(run[0].kind)
    if name is None:
        return join_text(run)
    octets = b"".join(part.user_data for part in run)
    shown = octets[:OCTETS_SHOWN_MAX].hex().upper()
    return f"[{name}, {len(octets)} octets: {shown}{'…' if len(octets) > OCTETS_SHOWN_MAX else ''}]"
