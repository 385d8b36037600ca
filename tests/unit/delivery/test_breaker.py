"""The breaker of one endpoint."""

import copy
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.delivery.breaker import OPEN_MS_FIRST, OPEN_MS_MAX, PROBE_MS_MAX, Admission, Breaker

T0_MS = 1_700_000_000_000


def breaker_after(successes: Iterable[bool], *, now_ms: int = T0_MS) -> Breaker:
    breaker = Breaker()
    for success in successes:
        breaker.record(now_ms, success=success, probe=False)
    return breaker


def opened() -> Breaker:
    breaker = breaker_after([False] * 5)
    assert not breaker.is_closed
    return breaker


def test_a_new_breaker_lets_everything_pass() -> None:
    assert Breaker().admit(T0_MS) is Admission.SEND


def test_four_failures_in_a_row_do_not_open_it_and_the_fifth_does() -> None:
    assert breaker_after([False] * 4).is_closed
    assert not breaker_after([False] * 5).is_closed


def test_a_success_restarts_the_count_of_failures_in_a_row() -> None:
    assert breaker_after([*[False] * 4, True, *[False] * 4]).is_closed


def test_half_of_the_last_twenty_failing_opens_it_although_never_five_in_a_row() -> None:
    assert breaker_after([True, False] * 9).is_closed
    assert not breaker_after([True, False] * 10).is_closed


def test_failures_older_than_twenty_attempts_are_forgotten() -> None:
    assert breaker_after([False, False, True] * 3 + [True] * 14 + [False, False, True] * 4).is_closed


def test_a_young_endpoint_is_not_judged_by_a_share() -> None:
    assert breaker_after([False, True] * 9 + [False]).is_closed


def test_an_open_breaker_defers_until_thirty_seconds_have_passed() -> None:
    breaker = opened()
    assert breaker.admit(T0_MS + 29_999) is Admission.DEFER
    assert breaker.retry_at_ms(T0_MS + 1) == T0_MS + 30_000
    assert breaker.admit(T0_MS + 30_000) is Admission.PROBE


def test_deferring_changes_nothing() -> None:
    breaker = opened()
    before = copy.copy(breaker)
    for _ in range(100):
        assert breaker.admit(T0_MS + 1_000) is Admission.DEFER
    assert breaker == before


def test_only_one_probe_is_under_way() -> None:
    breaker = opened()
    half_open_ms = T0_MS + OPEN_MS_FIRST
    assert breaker.admit(half_open_ms) is Admission.PROBE
    assert breaker.admit(half_open_ms) is Admission.DEFER
    assert breaker.retry_at_ms(half_open_ms) == half_open_ms + PROBE_MS_MAX


def test_a_successful_probe_closes_it_and_forgets_the_past() -> None:
    breaker = opened()
    breaker.admit(T0_MS + OPEN_MS_FIRST)
    breaker.record(T0_MS + OPEN_MS_FIRST + 100, success=True, probe=True)
    assert breaker == Breaker()


def test_failed_probes_double_the_open_time_up_to_ten_minutes() -> None:
    breaker = opened()
    now_ms = T0_MS
    open_times_ms = []
    for _ in range(7):
        open_times_ms.append(breaker.retry_at_ms(now_ms) - now_ms)
        now_ms = breaker.retry_at_ms(now_ms)
        assert breaker.admit(now_ms) is Admission.PROBE
        breaker.record(now_ms, success=False, probe=True)
    assert open_times_ms == [30_000, 60_000, 120_000, 240_000, 480_000, 600_000, 600_000]


def test_after_it_closed_the_open_time_starts_again_at_thirty_seconds() -> None:
    breaker = opened()
    for success in (False, False, True):
        now_ms = breaker.retry_at_ms(T0_MS)
        breaker.admit(now_ms)
        breaker.record(now_ms, success=success, probe=True)
    for _ in range(5):
        breaker.record(T0_MS, success=False, probe=False)
    assert breaker.retry_at_ms(T0_MS) == T0_MS + OPEN_MS_FIRST


@pytest.mark.parametrize("success", [True, False])
def test_results_of_attempts_that_were_under_way_when_it_opened_change_nothing(success: bool) -> None:
    breaker = opened()
    before = copy.copy(breaker)
    breaker.record(T0_MS + 10_000, success=success, probe=False)
    assert breaker == before


def test_an_abandoned_probe_is_taken_by_the_next_delivery() -> None:
    breaker = opened()
    breaker.admit(T0_MS + OPEN_MS_FIRST)
    breaker.abandon_probe()
    assert breaker.admit(T0_MS + OPEN_MS_FIRST) is Admission.PROBE


def test_a_lost_probe_is_replaced_after_a_minute() -> None:
    breaker = opened()
    breaker.admit(T0_MS + OPEN_MS_FIRST)
    assert breaker.admit(T0_MS + OPEN_MS_FIRST + PROBE_MS_MAX - 1) is Admission.DEFER
    assert breaker.admit(T0_MS + OPEN_MS_FIRST + PROBE_MS_MAX) is Admission.PROBE


@given(successes=st.lists(st.booleans(), max_size=100))
def test_it_is_open_exactly_if_the_rule_was_met_at_some_point(successes: list[bool]) -> None:
    def rule_met(past: list[bool]) -> bool:
        last = past[-20:]
        return past[-5:] == [False] * 5 or (len(last) == 20 and last.count(False) >= 10)

    expected_open = any(rule_met(successes[:end]) for end in range(1, len(successes) + 1))
    assert breaker_after(successes).is_closed is not expected_open


class AnyUse(RuleBasedStateMachine):
    """Whatever the callers do, an endpoint that works again is reached again."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker()
        self.now_ms = T0_MS
        self.probing = False

    @rule(pause_ms=st.integers(0, 700_000))
    def wait(self, pause_ms: int) -> None:
        self.now_ms += pause_ms

    @rule()
    def ask(self) -> None:
        self.probing = self.breaker.admit(self.now_ms) is Admission.PROBE or self.probing

    @rule(success=st.booleans())
    def finish_attempt(self, *, success: bool) -> None:
        self.breaker.record(self.now_ms, success=success, probe=False)

    @precondition(lambda self: self.probing)
    @rule(success=st.booleans())
    def finish_probe(self, *, success: bool) -> None:
        self.breaker.record(self.now_ms, success=success, probe=True)
        self.probing = False

    @precondition(lambda self: self.probing)
    @rule()
    def abandon(self) -> None:
        self.breaker.abandon_probe()
        self.probing = False

    @rule()
    def let_probe(self) -> None:
        self.breaker.let_probe(self.now_ms)
        assert self.probing or self.breaker.retry_at_ms(self.now_ms) == self.now_ms

    @invariant()
    def the_wait_is_bounded_and_ends_in_an_attempt(self) -> None:
        later = copy.copy(self.breaker)
        retry_at_ms = later.retry_at_ms(self.now_ms)
        assert self.now_ms <= retry_at_ms <= self.now_ms + OPEN_MS_MAX
        assert later.admit(retry_at_ms) is not Admission.DEFER


TestAnyUse = AnyUse.TestCase
