"""No message waits for ever: holds end, deadlines pass, and a report that never comes is not waited for."""

from collections.abc import Generator

import pytest
from sqlalchemy.orm import Session

from core.deadlines import ABANDON_AFTER_MS, SWEEP_MAX, expire_due, give_up_on_abandoned, release_held
from core.driver_sessions import OpenedSession, close_sessions
from core.message_state import RETRY_DELAYS_S, Evidence
from core.messages import accept
from tests.core_fixtures import (
    NOW_MS,
    OTHER_NUMBER,
    TTL_MS,
    accept_one,
    apply,
    claim_for,
    claimed_command,
    connect,
    device_of,
    events_of,
    message_of,
    new_message,
    next_sequence,
    offered_device,
    report,
    settle,
    state_of,
    step_names,
    without_numbers,
)
from tests.fakes.database import memory_session

pytestmark = pytest.mark.usefixtures("database")

FAR_MS = NOW_MS + 10**10
ABANDONED_MS = NOW_MS + TTL_MS + ABANDON_AFTER_MS


@pytest.fixture
def session() -> Generator[Session]:
    with memory_session() as session:
        yield session


@pytest.fixture
def opened(session: Session) -> OpenedSession:
    return connect(session)


def held_message(session: Session, opened: OpenedSession) -> str:
    command = claimed_command(session, opened)
    sequence = next_sequence(session, opened)
    apply(session, opened, report(sequence, command.command_id, Evidence.FAILED, reason="no_service"))
    return command.message_id


# Deadlines


def test_a_queued_message_expires_at_its_deadline(session: Session, opened: OpenedSession) -> None:
    message_id = accept_one(session)
    assert expire_due(session, NOW_MS + TTL_MS - 1) == 0
    assert expire_due(session, NOW_MS + TTL_MS) == 1
    message = message_of(session, message_id)
    assert (message.state, message.failure_reason, message.failed_ms) == (
        "expired",
        "expired",
        NOW_MS + TTL_MS,
    )
    ((kind, data),) = events_of(session, message_id)
    assert (kind, data["status"], data["reason"]) == ("message.failed", "expired", "expired")
    assert step_names(session, message_id) == ["expired"]
    assert expire_due(session, FAR_MS) == 0


def test_a_held_message_expires_at_its_deadline(session: Session, opened: OpenedSession) -> None:
    message_id = held_message(session, opened)
    assert expire_due(session, NOW_MS + TTL_MS) == 1
    message = message_of(session, message_id)
    assert (message.state, message.hold_reason, message.hold_until_ms) == ("expired", None, None)
    assert release_held(session, FAR_MS) == set()


def test_a_message_that_a_driver_has_does_not_expire(session: Session, opened: OpenedSession) -> None:
    command = claimed_command(session, opened)
    assert expire_due(session, FAR_MS) == 0
    assert state_of(session, command.message_id) == "sending"


def test_one_sweep_is_bounded_and_the_next_takes_the_rest(session: Session, opened: OpenedSession) -> None:
    accept(session, [new_message()] * SWEEP_MAX, NOW_MS, TTL_MS)
    accept_one(session, ttl_ms=TTL_MS + 1)
    assert expire_due(session, FAR_MS) == SWEEP_MAX
    assert expire_due(session, FAR_MS) == 1


def test_messages_that_a_driver_has_do_not_fill_the_sweep(session: Session, opened: OpenedSession) -> None:
    for _ in range(SWEEP_MAX // 500):
        accept(session, [new_message()] * 500, NOW_MS, 1000)
        claim_for(session, opened, free=500)
    late = accept_one(session)
    assert expire_due(session, FAR_MS) == 1
    assert state_of(session, late) == "expired"


# Holds


def test_a_hold_ends_at_its_time(session: Session, opened: OpenedSession) -> None:
    message_id = held_message(session, opened)
    until_ms = NOW_MS + RETRY_DELAYS_S[0] * 1000
    assert release_held(session, until_ms - 1) == set()
    assert release_held(session, until_ms) == {device_of(opened)}
    assert state_of(session, message_id) == "queued"
    assert release_held(session, FAR_MS) == set()


def test_waits_between_attempts_grow(session: Session, opened: OpenedSession) -> None:
    message_id = accept_one(session, ttl_ms=10**10)
    now_ms, waits = NOW_MS, []
    for _ in range(7):
        (command,) = claim_for(session, opened, now_ms=now_ms).commands
        sequence = next_sequence(session, opened)
        failed = report(sequence, command.command_id, Evidence.FAILED, reason="no_service")
        apply(session, opened, failed, now_ms=now_ms)
        until_ms = message_of(session, message_id).hold_until_ms
        assert until_ms is not None
        waits.append((until_ms - now_ms) // 1000)
        now_ms = until_ms
        release_held(session, now_ms)
    assert waits == [*RETRY_DELAYS_S, RETRY_DELAYS_S[-1], RETRY_DELAYS_S[-1]]


def test_a_released_message_goes_to_the_device_that_has_its_number_now(session: Session) -> None:
    opened = connect(session, offered_device(), without_numbers(offered_device("modem-2")))
    message_id = accept_one(session)
    claim_for(session, opened)
    again = connect(session, without_numbers(offered_device()), offered_device("modem-2"))
    apply(session, again, report(1, f"{message_id}-1", Evidence.FAILED, reason="device_fault"))
    assert message_of(session, message_id).device_id == device_of(opened)
    assert release_held(session, FAR_MS) == {device_of(opened, "modem-2")}
    assert message_of(session, message_id).device_id == device_of(opened, "modem-2")


def test_a_released_message_never_goes_to_another_tenants_device(session: Session) -> None:
    opened = connect(session)
    message_id = held_message(session, opened)
    connect(session, offered_device("modem-1", OTHER_NUMBER), last_sequence=1)
    theirs = connect(session, offered_device("modem-9"), driver_name="theirs", tenant_id="b" * 24)
    assert theirs.refusals == []
    assert release_held(session, FAR_MS) == {device_of(opened)}
    assert message_of(session, message_id).device_id == device_of(opened)


def test_releasing_tells_nobody(session: Session, opened: OpenedSession) -> None:
    message_id = held_message(session, opened)
    release_held(session, FAR_MS)
    assert events_of(session, message_id) == []


# Reports that never come


@pytest.mark.parametrize("connected", [False, True])
def test_a_message_that_nobody_reports_on_is_unknown_in_the_end(
    session: Session, opened: OpenedSession, *, connected: bool
) -> None:
    command = claimed_command(session, opened)
    if not connected:
        close_sessions(session, [(opened.driver_id, opened.epoch)], NOW_MS)
    assert give_up_on_abandoned(session, ABANDONED_MS - 1) == 0
    assert give_up_on_abandoned(session, ABANDONED_MS) == 1
    message = message_of(session, command.message_id)
    assert (message.state, message.failure_reason) == ("unknown", "outcome_unknown")
    ((kind, data),) = events_of(session, message.id)
    assert (kind, data["status"]) == ("message.failed", "unknown")
    assert give_up_on_abandoned(session, FAR_MS) == 0


def test_a_report_that_comes_after_all_settles_it(session: Session, opened: OpenedSession) -> None:
    command = claimed_command(session, opened)
    give_up_on_abandoned(session, ABANDONED_MS)
    settle(session, opened, command, Evidence.DELIVERED)
    assert state_of(session, command.message_id) == "delivered"


@pytest.mark.parametrize("state", ["queued", "scheduled", "sent"])
def test_only_messages_that_a_driver_has_are_given_up(
    session: Session, opened: OpenedSession, state: str
) -> None:
    if state == "queued":
        message_id = accept_one(session)
    elif state == "scheduled":
        message_id = held_message(session, opened)
    else:
        command = claimed_command(session, opened)
        settle(session, opened, command, Evidence.SUBMITTED)
        message_id = command.message_id
    assert give_up_on_abandoned(session, FAR_MS) == 0
    assert state_of(session, message_id) == state
