"""What drivers saw, applied: every outcome, in any order, once."""

from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from core.deadlines import release_held
from core.dispatch import Command
from core.driver_sessions import OpenedSession
from core.facts import Applied, Report
from core.message_state import Evidence, retry_delay_s
from tests.core_fixtures import (
    NOW_MS,
    apply,
    claim_for,
    claimed_command,
    connect,
    event_types,
    events_of,
    message_of,
    next_sequence,
    report,
    settle,
    state_of,
    step_names,
    steps_of,
)
from tests.fakes.database import memory_session

pytestmark = pytest.mark.usefixtures("database")

FINAL = {"delivered", "failed", "expired", "cancelled"}


@pytest.fixture
def session() -> Generator[Session]:
    with memory_session() as session:
        yield session


@pytest.fixture
def opened(session: Session) -> OpenedSession:
    return connect(session)


@pytest.fixture
def command(session: Session, opened: OpenedSession) -> Command:
    return claimed_command(session, opened)


# Every outcome


def test_submitted_sends_the_message(session: Session, opened: OpenedSession, command: Command) -> None:
    submitted = report(1, command.command_id, Evidence.SUBMITTED, references=("17", "18"))
    assert apply(session, opened, submitted, now_ms=NOW_MS + 5) == Applied(acknowledged=1)
    message = message_of(session, command.message_id)
    assert (message.state, message.sent_ms, message.failed_ms) == ("sent", NOW_MS + 5, None)
    assert steps_of(session, message.id)[-1] == ("submitted", {"attempt": "1", "references": "17,18"})
    ((event_type, data),) = events_of(session, message.id)
    assert (event_type, data["status"], data["sequence"]) == ("message.sent", "sent", 1)


def test_delivered_after_submitted_ends_it(session: Session, opened: OpenedSession, command: Command) -> None:
    apply(session, opened, report(1, command.command_id, Evidence.SUBMITTED), now_ms=NOW_MS + 1)
    apply(session, opened, report(2, command.command_id, Evidence.DELIVERED), now_ms=NOW_MS + 2)
    message = message_of(session, command.message_id)
    assert (message.state, message.sent_ms, message.delivered_ms) == ("delivered", NOW_MS + 1, NOW_MS + 2)
    assert [(kind, data["sequence"]) for kind, data in events_of(session, message.id)] == [
        ("message.sent", 1),
        ("message.delivered", 2),
    ]


def test_delivered_before_submitted_is_told_as_sent_and_delivered(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    settle(session, opened, command, Evidence.DELIVERED, Evidence.SUBMITTED)
    assert state_of(session, command.message_id) == "delivered"
    assert event_types(session, command.message_id) == ["message.sent", "message.delivered"]
    assert step_names(session, command.message_id)[-2:] == ["delivered", "late_report"]


def test_failed_for_good_keeps_what_the_network_said(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    failed = report(
        1, command.command_id, Evidence.FAILED, reason="network_rejected", code="CMS 38", detail="No."
    )
    apply(session, opened, failed)
    message = message_of(session, command.message_id)
    assert (message.state, message.failure_reason, message.failure_code, message.failure_detail) == (
        "failed",
        "network_rejected",
        "CMS 38",
        "No.",
    )
    ((event_type, data),) = events_of(session, message.id)
    assert (event_type, data["reason"], data["networkCode"]) == (
        "message.failed",
        "network_rejected",
        "CMS 38",
    )


def test_a_delivery_report_may_fail_a_sent_message(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    settle(session, opened, command, Evidence.SUBMITTED)
    apply(session, opened, report(2, command.command_id, Evidence.FAILED, reason="expired"))
    message = message_of(session, command.message_id)
    assert (message.state, message.failure_reason) == ("failed", "expired")
    assert message.sent_ms is not None
    assert event_types(session, message.id) == ["message.sent", "message.failed"]


@pytest.mark.parametrize(
    ("reason", "state"),
    [("expired", "expired"), ("cancelled", "cancelled"), ("outcome_unknown", "unknown"), ("", "failed")],
)
def test_a_failure_before_sending_is_the_state_that_its_reason_names(
    session: Session, opened: OpenedSession, command: Command, reason: str, state: str
) -> None:
    apply(session, opened, report(1, command.command_id, Evidence.FAILED, reason=reason))
    assert state_of(session, command.message_id) == state
    ((event_type, data),) = events_of(session, command.message_id)
    assert (event_type, data["status"], data["reason"]) == ("message.failed", state, reason)


def test_cancelled_by_the_driver_cancels(session: Session, opened: OpenedSession, command: Command) -> None:
    settle(session, opened, command, Evidence.CANCELLED)
    message = message_of(session, command.message_id)
    assert (message.state, message.failure_reason) == ("cancelled", "cancelled")


def test_an_unknown_outcome_is_said_so(session: Session, opened: OpenedSession, command: Command) -> None:
    apply(session, opened, report(1, command.command_id, Evidence.UNKNOWN, detail="Cut off."))
    message = message_of(session, command.message_id)
    assert (message.state, message.failure_reason, message.failure_detail) == (
        "unknown",
        "outcome_unknown",
        "Cut off.",
    )
    assert claim_for(session, opened).commands == []


@pytest.mark.parametrize(
    ("evidence", "state", "told"),
    [
        (Evidence.SUBMITTED, "sent", ["message.sent"]),
        (Evidence.DELIVERED, "delivered", ["message.sent", "message.delivered"]),
        (Evidence.FAILED, "failed", ["message.failed"]),
    ],
)
def test_late_evidence_settles_an_unknown_message_once(
    session: Session, opened: OpenedSession, command: Command, evidence: Evidence, state: str, told: list[str]
) -> None:
    settle(session, opened, command, Evidence.UNKNOWN, evidence, evidence)
    message = message_of(session, command.message_id)
    assert message.state == state
    assert message.failed_ms is (None if state != "failed" else message.failed_ms)
    assert event_types(session, message.id) == ["message.failed", *told]
    if state != "failed":
        assert message.failure_reason is None


def test_a_sent_message_is_not_failed_by_not_knowing(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    settle(session, opened, command, Evidence.SUBMITTED, Evidence.UNKNOWN)
    apply(session, opened, report(3, command.command_id, Evidence.FAILED, reason="outcome_unknown"))
    assert state_of(session, command.message_id) == "sent"
    assert event_types(session, command.message_id) == ["message.sent"]


# Failures that pass


@pytest.mark.parametrize("reason", ["no_service", "device_fault", "rate_limited"])
def test_a_failure_that_passes_holds_the_message_for_its_next_attempt(
    session: Session, opened: OpenedSession, command: Command, reason: str
) -> None:
    apply(session, opened, report(1, command.command_id, Evidence.FAILED, reason=reason))
    message = message_of(session, command.message_id)
    until_ms = NOW_MS + retry_delay_s(1) * 1000
    assert (message.state, message.hold_reason, message.hold_until_ms) == ("scheduled", reason, until_ms)
    assert events_of(session, message.id) == []

    assert release_held(session, until_ms - 1) == set()
    assert release_held(session, until_ms) == {command.device_id}
    message = message_of(session, message.id)
    assert (message.state, message.hold_reason, message.hold_until_ms) == ("queued", None, None)
    (again,) = claim_for(session, opened).commands
    assert again.command_id == f"{message.id}-2"


def test_the_same_failure_said_twice_still_only_holds(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    failed = [report(n, command.command_id, Evidence.FAILED, reason="no_service") for n in (1, 2)]
    apply(session, opened, *failed)
    assert state_of(session, command.message_id) == "scheduled"
    assert events_of(session, command.message_id) == []


@pytest.mark.parametrize("outcome", [Evidence.CANCELLED, Evidence.UNKNOWN, Evidence.FAILED])
def test_an_attempt_that_is_over_cannot_end_a_message_that_waits(
    session: Session, opened: OpenedSession, command: Command, outcome: Evidence
) -> None:
    apply(session, opened, report(1, command.command_id, Evidence.FAILED, reason="no_service"))
    settle(session, opened, command, outcome)
    assert state_of(session, command.message_id) == "scheduled"
    assert step_names(session, command.message_id)[-1] == "late_report"


@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize(
    ("outcome", "state"), [(Evidence.SUBMITTED, "sent"), (Evidence.DELIVERED, "delivered")]
)
def test_a_message_that_went_out_after_all_is_not_sent_again(
    session: Session,
    opened: OpenedSession,
    command: Command,
    *,
    outcome: Evidence,
    state: str,
    released: bool,
) -> None:
    apply(session, opened, report(1, command.command_id, Evidence.FAILED, reason="no_service"))
    if released:
        release_held(session, NOW_MS + 10**9)
    settle(session, opened, command, outcome)
    assert state_of(session, command.message_id) == state
    release_held(session, NOW_MS + 10**9)
    assert claim_for(session, opened).commands == []


def test_a_retried_reason_fails_a_message_that_was_sent(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    settle(session, opened, command, Evidence.SUBMITTED)
    apply(session, opened, report(2, command.command_id, Evidence.FAILED, reason="no_service"))
    assert state_of(session, command.message_id) == "failed"


@pytest.mark.parametrize(
    "outcome", [Evidence.SUBMITTED, Evidence.DELIVERED, Evidence.FAILED, Evidence.CANCELLED, Evidence.UNKNOWN]
)
def test_a_late_report_of_an_earlier_attempt_changes_nothing_and_is_kept(
    session: Session, opened: OpenedSession, command: Command, outcome: Evidence
) -> None:
    apply(session, opened, report(1, command.command_id, Evidence.FAILED, reason="no_service"))
    release_held(session, NOW_MS + 10**9)
    (second,) = claim_for(session, opened).commands
    settle(session, opened, command, outcome)
    assert state_of(session, command.message_id) == "sending"
    assert steps_of(session, command.message_id)[-1] == (
        "late_report",
        {"attempt": "1", "outcome": outcome.value},
    )
    settle(session, opened, second, Evidence.SUBMITTED)
    assert state_of(session, command.message_id) == "sent"


# Segments


@pytest.fixture
def long_command(session: Session, opened: OpenedSession) -> Command:
    command = claimed_command(session, opened, text="a" * 400)
    assert command.segments == 3
    return command


def delivered(sequence: int, command: Command, *segments: int) -> Report:
    return report(sequence, command.command_id, Evidence.DELIVERED, segments=segments)


def test_a_message_is_delivered_once_all_its_segments_are(session: Session, opened: OpenedSession) -> None:
    @given(st.permutations([1, 2, 3, 3, 1]))
    def check(order: list[int]) -> None:
        command = claimed_command(session, opened, text="a" * 400)
        settle(session, opened, command, Evidence.SUBMITTED)
        first = next_sequence(session, opened)
        for n, segment in enumerate(order):
            apply(session, opened, delivered(first + n, command, segment))
            is_whole = set(order[: n + 1]) == {1, 2, 3}
            assert state_of(session, command.message_id) == ("delivered" if is_whole else "sent")
        assert event_types(session, command.message_id) == ["message.sent", "message.delivered"]
        assert step_names(session, command.message_id).count("delivered") == 3

    check()


def test_no_named_segments_means_all(session: Session, opened: OpenedSession, long_command: Command) -> None:
    apply(session, opened, delivered(1, long_command, 2), delivered(2, long_command))
    assert state_of(session, long_command.message_id) == "delivered"


def test_segments_in_one_report_count_together(
    session: Session, opened: OpenedSession, long_command: Command
) -> None:
    apply(session, opened, delivered(1, long_command, 3, 1), delivered(2, long_command, 2, 2))
    assert state_of(session, long_command.message_id) == "delivered"


def test_segments_that_the_message_does_not_have_are_nothing(
    session: Session, opened: OpenedSession, long_command: Command
) -> None:
    apply(session, opened, delivered(1, long_command, 0, -1, 4, 2**31 - 1), delivered(2, long_command, 1))
    message = message_of(session, long_command.message_id)
    assert (message.state, message.segments_delivered) == ("sending", 1)


def test_a_command_is_unsettled_until_it_has_a_result_though_a_part_was_delivered(
    session: Session, opened: OpenedSession, long_command: Command
) -> None:
    command_id = long_command.command_id
    assert apply(session, opened, delivered(1, long_command, 2)).unsettled == {command_id}
    assert apply(session, opened, report(2, command_id, Evidence.SUBMITTED)).unsettled == set()
    assert apply(session, opened, delivered(3, long_command, 1)).unsettled == set()


def test_a_delivered_segment_does_not_save_a_message_that_failed(
    session: Session, opened: OpenedSession, long_command: Command
) -> None:
    settle(session, opened, long_command, Evidence.SUBMITTED)
    apply(session, opened, delivered(2, long_command, 1))
    apply(session, opened, report(3, long_command.command_id, Evidence.FAILED, reason="network_rejected"))
    apply(session, opened, delivered(4, long_command, 2, 3))
    assert state_of(session, long_command.message_id) == "failed"
    assert event_types(session, long_command.message_id) == ["message.sent", "message.failed"]
