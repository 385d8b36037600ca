"""PDUs that networks, phones and standards wrote, read and written as they are."""

from datetime import UTC, datetime, timedelta

import pytest

from drivers.modem import codec
from drivers.modem.codec import (
    Deliver,
    DeliverKind,
    DeliveryStatus,
    Encoding,
    Pdu,
    StatusReport,
    Undecodable,
)

HOW_ARE_YOU = "07911326040000F0040B911346610089F60000208062917314080CC8F71D14969741F977FD07"


def test_a_text_from_a_network_is_read() -> None:
    assert codec.decode_incoming(HOW_ARE_YOU) == Deliver(
        smsc="+31624000000",
        originator="+31641600986",
        sent_at=datetime(2002, 8, 26, 19, 37, 41, tzinfo=UTC),
        kind=DeliverKind.TEXT,
        text="How are you?",
        encoding=Encoding.GSM7,
        message_class=None,
        concatenation=None,
        user_data=b"How are you?",
        locking_shift=0,
        single_shift=0,
        raw=HOW_ARE_YOU,
    )


def test_a_text_to_a_network_is_written() -> None:
    assert codec.submit_pdus(
        "hellohello", destination="+46708251358", reference=7, wants_report=False, validity=timedelta(days=4)
    ) == [Pdu(hex="0011000B916407281553F80000AA0AE8329BFD4697D9EC37", tpdu_octets=23)]


def test_a_status_report_is_read() -> None:
    raw = "07911326040000F0062A0B911346610089F6208062917314082080629173240800"
    assert codec.decode_incoming(raw) == StatusReport(
        smsc="+31624000000",
        message_reference=42,
        recipient="+31641600986",
        sent_at=datetime(2002, 8, 26, 19, 37, 41, tzinfo=UTC),
        done_at=datetime(2002, 8, 26, 19, 37, 42, tzinfo=UTC),
        status=0,
        delivery=DeliveryStatus.DELIVERED,
        raw=raw,
    )


@pytest.mark.parametrize(
    "raw", ["", " ", "0", "00", "0x00", "00 04", "+CMT: 1", "０４", "--", "\x00", "é" * 40]
)
def test_what_is_no_pdu_is_a_value(raw: str) -> None:
    decoded = codec.decode_incoming(raw)
    assert isinstance(decoded, Undecodable)
    assert decoded.raw == raw
    assert decoded.problem
