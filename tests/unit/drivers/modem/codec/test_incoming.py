"""What came in: codings, headers, kinds, originators and what is joined, as networks write them."""

import pytest

from drivers.modem import codec
from drivers.modem.codec import (
    Concatenation,
    Deliver,
    DeliverKind,
    Encoding,
    Undecodable,
    coding,
)
from tests.unit.drivers.modem.codec.delivered import MOMENT, STAMP, behind, delivered, with_header


# TS 23.038 §4, each group by its bounds.
@pytest.mark.parametrize(
    ("value", "encoding", "message_class"),
    [
        (0x00, Encoding.GSM7, None),
        (0x01, Encoding.GSM7, None),
        (0x04, Encoding.OCTETS, None),
        (0x08, Encoding.UCS2, None),
        (0x0C, Encoding.GSM7, None),
        (0x10, Encoding.GSM7, 0),
        (0x12, Encoding.GSM7, 2),
        (0x17, Encoding.OCTETS, 3),
        (0x18, Encoding.UCS2, 0),
        (0x1F, Encoding.GSM7, 3),
        (0x20, Encoding.OCTETS, None),
        (0x28, Encoding.OCTETS, None),
        (0x31, Encoding.OCTETS, 1),
        (0x40, Encoding.GSM7, None),
        (0x48, Encoding.UCS2, None),
        (0x59, Encoding.UCS2, 1),
        (0x60, Encoding.OCTETS, None),
        (0x7F, Encoding.OCTETS, 3),
        (0x80, Encoding.GSM7, None),
        (0x88, Encoding.GSM7, None),
        (0xBF, Encoding.GSM7, None),
        (0xC0, Encoding.GSM7, None),
        (0xC8, Encoding.GSM7, None),
        (0xD8, Encoding.GSM7, None),
        (0xE0, Encoding.UCS2, None),
        (0xEB, Encoding.UCS2, None),
        (0xF0, Encoding.GSM7, 0),
        (0xF3, Encoding.GSM7, 3),
        (0xF4, Encoding.OCTETS, 0),
        (0xF6, Encoding.OCTETS, 2),
        (0xF8, Encoding.GSM7, 0),
    ],
)
def test_every_group_of_the_data_coding_scheme(
    value: int, encoding: Encoding, message_class: int | None
) -> None:
    data, length, text, units = {
        Encoding.GSM7: ("61", 1, "a", b"a"),
        Encoding.UCS2: ("0061", 2, "a", b"\0a"),
        Encoding.OCTETS: ("61", 1, "", b"a"),
    }[encoding]
    message = delivered(data, length=length, data_coding=value)
    assert (message.encoding, message.message_class) == (encoding, message_class)
    assert (message.text, message.user_data) == (text, units)
    waits = 0xC0 <= value < 0xF0
    is_binary = encoding is Encoding.OCTETS
    assert message.kind is (
        DeliverKind.WAITING_INDICATION if waits else DeliverKind.BINARY if is_binary else DeliverKind.TEXT
    )


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (delivered("61"), DeliverKind.TEXT),
        (delivered("", protocol=0x40), DeliverKind.SILENT),
        (delivered("61", protocol=0x40, data_coding=0x04), DeliverKind.SILENT),
        (delivered("61", protocol=0x41), DeliverKind.TEXT),
        (delivered("61", protocol=0x7F, data_coding=0xF6), DeliverKind.SIM_DATA),
        (delivered("61", protocol=0x7F, data_coding=0x16), DeliverKind.SIM_DATA),
        (delivered("61", protocol=0x7C, data_coding=0xF6), DeliverKind.SIM_DATA),
        (delivered("61", protocol=0x7F), DeliverKind.TEXT),
        (delivered("61", data_coding=0xF2), DeliverKind.TEXT),
        (with_header("7000", "0102"), DeliverKind.SIM_DATA),
        (with_header("05040b8423f0", "0106"), DeliverKind.MMS_NOTIFICATION),
        (with_header("05040b8523f0", "0106"), DeliverKind.MMS_NOTIFICATION),
        (with_header("0003010201" + "05040b840000", "0106"), DeliverKind.MMS_NOTIFICATION),
        (with_header("0504158100fe", "0106"), DeliverKind.BINARY),
        (with_header("0402f0f1", "0106"), DeliverKind.BINARY),
        (with_header("01020001", data_coding=0x08), DeliverKind.WAITING_INDICATION),
        (with_header("0003010201", "0102"), DeliverKind.BINARY),
    ],
)
def test_kinds(message: Deliver, kind: DeliverKind) -> None:
    assert message.kind is kind


@pytest.mark.parametrize(
    ("elements", "concatenation"),
    [
        ("0003070201", Concatenation(7, 8, total=2, number=1)),
        ("080401070201", Concatenation(0x0107, 16, total=2, number=1)),
        ("0003070101", Concatenation(7, 8, total=1, number=1)),
        ("000307ffff", Concatenation(7, 8, total=255, number=255)),
        ("7f0342424200030702013300", Concatenation(7, 8, total=2, number=1)),
        ("00030702020003080201", Concatenation(8, 8, total=2, number=1)),
        ("0003070200", None),
        ("0003070203", None),
        ("0003070000", None),
        ("00020702", None),
        ("000407020101", None),
        ("08030107020000", None),
        ("", None),
        # The last element is cut off, so that none counts.
        ("000307020105", None),
        ("000307020105040b84", None),
        ("00030702", None),
    ],
)
def test_the_header_says_which_segment_it_is(elements: str, concatenation: Concatenation | None) -> None:
    message = with_header(elements, "00620063", data_coding=coding.UCS2)
    assert message.concatenation == concatenation
    assert message.text == "bc"


@pytest.mark.parametrize("header_octets", range(1, 40))
def test_septets_begin_behind_the_fill_bits_of_every_header(header_octets: int) -> None:
    message = behind(bytes([header_octets - 1]) + b"\x70" * (header_octets - 1), b"Hello \x1be")
    assert message.text == "Hello €"
    assert message.user_data == b"Hello \x1be"


@pytest.mark.parametrize(
    ("elements", "septets", "text"),
    [
        ("240101", b"\x1bg", "ğ"),
        ("250101", b"\x07", "ı"),
        ("240103250103", b"\x1b\x12\x17", "Φ\\"),
        ("240106", b"\x1b\x1c", "\N{DEVANAGARI DIGIT ZERO}"),
        ("25010d", b"\x00", "\N{ARABIC LETTER ALEF}"),
        ("240163", b"\x1be", "€"),
        ("250100", b"\x00", "@"),
        ("2400", b"\x1be", "€"),
        ("25020101", b"\x00", "@"),
    ],
)
def test_national_languages(elements: str, septets: bytes, text: str) -> None:
    message = behind(bytes([len(elements) // 2]) + bytes.fromhex(elements), septets)
    assert message.text == text
    assert codec.join_text([message]) == text


@pytest.mark.parametrize(
    ("originator", "read"),
    [
        ("04812143", "1234"),
        ("05919471f1", "+49171"),
        ("05a19471f1", "49171"),
        ("0681ba12dc", "*#21ab"),
        ("06912143ff", "+1234"),
        ("0481edff", "bc"),
        ("0091", ""),
        ("0081", ""),
        ("00d0", ""),
        ("0dd053f89b9e36e701", "Spotify"),
        # Seven letters, but counted in whole octets.
        ("0ed053f89b9e36e701", "Spotify"),
        ("06d0c14d19", "A€"),
        ("14d04566d15a740e9141e914", "ELEVENCHARS"),
        ("02d000", "@"),
    ],
)
def test_originators(originator: str, read: str) -> None:
    assert delivered("61", originator=originator).originator == read


@pytest.mark.parametrize(
    ("halves", "text"),
    [
        ((delivered("d83d", data_coding=8), delivered("de00", data_coding=8)), "\N{GRINNING FACE}"),
        ((delivered("d8", data_coding=8), delivered("3dde000061", data_coding=8)), "\N{GRINNING FACE}a"),
        ((behind(b"\0", b"a\x1b"), behind(b"\0", b"eb")), "a€b"),
    ],
)
def test_characters_cut_by_the_sender_are_joined(halves: tuple[Deliver, Deliver], text: str) -> None:
    assert codec.join_text(halves) == text
    assert all(half.text not in text for half in halves[:1])


def test_segments_of_different_alphabets_are_joined() -> None:
    turkish = behind(bytes.fromhex("03250101"), b"\x07")
    parts = [
        delivered("044f", data_coding=8),
        behind(b"\0", b"\x07"),
        turkish,
        delivered("044f", data_coding=8),
    ]
    assert codec.join_text(parts) == "яìıя"
    assert codec.join_text([]) == ""


def test_what_is_not_utf_16_is_replaced() -> None:
    assert delivered("d83d0061", data_coding=8).text == "\N{REPLACEMENT CHARACTER}a"
    assert delivered("006100", data_coding=8).text == "a\N{REPLACEMENT CHARACTER}"


def test_octets_behind_the_user_data_are_no_part_of_it() -> None:
    whole = codec.encode_deliver("a", originator="12", sent_at=MOMENT).hex
    message = codec.decode_incoming(whole + "ff" * 100)
    assert isinstance(message, Deliver)
    assert message.text == "a"


def test_lower_case_and_blanks_around_are_read() -> None:
    pdu = codec.encode_deliver("a", originator="12", sent_at=MOMENT).hex
    message = codec.decode_incoming(f" {pdu.lower()}\r\n")
    assert isinstance(message, Deliver)
    assert message.raw == f" {pdu.lower()}\r\n"


def test_a_reserved_message_type_is_read_as_a_message() -> None:
    assert delivered("61", first_octet=0x07).text == "a"


MESSAGES = {
    "a text": codec.encode_deliver("Hello", originator="+49171", sent_at=MOMENT, smsc="+49170").hex,
    "a segment": codec.deliver_pdus("я" * 99, originator="Bank", sent_at=MOMENT, reference=1)[0].hex,
    "a report": codec.encode_status_report(
        message_reference=1, recipient="+49171", sent_at=MOMENT, done_at=MOMENT, status=0
    ).hex,
}


@pytest.mark.parametrize("pdu", MESSAGES.values(), ids=MESSAGES)
def test_a_pdu_that_is_cut_anywhere_is_a_value(pdu: str) -> None:
    assert not isinstance(codec.decode_incoming(pdu), Undecodable)
    for length in range(len(pdu)):
        answer = codec.decode_incoming(pdu[:length])
        assert isinstance(answer, Undecodable)
        assert answer.raw == pdu[:length]
        assert answer.problem


@pytest.mark.parametrize(
    ("pdu", "problem"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("000", "not an even number of hexadecimal digits"),
        ("00 04", "not an even number of hexadecimal digits"),
        ("00040281", "ends within the originator"),
        ("000402812100", "ends within the data coding scheme"),
        ("ff91", "ends within the SMSC's address"),
        ("00010002812100000161", "an SMS-SUBMIT, which is nothing that came in"),
        (f"00440281210004{STAMP}0105", "ends within the user data header"),
    ],
)
def test_the_problem_is_named(pdu: str, problem: str) -> None:
    assert codec.decode_incoming(pdu) == Undecodable(pdu, problem)
