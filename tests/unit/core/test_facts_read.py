"""Reports that a message was read: once, after it was delivered, in any order and beside anything else."""

from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from core.deadlines import release_held
from core.dispatch import Command
from core.driver_sessions import OpenedSession
from core.fact_values import Report
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
)
from tests.fakes.database import memory_session

pytestmark = pytest.mark.usefixtures("database")

ALL_TOLD = ["message.sent", "message.delivered", "message.read"]


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


def read(sequence: int, command: Command, *segments: int) -> Report:
    return report(sequence, command.command_id, Evidence.DELIVERED, is_read=True, segments=segments)


def test_a_delivered_message_that_is_read_keeps_its_state_and_says_when(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    settle(session, opened, command, Evidence.SUBMITTED, Evidence.DELIVERED)
    apply(session, opened, read(3, command), now_ms=NOW_MS + 9)
    message = message_of(session, command.message_id)
    assert (message.state, message.delivered_ms, message.read_ms) == ("delivered", NOW_MS, NOW_MS + 9)
    assert step_names(session, message.id) == ["claimed", "submitted", "delivered", "read"]
    told = events_of(session, message.id)
    assert [(kind, data["sequence"], data["status"]) for kind, data in told] == [
        ("message.sent", 1, "sent"),
        ("message.delivered", 2, "delivered"),
        ("message.read", 3, "delivered"),
    ]
    assert "readAt" not in told[1][1]
    assert told[2][1]["readAt"].endswith("Z")
    assert told[2][1]["deliveredAt"] == told[1][1]["deliveredAt"]


@pytest.mark.parametrize("before", [[], [Evidence.SUBMITTED], [Evidence.UNKNOWN]])
def test_reading_says_that_it_was_delivered_too(
    session: Session, opened: OpenedSession, command: Command, before: list[Evidence]
) -> None:
    settle(session, opened, command, *before)
    applied = apply(session, opened, read(len(before) + 1, command))
    assert applied.unsettled == set()
    message = message_of(session, command.message_id)
    assert (message.state, message.read_ms, message.failure_reason) == ("delivered", NOW_MS, None)
    failed = ["message.failed"] if Evidence.UNKNOWN in before else []
    assert event_types(session, message.id) == [*failed, *ALL_TOLD]
    assert step_names(session, message.id)[-2:] == ["delivered", "read"]


def test_a_message_that_is_read_again_is_told_of_once(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    apply(session, opened, read(1, command), read(2, command))
    apply(session, opened, read(3, command), now_ms=NOW_MS + 9)
    settle(session, opened, command, Evidence.DELIVERED)
    assert message_of(session, command.message_id).read_ms == NOW_MS
    assert event_types(session, command.message_id) == ALL_TOLD
    assert step_names(session, command.message_id) == ["claimed", "delivered", "read"]


def test_a_report_that_comes_in_again_after_a_reconnect_changes_nothing(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    apply(session, opened, read(1, command))
    again = connect(session, last_sequence=1)
    assert apply(session, again, read(1, command), now_ms=NOW_MS + 9).acknowledged == 1
    assert message_of(session, command.message_id).read_ms == NOW_MS
    assert event_types(session, command.message_id) == ALL_TOLD


@pytest.mark.parametrize("outcome", [Evidence.FAILED, Evidence.CANCELLED])
def test_reading_does_not_save_a_message_that_ended_otherwise(
    session: Session, opened: OpenedSession, command: Command, outcome: Evidence
) -> None:
    settle(session, opened, command, outcome)
    state = state_of(session, command.message_id)
    apply(session, opened, read(2, command))
    message = message_of(session, command.message_id)
    assert (message.state, message.read_ms) == (state, None)
    assert event_types(session, message.id) == ["message.failed"]


def test_a_message_that_was_read_after_all_is_not_sent_again(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    apply(session, opened, report(1, command.command_id, Evidence.FAILED, reason="no_service"))
    apply(session, opened, read(2, command))
    assert release_held(session, NOW_MS + 10**9) == set()
    message = message_of(session, command.message_id)
    assert (message.state, message.read_ms, message.hold_until_ms) == ("delivered", NOW_MS, None)


def test_who_has_read_one_part_got_them_all(session: Session, opened: OpenedSession) -> None:
    command = claimed_command(session, opened, text="a" * 400)
    apply(session, opened, read(1, command, 2))
    message = message_of(session, command.message_id)
    assert (message.state, message.segments_delivered, message.read_ms) == ("delivered", 0b111, NOW_MS)


def test_reports_of_a_read_message_end_the_same_in_every_order(
    session: Session, opened: OpenedSession
) -> None:
    kinds = ["submitted", "part 1", "part 2", "read", "read"]

    @given(st.permutations(kinds), st.integers(1, 5))
    def check(order: list[str], chunk: int) -> None:
        command = claimed_command(session, opened, text="a" * 200)
        first = next_sequence(session, opened)
        facts = [a_report(first + n, command, kind) for n, kind in enumerate(order)]
        for start in range(0, len(facts), chunk):
            apply(session, opened, *facts[start : start + chunk])
        message = message_of(session, command.message_id)
        assert (message.state, message.read_ms) == ("delivered", NOW_MS)
        told = events_of(session, message.id)
        assert [(kind, data["sequence"]) for kind, data in told] == [
            (kind, n) for n, kind in enumerate(ALL_TOLD, 1)
        ]

    check()


def a_report(sequence: int, command: Command, kind: str) -> Report:
    if kind == "read":
        return read(sequence, command)
    if kind == "submitted":
        return report(sequence, command.command_id, Evidence.SUBMITTED)
    return report(sequence, command.command_id, Evidence.DELIVERED, segments=(int(kind[-1]),))


# How long to wait, by what the driver says


@pytest.mark.parametrize(
    ("said_ms", "waited_ms"), [(1, 1000), (1001, 1001), (90_000, 90_000), (None, retry_delay_s(1) * 1000)]
)
def test_a_message_waits_as_long_as_its_driver_says(
    session: Session, opened: OpenedSession, command: Command, said_ms: int | None, waited_ms: int
) -> None:
    failed = report(1, command.command_id, Evidence.FAILED, reason="rate_limited", retry_delay_ms=said_ms)
    apply(session, opened, failed)
    message = message_of(session, command.message_id)
    assert (message.state, message.hold_until_ms) == ("scheduled", NOW_MS + waited_ms)
    assert release_held(session, NOW_MS + waited_ms - 1) == set()
    assert release_held(session, NOW_MS + waited_ms) == {command.device_id}


def test_a_driver_that_always_asks_for_a_moment_does_not_keep_its_message_from_backing_off(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    now_ms, waited = NOW_MS, []
    for attempt in range(1, 7):
        failed = report(
            attempt,
            f"{command.message_id}-{attempt}",
            Evidence.FAILED,
            reason="rate_limited",
            retry_delay_ms=1,
        )
        apply(session, opened, failed, now_ms=now_ms)
        until_ms = message_of(session, command.message_id).hold_until_ms
        assert until_ms is not None
        waited.append(until_ms - now_ms)
        now_ms = until_ms
        assert release_held(session, now_ms) == {command.device_id}
        assert len(claim_for(session, opened, now_ms=now_ms).commands) == 1
    assert waited == [1000, 1000, 75_000, 225_000, 450_000, 450_000]


def test_a_failure_for_good_is_not_tried_again_whatever_wait_comes_with_it(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    failed = report(1, command.command_id, Evidence.FAILED, reason="template_rejected", retry_delay_ms=1000)
    apply(session, opened, failed)
    message = message_of(session, command.message_id)
    assert (message.state, message.failure_reason) == ("failed", "template_rejected")
