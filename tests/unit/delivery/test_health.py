"""When an endpoint is warned and switched off."""

from core.delivery.health import (
    DISABLE_AFTER_MS,
    DISABLE_FAILURES_MIN,
    HEALTHY,
    NOTICE_MS,
    WARN_AFTER_MS,
    WARN_FAILURES_MIN,
    Health,
    Verdict,
)

T0_MS = 1_700_000_000_000
MANY = DISABLE_FAILURES_MIN


def test_failures_count_from_the_first_one_since_the_last_success() -> None:
    health = HEALTHY.after(T0_MS, success=False).after(T0_MS + 5, success=False)
    assert health == Health(2, T0_MS, None)


def test_a_success_forgets_failures_and_warning() -> None:
    assert Health(60, T0_MS, T0_MS).after(T0_MS + 5, success=True) == HEALTHY


def test_a_healthy_endpoint_is_left_alone() -> None:
    assert HEALTHY.verdict(T0_MS) is Verdict.NOTHING
    assert HEALTHY.disable_at_ms is None


def test_the_warning_is_due_at_half_of_the_time_and_half_of_the_failures() -> None:
    assert Health(WARN_FAILURES_MIN, T0_MS).verdict(T0_MS + WARN_AFTER_MS) is Verdict.WARN
    assert Health(WARN_FAILURES_MIN - 1, T0_MS).verdict(T0_MS + WARN_AFTER_MS) is Verdict.NOTHING
    assert Health(WARN_FAILURES_MIN, T0_MS).verdict(T0_MS + WARN_AFTER_MS - 1) is Verdict.NOTHING


def test_a_warned_endpoint_is_not_warned_again() -> None:
    assert Health(MANY, T0_MS).warned(T0_MS + WARN_AFTER_MS).verdict(T0_MS + WARN_AFTER_MS) is Verdict.NOTHING


def test_the_end_comes_after_five_days_and_fifty_failures() -> None:
    health = Health(MANY, T0_MS).warned(T0_MS + WARN_AFTER_MS)
    assert health.disable_at_ms == T0_MS + DISABLE_AFTER_MS
    assert health.verdict(T0_MS + DISABLE_AFTER_MS - 1) is Verdict.NOTHING
    assert health.verdict(T0_MS + DISABLE_AFTER_MS) is Verdict.DISABLE


def test_forty_nine_failures_are_too_few_for_the_end() -> None:
    health = Health(MANY - 1, T0_MS).warned(T0_MS + WARN_AFTER_MS)
    assert health.verdict(T0_MS + 10 * DISABLE_AFTER_MS) is Verdict.NOTHING


def test_nobody_is_switched_off_without_a_days_notice() -> None:
    late_ms = T0_MS + 3 * DISABLE_AFTER_MS
    assert Health(MANY, T0_MS).verdict(late_ms) is Verdict.WARN
    warned = Health(MANY, T0_MS).warned(late_ms)
    assert warned.verdict(late_ms + NOTICE_MS - 1) is Verdict.NOTHING
    assert warned.verdict(late_ms + NOTICE_MS) is Verdict.DISABLE
