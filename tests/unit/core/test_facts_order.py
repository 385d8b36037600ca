"""What drivers saw, applied: each fact once, in its turn, and only to what is its driver's own."""

import itertools
import json
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.deadlines import release_held
from core.dispatch import Command, claim
from core.driver_sessions import OpenedSession
from core.facts import Applied, DriverFacts, Rejection, Report, Unreadable, apply_facts
from core.message_state import RETRY_DELAYS_S, Evidence
from core.messages import cancel
from core.store.rows import RejectedFactRow
from tests.core_fixtures import (
    NOW_MS,
    OTHER_NUMBER,
    accept_one,
    apply,
    claim_for,
    claimed_command,
    connect,
    event_types,
    events_of,
    message_of,
    next_sequence,
    offered_device,
    ready,
    report,
    settle,
    state_of,
    step_names,
    without_numbers,
)
from tests.fakes.database import TENANT_A, TENANT_B, memory_session

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


def rejected_rows(session: Session) -> list[RejectedFactRow]:
    return list(session.execute(select(RejectedFactRow)).scalars())


# Any order, any number of times

outcomes = st.sampled_from([
    (Evidence.SUBMITTED, {}),
    (Evidence.DELIVERED, {}),
    (Evidence.DELIVERED, {"segments": (1,)}),
    (Evidence.DELIVERED, {"segments": (2,)}),
    (Evidence.DELIVERED, {"is_read": True}),
    (Evidence.FAILED, {"reason": "network_rejected"}),
    (Evidence.FAILED, {"reason": "no_service"}),
    (Evidence.FAILED, {"reason": "expired"}),
    (Evidence.FAILED, {"reason": "outcome_unknown"}),
    (Evidence.CANCELLED, {}),
    (Evidence.UNKNOWN, {}),
])


def check_reports(session: Session, opened: OpenedSession, facts: list[Report], chunk: int) -> None:
    """Apply reports on one command in pieces; its final state and its events keep the rules all the way."""
    message_id = facts[0].command_id.partition("-")[0]
    states = ["sending"]
    for start in range(0, len(facts), chunk):
        apply(session, opened, *facts[start : start + chunk])
        states.append(state_of(session, message_id))
    for before, after in itertools.pairwise(states):
        assert after == before or before not in FINAL
    told = events_of(session, message_id)
    types = [event_type for event_type, _ in told]
    assert [data["sequence"] for _, data in told] == list(range(1, len(told) + 1))
    assert types.count("message.sent") <= 1
    assert types.count("message.delivered") <= 1
    assert types.count("message.read") <= 1
    if "message.read" in types:
        assert types[-2:] == ["message.delivered", "message.read"]
    if "message.delivered" in types:
        assert types.index("message.sent") < types.index("message.delivered")
    if states[-1] in FINAL | {"sent", "unknown"}:
        assert told[-1][1]["status"] == states[-1]


def test_no_order_of_reports_moves_a_final_state_or_breaks_the_events(
    session: Session, opened: OpenedSession
) -> None:
    @given(st.lists(outcomes, min_size=1, max_size=8), st.integers(1, 3))
    def check(reports: list[tuple[Evidence, dict[str, Any]]], chunk: int) -> None:
        command = claimed_command(session, opened, text="a" * 200)
        first = next_sequence(session, opened)
        facts = [
            report(first + n, command.command_id, kind, **more) for n, (kind, more) in enumerate(reports)
        ]
        check_reports(session, opened, facts, chunk)

    check()


def test_reports_that_agree_end_the_same_in_every_order(session: Session, opened: OpenedSession) -> None:
    agreeing = [Evidence.SUBMITTED, Evidence.DELIVERED, Evidence.SUBMITTED, Evidence.UNKNOWN]

    @given(st.permutations(agreeing))
    def check(order: list[Evidence]) -> None:
        command = claimed_command(session, opened)
        settle(session, opened, command, *order)
        message = message_of(session, command.message_id)
        assert message.state == "delivered"
        assert (message.failure_reason, message.failed_ms) == (None, None)
        types = [kind for kind in event_types(session, command.message_id) if kind != "message.failed"]
        assert types == ["message.sent", "message.delivered"]

    check()


# Numbers


def test_a_fact_that_was_applied_before_changes_nothing(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    submitted = report(1, command.command_id, Evidence.SUBMITTED)
    apply(session, opened, submitted)
    steps = step_names(session, command.message_id)
    assert apply(session, opened, submitted) == Applied(acknowledged=1)
    # The number decides, whatever the fact says.
    assert apply(session, opened, report(1, command.command_id, Evidence.FAILED)) == Applied(acknowledged=1)
    assert state_of(session, command.message_id) == "sent"
    assert step_names(session, command.message_id) == steps


def test_a_fact_behind_a_missing_one_is_left_alone(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    second = report(2, command.command_id, Evidence.DELIVERED)
    applied = apply(session, opened, second)
    assert (applied.acknowledged, applied.gap) == (0, True)
    assert state_of(session, command.message_id) == "sending"
    first = report(1, command.command_id, Evidence.SUBMITTED)
    assert apply(session, opened, first, second) == Applied(acknowledged=2)
    assert state_of(session, command.message_id) == "delivered"


def test_frames_of_one_session_in_one_transaction_follow_each_other(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    frames = [
        DriverFacts(opened.driver_id, opened.epoch, [report(1, command.command_id, Evidence.SUBMITTED)]),
        DriverFacts(opened.driver_id, opened.epoch, [report(1, command.command_id, Evidence.FAILED)]),
        DriverFacts(opened.driver_id, opened.epoch, [report(2, command.command_id, Evidence.DELIVERED)]),
    ]
    assert [applied.acknowledged for applied in apply_facts(session, frames, NOW_MS)] == [1, 1, 2]
    assert state_of(session, command.message_id) == "delivered"


def test_report_for_superseded_epoch_changes_nothing(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    newer = connect(session)
    assert apply(session, opened, report(1, command.command_id, Evidence.SUBMITTED)) == Applied(
        superseded=True
    )
    assert state_of(session, command.message_id) == "sending"
    assert apply(session, newer, report(1, command.command_id, Evidence.SUBMITTED)) == Applied(acknowledged=1)
    assert state_of(session, command.message_id) == "sent"


def test_facts_of_a_driver_that_nobody_knows_count_as_superseded(session: Session) -> None:
    assert apply_facts(session, [DriverFacts("nobody", 1, [])], NOW_MS) == [Applied(superseded=True)]


def test_sessions_in_one_transaction_do_not_touch_each_other(session: Session) -> None:
    first = connect(session)
    second = connect(session, offered_device("modem-2", OTHER_NUMBER), driver_name="driver-2")
    one, two = claimed_command(session, first), claimed_command(session, second, sender=OTHER_NUMBER)
    results = apply_facts(
        session,
        [
            DriverFacts(first.driver_id, first.epoch, [report(1, one.command_id, Evidence.SUBMITTED)]),
            DriverFacts(second.driver_id, second.epoch + 1, [report(1, two.command_id, Evidence.SUBMITTED)]),
            DriverFacts(second.driver_id, second.epoch, [report(1, two.command_id, Evidence.FAILED)]),
        ],
        NOW_MS,
    )
    assert results == [Applied(acknowledged=1), Applied(superseded=True), Applied(acknowledged=1)]
    assert (state_of(session, one.message_id), state_of(session, two.message_id)) == ("sent", "failed")


# Facts that cannot be applied


@pytest.mark.parametrize("command_id", ["", "nonsense", "f" * 24 + "-1", "\x00" * 40])
def test_a_report_on_a_command_that_nobody_gave_is_kept_aside(
    session: Session, opened: OpenedSession, command_id: str
) -> None:
    applied = apply(session, opened, report(1, command_id, Evidence.SUBMITTED, references=("17",)))
    assert applied.acknowledged == 1
    assert [(each.sequence, each.reason) for each in applied.rejected] == [(1, "UNKNOWN_COMMAND")]
    (row,) = rejected_rows(session)
    assert (row.driver_id, row.sequence, row.reason, row.at_ms) == (
        opened.driver_id,
        1,
        "UNKNOWN_COMMAND",
        NOW_MS,
    )
    kept = json.loads(row.fact)
    assert (kept["command_id"], kept["outcome"], kept["references"]) == (command_id, "submitted", ["17"])


@pytest.mark.parametrize("tenant_id", [TENANT_A, TENANT_B])
def test_a_report_on_another_drivers_command_is_kept_aside(
    session: Session, opened: OpenedSession, command: Command, tenant_id: str
) -> None:
    other = connect(
        session, offered_device("modem-2", OTHER_NUMBER), driver_name="driver-2", tenant_id=tenant_id
    )
    applied = apply(session, other, report(1, command.command_id, Evidence.DELIVERED))
    assert [rejection.reason for rejection in applied.rejected] == ["UNKNOWN_COMMAND"]
    assert state_of(session, command.message_id) == "sending"
    assert events_of(session, command.message_id) == []
    assert "delivered" not in step_names(session, command.message_id)


def test_a_late_report_on_an_attempt_before_another_driver_had_the_message_is_noted(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    apply(session, opened, report(1, command.command_id, Evidence.FAILED, reason="no_service"))
    gone = connect(session, without_numbers(offered_device()), first_unacknowledged=2, last_sequence=1)
    other = connect(session, offered_device("modem-2"), driver_name="driver-2")
    later_ms = NOW_MS + RETRY_DELAYS_S[0] * 1000
    release_held(session, later_ms)
    (again,) = claim(session, [ready(other, key="modem-2")], later_ms).commands
    assert (again.message_id, again.driver_id) == (command.message_id, other.driver_id)
    applied = apply(session, gone, report(2, command.command_id, Evidence.DELIVERED))
    assert applied.rejected == []
    assert state_of(session, command.message_id) == "sending"
    assert step_names(session, command.message_id)[-1] == "late_report"


def test_a_report_on_an_attempt_to_come_is_kept_aside(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    applied = apply(session, opened, report(1, f"{command.message_id}-2", Evidence.DELIVERED))
    assert [rejection.reason for rejection in applied.rejected] == ["UNKNOWN_COMMAND"]
    assert state_of(session, command.message_id) == "sending"


def test_a_report_on_a_message_that_was_never_claimed_is_kept_aside(
    session: Session, opened: OpenedSession
) -> None:
    message_id = accept_one(session)
    applied = apply(session, opened, report(1, f"{message_id}-1", Evidence.DELIVERED))
    assert [rejection.reason for rejection in applied.rejected] == ["UNKNOWN_COMMAND"]
    assert state_of(session, message_id) == "queued"


def test_facts_around_one_that_cannot_be_applied_count(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    applied = apply(
        session,
        opened,
        report(1, command.command_id, Evidence.SUBMITTED),
        Unreadable(2, "no meaning"),
        report(3, command.command_id, Evidence.DELIVERED),
    )
    assert applied == Applied(acknowledged=3, rejected=[Rejection(2, "INVALID_FACT", "no meaning")])
    assert state_of(session, command.message_id) == "delivered"


def test_a_rejected_fact_that_a_restored_journal_brings_again_is_kept_once(session: Session) -> None:
    first = connect(session)
    apply(session, first, Unreadable(1, "no meaning"))
    connect(session, journal_id="journal-2")
    again = connect(session)
    assert again.resume_after == 0
    assert apply(session, again, Unreadable(1, "no meaning")).acknowledged == 1
    assert len(rejected_rows(session)) == 1


# Many at once


def test_thousands_of_reports_fit_one_transaction(session: Session) -> None:
    opened = connect(session, offered_device(window=1000))
    ids = [accept_one(session) for _ in range(3)]
    commands = [f"{'f' * 23}{n:x}-1" for n in range(10)]
    facts = [report(n, commands[n % 10], Evidence.SUBMITTED) for n in range(1, 40_001)]
    facts += [report(40_000 + n, f"{id}-1", Evidence.SUBMITTED) for n, id in enumerate(ids, 1)]
    claim_for(session, opened)
    applied = apply(session, opened, *facts)
    assert (applied.acknowledged, len(applied.rejected)) == (40_003, 40_000)
    assert [state_of(session, id) for id in ids] == ["sent"] * 3
    assert session.execute(select(func.count()).select_from(RejectedFactRow)).scalar_one() == 40_000


def test_a_cancelled_message_stays_cancelled_whatever_a_driver_says(
    session: Session, opened: OpenedSession, command: Command
) -> None:
    apply(session, opened, report(1, command.command_id, Evidence.FAILED, reason="no_service"))
    cancel(session, TENANT_A, command.message_id, NOW_MS)
    settle(session, opened, command, Evidence.SUBMITTED, Evidence.DELIVERED)
    assert state_of(session, command.message_id) == "cancelled"
