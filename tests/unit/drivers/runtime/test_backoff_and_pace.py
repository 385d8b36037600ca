"""How fast a driver comes back, and how often it commits."""

import random

from hypothesis import given
from hypothesis import strategies as st

from drivers.runtime.backoff import DELAY_MAX_S, FIRST_DELAY_S, Backoff
from drivers.runtime.pace import BURST, SPACING_S, Pace


def test_first_delay_is_short_and_later_ones_grow_to_the_most() -> None:
    backoff = Backoff(random.Random(1))
    delays = [backoff.next_delay_s() for _ in range(40)]
    assert FIRST_DELAY_S / 2 <= delays[0] <= FIRST_DELAY_S
    assert max(delays) <= DELAY_MAX_S
    assert min(delays[20:]) >= DELAY_MAX_S / 2
    backoff.reset()
    assert backoff.next_delay_s() <= FIRST_DELAY_S


def test_core_that_was_away_for_three_seconds_is_found_within_two_more() -> None:
    for seed in range(200):
        backoff = Backoff(random.Random(seed))
        now_s = 0.0
        while now_s < 3:
            now_s += backoff.next_delay_s()
        assert now_s < 5


@given(at_least_s=st.floats(0, 60))
def test_delay_that_was_asked_for_is_kept_up_to_the_jitter(at_least_s: float) -> None:
    assert Backoff(random.Random(1)).next_delay_s(at_least_s=at_least_s) >= at_least_s / 2


def test_few_transactions_in_a_row_wait_for_nothing() -> None:
    pace = Pace()
    assert [pace.wait_s(100.0) for _ in range(BURST)] == [0.0] * BURST
    assert pace.wait_s(100.0) > 0


def test_transactions_under_load_are_spaced_out() -> None:
    pace = Pace()
    now_s, done = 100.0, 0
    while now_s < 101.0:
        now_s += pace.wait_s(now_s)
        done += 1
    assert done <= 1 / SPACING_S + BURST + 1


def test_a_pause_gives_the_burst_back() -> None:
    pace = Pace()
    for _ in range(50):
        pace.wait_s(100.0)
    assert pace.wait_s(200.0) == 0.0
