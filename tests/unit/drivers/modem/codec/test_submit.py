"""SMS-SUBMIT: what is written is read again, and what cannot be written is said clearly."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modem import codec
from drivers.modem.codec import (
    AddressInvalid,
    Concatenation,
    Encoding,
    Submit,
    TextTooLong,
    TextUnencodable,
    Undecodable,
    times,
)

DESTINATION = "+4915112345678"
numbers = st.from_regex(r"\A\+?[0-9*#abc]{1,20}\Z")


def decoded(pdu: codec.Pdu) -> Submit:
    assert len(pdu.hex) == 2 * (pdu.tpdu_octets + 1 + int(pdu.hex[:2], 16))
    submit = codec.decode_submit(pdu.hex)
    assert isinstance(submit, Submit)
    assert submit.raw == pdu.hex
    return submit


def written(
    text: str,
    *,
    destination: str = DESTINATION,
    reference: int = 0,
    reference_bits: int = 8,
    validity: timedelta | None = None,
    is_flash: bool = False,
) -> list[Submit]:
    pdus = codec.submit_pdus(
        text,
        destination=destination,
        reference=reference,
        reference_bits=reference_bits,
        wants_report=False,
        validity=validity,
        is_flash=is_flash,
    )
    return [decoded(pdu) for pdu in pdus]


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=500),
    numbers,
    numbers | st.just(""),
    st.sampled_from([8, 16]),
    st.integers(0, 2**16 - 1),
    st.booleans(),
    st.booleans(),
)
def test_a_text_comes_back(
    text: str,
    destination: str,
    smsc: str,
    reference_bits: int,
    reference: int,
    wants_report: bool,
    is_flash: bool,
) -> None:
    pdus = codec.submit_pdus(
        text,
        destination=destination,
        smsc=smsc,
        reference=reference,
        reference_bits=reference_bits,
        wants_report=wants_report,
        is_flash=is_flash,
    )
    submits = [decoded(pdu) for pdu in pdus]
    assert [submit.text for submit in submits] == codec.split_text(text, reference_bits=reference_bits)
    assert codec.join_text(submits) == text
    total = len(submits)
    for number, submit in enumerate(submits, start=1):
        assert submit.destination == destination
        assert submit.wants_report == wants_report
        assert submit.is_flash == is_flash
        assert submit.validity is None
        assert submit.encoding is codec.encoding_of(text)
        assert submit.smsc == smsc
        kept = reference % 2**reference_bits
        assert submit.concatenation == (
            Concatenation(kept, reference_bits, total, number) if total > 1 else None
        )


@pytest.mark.parametrize(
    ("validity", "kept"),
    [
        (timedelta(0), timedelta(minutes=5)),
        (timedelta(minutes=4), timedelta(minutes=5)),
        (timedelta(minutes=9, seconds=59), timedelta(minutes=5)),
        (timedelta(minutes=10), timedelta(minutes=10)),
        (timedelta(hours=12), timedelta(hours=12)),
        (timedelta(hours=12, minutes=29), timedelta(hours=12)),
        (timedelta(hours=12, minutes=30), timedelta(hours=12, minutes=30)),
        (timedelta(hours=24), timedelta(hours=24)),
        (timedelta(hours=47), timedelta(hours=24)),
        (timedelta(hours=48), timedelta(hours=48)),
        (timedelta(days=30, hours=23), timedelta(days=30)),
        (timedelta(days=34), timedelta(days=30)),
        (timedelta(weeks=5), timedelta(weeks=5)),
        (timedelta(weeks=63), timedelta(weeks=63)),
        (timedelta(weeks=5000), timedelta(weeks=63)),
    ],
)
def test_validity_is_rounded_down_to_what_can_be_said(validity: timedelta, kept: timedelta) -> None:
    assert written("a", validity=validity)[0].validity == kept


@given(st.timedeltas(min_value=timedelta(minutes=5), max_value=timedelta(weeks=63)))
def test_the_validity_is_the_longest_that_is_not_longer(validity: timedelta) -> None:
    octet = times.encode_validity(validity)
    assert times.decode_validity(octet) <= validity
    assert octet == 255 or times.decode_validity(octet + 1) > validity


def test_every_relative_validity_comes_back_and_each_is_longer_than_the_one_before() -> None:
    periods = [times.decode_validity(octet) for octet in range(256)]
    assert periods == sorted(set(periods))
    assert [times.encode_validity(period) for period in periods] == list(range(256))


@pytest.mark.parametrize(
    ("text", "is_flash", "coding"),
    [("a", False, "00"), ("a", True, "10"), ("я", False, "08"), ("я", True, "18")],
)
def test_the_data_coding_scheme_says_alphabet_and_flash(text: str, is_flash: bool, coding: str) -> None:
    (pdu,) = codec.submit_pdus(text, destination="12", reference=0, wants_report=False, is_flash=is_flash)
    assert pdu.hex.startswith("0001000281" + "21" + "00" + coding)


INVALID = [
    "",
    "+",
    "1" * 21,
    "+" + "1" * 21,
    "49 151",
    "+49-151",
    "١٢٣",
    "１２",
    "12\r",
    '12"',
    "Bank",
    "1\n",
    "++4",
    "d",
]


@pytest.mark.parametrize("address", INVALID)
def test_what_is_not_a_number_is_refused_and_not_quoted(address: str) -> None:
    with pytest.raises(AddressInvalid) as refused:
        written("a", destination=address)
    assert len(address) < 3 or address not in str(refused.value)


@pytest.mark.parametrize("address", [address for address in INVALID if address])
def test_a_service_centre_must_be_a_number_if_there_is_one(address: str) -> None:
    with pytest.raises(AddressInvalid):
        codec.submit_pdus("a", destination="12", smsc=address, reference=0, wants_report=False)


@pytest.mark.parametrize(("character", "in_a_segment"), [("a", 153), ("я", 67)])
def test_255_segments_are_sent_and_256_are_too_many(character: str, in_a_segment: int) -> None:
    submits = written(character * (255 * in_a_segment))
    assert {submit.concatenation.total for submit in submits if submit.concatenation} == {255}
    with pytest.raises(TextTooLong):
        written(character * (255 * in_a_segment + 1))


@pytest.mark.parametrize("text", ["\ud83d", "\ude00\ud83d", "a" * 200 + "\ud83d"])
def test_half_a_surrogate_pair_is_refused(text: str) -> None:
    assert codec.encoding_of(text) is Encoding.UCS2
    with pytest.raises(TextUnencodable):
        written(text)


def test_the_octets_of_a_segment_never_exceed_140() -> None:
    for text in ("a" * 1600, "€" * 800, "я" * 1600, "\N{GRINNING FACE}" * 1600):
        for reference_bits in (8, 16):
            pdus = codec.submit_pdus(
                text, destination="12", reference=1, wants_report=True, reference_bits=reference_bits
            )
            assert max(pdu.tpdu_octets for pdu in pdus) <= 2 + 3 + 2 + 1 + 140


@pytest.mark.parametrize(
    ("pdu", "validity", "text"),
    [
        ("0011000281210000A701 61".replace(" ", ""), timedelta(days=1), "a"),
        ("000100028121000001 61".replace(" ", ""), None, "a"),
        ("001900028121000062103080510000 01 61".replace(" ", ""), None, "a"),
        ("000900028121000000000000000000 01 61".replace(" ", ""), None, "a"),
    ],
    ids=["relative", "none", "absolute", "enhanced"],
)
def test_every_form_of_validity_is_read_over(pdu: str, validity: timedelta | None, text: str) -> None:
    submit = codec.decode_submit(pdu)
    assert isinstance(submit, Submit)
    assert (submit.validity, submit.text, submit.destination) == (validity, text, "12")


@pytest.mark.parametrize("pdu", ["", "0", "00", "0004", "0001000281", "00010002812100000A61", "0001ZZ"])
def test_what_is_no_submit_is_a_value(pdu: str) -> None:
    answer = codec.decode_submit(pdu)
    assert isinstance(answer, Undecodable)
    assert (answer.raw, bool(answer.problem)) == (pdu, True)
