"""libgammu writes the same PDUs, octet by octet, and reads what is written here.

The texts are drawn from all of Unicode but what libgammu cannot take: NUL, which ends its strings, and surrogates.
"""

import random
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from drivers.modem import codec
from drivers.modem.codec import Encoding, gsm7
from tests.unit.drivers.modem.codec import gammu_pdus

EXAMPLES = settings(
    max_examples=2500, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
GSM7 = "".join(gsm7.SEPTETS)
EXTENSION = "".join(gsm7.EXTENSION.values())
CAN_BE_TAKEN = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
COMBINING_MARKS = ("\u0300\u036f", "\u1ab0\u1aff", "\u1dc0\u1dff", "\u20d0\u20ff", "\ufe20\ufe2f")
"""First and last of the blocks that libgammu keeps with the letter before them."""

BOUNDARIES = [
    0,
    1,
    *(n * m + d for n in (67, 66, 70, 152, 153, 160) for m in (1, 2, 3, 7) for d in (-1, 0, 1)),
]


def drawn(alphabet: str, length: int, seed: int) -> str:
    """A long text, which Hypothesis alone would draw slowly."""
    return "".join(random.Random(seed).choices(alphabet, k=length))


def long_texts(alphabets: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    lengths = st.one_of(st.sampled_from(BOUNDARIES), st.integers(0, 700))
    return st.builds(drawn, alphabets, lengths, st.integers(0))


gsm7_texts = long_texts(st.sampled_from([GSM7, "ab€", EXTENSION, "a" * 40 + "€", "abc def\n"]))
emoji_texts = long_texts(
    st.sampled_from(["😀", "я😀", "я" * 30 + "😀", "a👩‍👩‍👧🇩🇪", "".join(map(chr, range(0x1F300, 0x1F650)))])
)
mixed_texts = long_texts(st.text(CAN_BE_TAKEN, min_size=1, max_size=40))
short_texts = st.text(CAN_BE_TAKEN, max_size=200)
references = st.sampled_from([8, 16]).flatmap(
    lambda bits: st.tuples(st.just(bits), st.integers(0, 2**bits - 1))
)


def is_kept_together(before: str, after: str) -> bool:
    """Whether libgammu does not cut between these two: a letter and its mark, the two halves of a flag."""
    return any(first <= after <= last for first, last in COMBINING_MARKS) or (
        "\U0001f1e6" <= before <= "\U0001f1ff" and "\U0001f1e6" <= after <= "\U0001f1ff"
    )


def can_be_compared(segments: list[str]) -> bool:
    """Whether libgammu has room for a text and no reason to cut it elsewhere.

    In UCS2 it must be given `~` twice, and has no room for that beside a header.
    """
    text = "".join(segments)
    return (
        len(segments) <= gammu_pdus.SEGMENTS_MAX
        and not any(is_kept_together(one[-1], other[0]) for one, other in pairwise(segments))
        and ("~" not in text or len(segments) == 1 or codec.encoding_of(text) is Encoding.GSM7)
    )


def assert_the_same_if_comparable(
    text: str, reference: tuple[int, int], *, wants_report: bool = False
) -> None:
    assume(can_be_compared(codec.split_text(text, reference_bits=reference[0])))
    assert_the_same(text, reference, wants_report=wants_report)


def assert_the_same(text: str, reference: tuple[int, int], *, wants_report: bool = False) -> None:
    bits, number = reference
    ours = codec.submit_pdus(
        text,
        destination="+4915112345678",
        reference=number,
        wants_report=wants_report,
        validity=timedelta(weeks=63),
        reference_bits=bits,
        smsc="+491710760000",
    )
    theirs = gammu_pdus.submits(
        text,
        destination="+4915112345678",
        reference=number,
        wants_report=wants_report,
        validity="Max",
        reference_bits=bits,
        smsc="+491710760000",
    )
    assert [pdu.hex for pdu in ours] == theirs


@EXAMPLES
@given(gsm7_texts, references, st.booleans())
def test_texts_in_the_default_alphabet_are_the_same_octets(
    text: str, reference: tuple[int, int], wants_report: bool
) -> None:
    assert_the_same_if_comparable(text, reference, wants_report=wants_report)


@EXAMPLES
@given(emoji_texts, references)
def test_emoji_are_the_same_octets(text: str, reference: tuple[int, int]) -> None:
    assert_the_same_if_comparable(text, reference)


@EXAMPLES
@given(mixed_texts, references)
def test_long_texts_of_all_unicode_are_the_same_octets(text: str, reference: tuple[int, int]) -> None:
    assert_the_same_if_comparable(text, reference)


@EXAMPLES
@given(short_texts, references, st.booleans())
def test_short_texts_of_all_unicode_are_the_same_octets(
    text: str, reference: tuple[int, int], wants_report: bool
) -> None:
    assert_the_same_if_comparable(text, reference, wants_report=wants_report)


@pytest.mark.parametrize("alphabet", ["a", "€", "ä€", "я", "😀", "я😀"])
@pytest.mark.parametrize("reference", [(8, 200), (16, 60_000)])
def test_every_length_up_to_four_segments_is_the_same_octets(
    alphabet: str, reference: tuple[int, int]
) -> None:
    for length in range(640 // len(alphabet.encode("utf-8"))):
        assert_the_same(drawn(alphabet, length, length), reference)


@pytest.mark.parametrize("character", GSM7)
def test_every_character_of_the_default_alphabet_is_the_same_octets(character: str) -> None:
    assert_the_same(character, (8, 0))
    assert_the_same(character * 200, (8, 255))


VALIDITIES = [
    *((f"{minutes}M", timedelta(minutes=minutes)) for minutes in range(5, 721)),
    *((f"{hours}H", timedelta(hours=hours)) for hours in range(12, 25)),
    *((f"{days}D", timedelta(days=days)) for days in range(1, 31)),
    *((f"{weeks}W", timedelta(weeks=weeks)) for weeks in range(1, 5)),
    ("Max", timedelta(weeks=63)),
]


def test_validity_periods_are_the_same_octets() -> None:
    differing = []
    for name, validity in VALIDITIES:
        (ours,) = codec.submit_pdus(
            "hi", destination="12345", reference=0, wants_report=True, validity=validity, smsc="+4917"
        )
        theirs = gammu_pdus.submits(
            "hi",
            destination="12345",
            reference=0,
            reference_bits=8,
            wants_report=True,
            validity=name,
            smsc="+4917",
        )
        if [ours.hex] != theirs:
            differing.append((name, ours.hex, theirs))
    assert differing == []


@pytest.mark.parametrize("text", ["hi", "привет"])
def test_flash_means_the_same(text: str) -> None:
    (ours,) = codec.submit_pdus(
        text,
        destination="12345",
        reference=0,
        wants_report=False,
        validity=timedelta(weeks=63),
        is_flash=True,
        smsc="+4917",
    )
    (theirs,) = gammu_pdus.submits(
        text,
        destination="12345",
        reference=0,
        reference_bits=8,
        wants_report=False,
        validity="Max",
        smsc="+4917",
        message_class=0,
    )
    # libgammu writes class 0 of the default alphabet as 0xF0, which is legal too.
    assert meaning(ours.hex) == meaning(theirs)


def meaning(pdu: str) -> tuple[str, bool, Encoding]:
    submit = codec.decode_submit(pdu)
    assert isinstance(submit, codec.Submit)
    return submit.text, submit.is_flash, submit.encoding


# libgammu takes 00 in front for a plus.
numbers = st.from_regex(r"\A\+?(?!00)[0-9]{1,20}\Z")


@settings(max_examples=300, deadline=None, database=None)
@given(numbers, numbers)
def test_numbers_are_the_same_octets(destination: str, smsc: str) -> None:
    (ours,) = codec.submit_pdus(
        "hi",
        destination=destination,
        reference=0,
        wants_report=False,
        validity=timedelta(weeks=63),
        smsc=smsc,
    )
    assert [ours.hex] == gammu_pdus.submits(
        "hi",
        destination=destination,
        reference=0,
        reference_bits=8,
        wants_report=False,
        validity="Max",
        smsc=smsc,
    )


zones = st.integers(-48, 56).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))
moments = st.datetimes(datetime(2000, 1, 2), datetime(2089, 12, 30), timezones=zones).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0)
)


@settings(max_examples=300, deadline=None, database=None)
@given(st.integers(0, 255), numbers, moments, moments, st.integers(0, 255))
def test_libgammu_reads_the_status_reports_written_here(
    reference: int, recipient: str, sent_at: datetime, done_at: datetime, status: int
) -> None:
    report = codec.encode_status_report(
        message_reference=reference,
        recipient=recipient,
        sent_at=sent_at,
        done_at=done_at,
        status=status,
        smsc="+4917",
    )
    theirs = gammu_pdus.decode(report.hex)
    ours = codec.decode_incoming(report.hex)
    assert isinstance(ours, codec.StatusReport)
    assert (ours.message_reference, ours.recipient, ours.status) == (reference, recipient, status)
    assert (ours.sent_at, ours.done_at) == (sent_at.astimezone(UTC), done_at.astimezone(UTC))
    assert (theirs["MessageReference"], theirs["Number"], theirs["DeliveryStatus"]) == (
        reference,
        recipient,
        status,
    )
    assert (theirs["DateTime"], theirs["SMSCDateTime"]) == (sent_at, done_at)


@settings(max_examples=300, deadline=None, database=None)
@given(
    st.one_of(
        st.text(
            st.sampled_from(GSM7.translate(dict.fromkeys(map(ord, EXTENSION)))), min_size=1, max_size=160
        ),
        # Two characters that libgammu's own escape sequence is made of.
        st.text(
            st.characters(exclude_categories=["Cs"], exclude_characters="\0\1~"), min_size=1, max_size=35
        ),
    ),
    st.one_of(numbers, st.sampled_from(["Spotify", "Bank", "ELEVENCHARS"])),
    moments,
)
def test_libgammu_reads_the_messages_written_here(text: str, originator: str, sent_at: datetime) -> None:
    # It reads uninitialised memory behind a text with characters of the extension.
    assume(not set(text) & set(EXTENSION) or codec.encoding_of(text) is Encoding.UCS2)
    pdu = codec.encode_deliver(text, originator=originator, sent_at=sent_at, smsc="+491710760000")
    theirs = gammu_pdus.decode(pdu.hex)
    ours = codec.decode_incoming(pdu.hex)
    assert isinstance(ours, codec.Deliver)
    assert (ours.text, ours.originator, ours.sent_at) == (text, originator, sent_at.astimezone(UTC))
    assert (theirs["Text"], theirs["Number"], theirs["DateTime"]) == (text, originator, sent_at)
    assert theirs["SMSC"]["Number"] == "+491710760000"
