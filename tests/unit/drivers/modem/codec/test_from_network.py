"""What a network is played with: its messages and reports come back as they were meant."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modem import codec
from drivers.modem.codec import Concatenation, Deliver, DeliverKind, DeliveryStatus, StatusReport

MOMENT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=500),
    st.sampled_from([8, 16]),
    st.integers(0, 2**16 - 1),
    st.sampled_from([None, 0, 1, 2, 3]),
)
def test_a_delivered_text_comes_back(
    text: str, reference_bits: int, reference: int, message_class: int | None
) -> None:
    pdus = codec.deliver_pdus(
        text,
        originator="+49171",
        sent_at=MOMENT,
        reference=reference,
        reference_bits=reference_bits,
        smsc="+49170",
        message_class=message_class,
    )
    messages = [codec.decode_incoming(pdu.hex) for pdu in pdus]
    segments = codec.split_text(text, reference_bits=reference_bits)
    assert [message.text for message in messages if isinstance(message, Deliver)] == segments
    delivers = [message for message in messages if isinstance(message, Deliver)]
    assert codec.join_text(delivers) == text
    for number, message in enumerate(delivers, start=1):
        assert (message.kind, message.message_class) == (DeliverKind.TEXT, message_class)
        assert (message.smsc, message.originator, message.sent_at) == ("+49170", "+49171", MOMENT)
        assert message.concatenation == (
            Concatenation(reference % 2**reference_bits, reference_bits, len(segments), number)
            if len(segments) > 1
            else None
        )


def test_a_text_that_does_not_fit_one_segment_is_refused() -> None:
    codec.encode_deliver("a" * 160, originator="12", sent_at=MOMENT)
    with pytest.raises(codec.TextTooLong):
        codec.encode_deliver("a" * 161, originator="12", sent_at=MOMENT)
    with pytest.raises(codec.TextTooLong):
        codec.encode_deliver(
            "я" * 68, originator="12", sent_at=MOMENT, concatenation=Concatenation(1, 8, 2, 1)
        )
    with pytest.raises(codec.TextTooLong):
        codec.encode_octets_deliver(b"a" * 141, originator="12", sent_at=MOMENT)
    with pytest.raises(codec.TextTooLong):
        codec.encode_deliver("a" * 400, originator="12", sent_at=MOMENT)
    with pytest.raises(codec.TextTooLong):
        codec.deliver_pdus("a" * 153 * 256, originator="12", sent_at=MOMENT, reference=1)


@pytest.mark.parametrize(
    "originator", ["+49171", "12345", "*#ab", "Spotify", "A€", "@", "ELEVENCHARS", "", "äöü ñ"]
)
def test_an_originator_comes_back(originator: str) -> None:
    message = codec.decode_incoming(codec.encode_deliver("a", originator=originator, sent_at=MOMENT).hex)
    assert isinstance(message, Deliver)
    assert message.originator == originator


@pytest.mark.parametrize("originator", ["TWELVE CHARS", "€uro €uro €", "Банк", "😀"])
def test_what_is_neither_number_nor_name_cannot_be_an_originator(originator: str) -> None:
    with pytest.raises(codec.AddressInvalid):
        codec.encode_deliver("a", originator=originator, sent_at=MOMENT)


@pytest.mark.parametrize("status", range(256))
def test_every_status(status: int) -> None:
    pdu = codec.encode_status_report(
        message_reference=255, recipient="*12", sent_at=MOMENT, done_at=MOMENT, status=status
    )
    report = codec.decode_incoming(pdu.hex)
    assert isinstance(report, StatusReport)
    assert (report.status, report.message_reference, report.recipient) == (status, 255, "*12")
    bounds = {
        DeliveryStatus.DELIVERED: range(1),
        DeliveryStatus.UNCONFIRMED: range(1, 0x20),
        DeliveryStatus.PENDING: range(0x20, 0x40),
        DeliveryStatus.FAILED: range(0x40, 0x100),
    }
    assert [delivery for delivery, values in bounds.items() if status in values] == [report.delivery]


def test_a_report_with_garbage_for_times_is_still_a_report() -> None:
    report = codec.decode_incoming("00062a0281" + "21" + "ff" * 14 + "46" + "ff0000")
    assert isinstance(report, StatusReport)
    assert (report.sent_at, report.done_at, report.delivery) == (None, None, DeliveryStatus.FAILED)
