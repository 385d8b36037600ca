"""The retry schedule, Retry-After and the meaning of answers."""

import random
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.delivery.backoff import (
    ATTEMPTS_MAX,
    DELAYS_S,
    Control,
    Outcome,
    next_due_ms,
    outcome,
    parse_retry_after,
)

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
NOW_MS = 1_700_000_000_000
NOW_S = 1_700_000_000.0

EXPECTED_DELAYS_S = {
    1: 0,
    2: 5,
    3: 30,
    4: 2 * MINUTE_S,
    5: 10 * MINUTE_S,
    6: 30 * MINUTE_S,
    7: HOUR_S,
    8: 3 * HOUR_S,
    9: 6 * HOUR_S,
    10: 12 * HOUR_S,
    **dict.fromkeys(range(11, 18), DAY_S),
}

seeds = st.integers(min_value=0)
retries_after_s = st.none() | st.integers(min_value=0, max_value=10 * DAY_S)


class NoJitter(random.Random):
    """A random source that always draws the middle."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def pause_ms(
    attempt_number: int, retry_after_s: int | None, rng: random.Random, *, slowly: bool = False
) -> int:
    due_ms = next_due_ms(attempt_number, NOW_MS, retry_after_s, rng=rng, slowly=slowly)
    assert due_ms is not None
    return due_ms - NOW_MS


def test_there_are_17_attempts_over_more_than_seven_days() -> None:
    assert ATTEMPTS_MAX == 17
    assert dict(enumerate(DELAYS_S, start=1)) == EXPECTED_DELAYS_S
    assert 7.9 * DAY_S < sum(DELAYS_S) < 8 * DAY_S


@pytest.mark.parametrize("attempt_number", range(1, 17))
def test_the_pause_after_an_attempt_is_the_delay_of_the_next(attempt_number: int) -> None:
    assert pause_ms(attempt_number, None, NoJitter()) == EXPECTED_DELAYS_S[attempt_number + 1] * 1_000


@pytest.mark.parametrize("attempt_number", [17, 18, 1_000])
@pytest.mark.parametrize("retry_after_s", [None, 60])
def test_after_the_last_attempt_there_is_none(attempt_number: int, retry_after_s: int | None) -> None:
    assert next_due_ms(attempt_number, NOW_MS, retry_after_s, rng=NoJitter(), slowly=False) is None


@pytest.mark.parametrize("attempt_number", [0, -1])
def test_attempts_count_from_one(attempt_number: int) -> None:
    with pytest.raises(ValueError, match="from 1"):
        next_due_ms(attempt_number, NOW_MS, None, rng=NoJitter(), slowly=False)


@given(attempt_number=st.integers(1, 16), retry_after_s=retries_after_s, seed=seeds, slowly=st.booleans())
def test_the_pause_stays_within_a_fifth_of_the_schedule_and_never_undercuts_retry_after(
    attempt_number: int, retry_after_s: int | None, seed: int, *, slowly: bool
) -> None:
    pause = pause_ms(attempt_number, retry_after_s, random.Random(seed), slowly=slowly)
    scheduled_ms = EXPECTED_DELAYS_S[attempt_number + 1] * 1_000
    if slowly:
        scheduled_ms = max(scheduled_ms, 10 * MINUTE_S * 1_000)
    wanted_ms = min(retry_after_s or 0, DAY_S) * 1_000
    assert max(0.8 * scheduled_ms - 1, wanted_ms) <= pause <= max(1.2 * scheduled_ms + 1, wanted_ms)


def test_jitter_uses_the_whole_range() -> None:
    rng = random.Random(1)
    pauses_ms = [pause_ms(6, None, rng) for _ in range(1_000)]
    assert min(pauses_ms) < 0.81 * HOUR_S * 1_000
    assert max(pauses_ms) > 1.19 * HOUR_S * 1_000


def test_equal_random_sources_give_equal_schedules() -> None:
    schedules = [
        [pause_ms(n, None, rng) for n in range(1, 17)] for rng in (random.Random(7), random.Random(7))
    ]
    assert schedules[0] == schedules[1]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", None),
        ("1", 1),
        ("120", 120),
        (" 120 ", 120),
        ("86400", DAY_S),
        ("86401", DAY_S),
        ("315360000", DAY_S),
        ("9" * 5_000, DAY_S),
        ("0" * 5_000, None),
        ("-1", None),
        ("+5", None),
        ("1.5", None),
        ("1e3", None),
        ("0x10", None),
        ("١٢", None),
        ("soon", None),
        ("120, 240", None),
        ("\udcff\udcfe", None),
        (formatdate(NOW_S + 90, usegmt=True), 90),
        (formatdate(NOW_S - 90, usegmt=True), None),
        (formatdate(NOW_S, usegmt=True), None),
        (formatdate(NOW_S + 10 * 365 * DAY_S, usegmt=True), DAY_S),
        ("Tuesday, 14-Nov-23 22:14:20 GMT", 60),
        ("Tue Nov 14 22:14:20 2023", 60),
        ("Tue, 14 Nov 2023 23:14:20 +0100", 60),
        ("Tue, 14 Nov 2023 22:14:20 -0000", 60),
        ("Tue, 99 Nov 2023 22:14:20 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", DAY_S),
        ("Mon, 01 Jan 0001 00:00:00 GMT", None),
        ("Mon, 01 Jan 0001 00:00:00 +2300", None),
    ],
)
def test_retry_after_is_read_in_its_two_forms_and_nothing_else_counts(
    value: str | None, seconds: int | None
) -> None:
    assert parse_retry_after(value, now_s=NOW_S) == seconds


def test_a_date_within_the_current_second_is_rounded_up() -> None:
    assert parse_retry_after(formatdate(NOW_S + 1, usegmt=True), now_s=NOW_S + 0.25) == 1


@given(value=st.text() | st.text(alphabet="0123456789:-+, GMTuenov"), now_s=st.floats(0, 4e9))
def test_no_retry_after_value_raises_or_leaves_the_range(value: str, now_s: float) -> None:
    seconds = parse_retry_after(value, now_s=now_s)
    assert seconds is None or 1 <= seconds <= DAY_S


@pytest.mark.parametrize("control", [None, *Control])
@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_a_success_whatever_else_is_asked(status: int, control: Control | None) -> None:
    assert outcome(status, control) is Outcome.SUCCESS


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, Outcome.RETRY),
        (101, Outcome.RETRY),
        (199, Outcome.RETRY),
        (300, Outcome.RETRY),
        (301, Outcome.RETRY),
        (307, Outcome.RETRY),
        (400, Outcome.RETRY_SLOWLY),
        (401, Outcome.RETRY_SLOWLY),
        (404, Outcome.RETRY_SLOWLY),
        (408, Outcome.RETRY),
        (409, Outcome.RETRY),
        (410, Outcome.GONE),
        (422, Outcome.RETRY_SLOWLY),
        (425, Outcome.RETRY),
        (429, Outcome.RETRY),
        (499, Outcome.RETRY_SLOWLY),
        (500, Outcome.RETRY),
        (502, Outcome.RETRY),
        (503, Outcome.RETRY),
        (599, Outcome.RETRY),
        (999, Outcome.RETRY),
    ],
)
def test_every_other_answer_has_its_outcome(status: int | None, expected: Outcome) -> None:
    assert outcome(status, None) is expected


@pytest.mark.parametrize("status", [302, 400, 410, 429, 500, 503])
def test_a_receiver_may_ask_to_be_disabled(status: int) -> None:
    assert outcome(status, Control.DISABLE) is Outcome.GONE


@pytest.mark.parametrize("status", [302, 400, 429, 500, 503])
def test_a_receiver_may_ask_for_no_more_attempts_of_one_delivery(status: int) -> None:
    assert outcome(status, Control.ABORT_MESSAGE) is Outcome.ABORT


def test_410_disables_even_if_only_an_abort_is_asked_for() -> None:
    assert outcome(410, Control.ABORT_MESSAGE) is Outcome.GONE
