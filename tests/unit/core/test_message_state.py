"""The states of a message: every state against every piece of evidence, and what no order of reports can do."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.message_state import (
    RETRIED_REASONS,
    RETRY_DELAYS_S,
    TRANSITIONS,
    WAITING,
    Evidence,
    State,
    announcements,
    next_state,
    retry_delay_s,
)
from core.store.rows import MESSAGE_STATES

# Written out from the driver protocol and the API's words, not derived from the code's table.
EXPECTED = """
             claimed  held       released  submitted  delivered  failed  retry      cancelled  expired  unknown
queued       sending  scheduled  .         sent       delivered  failed  .          cancelled  expired  .
scheduled    .        .          queued    sent       delivered  failed  .          cancelled  expired  .
sending      .        .          .         sent       delivered  failed  scheduled  cancelled  expired  unknown
sent         .        .          .         .          delivered  failed  .          .          .        .
unknown      .        .          .         sent       delivered  failed  .          .          .        .
delivered    .        .          .         .          .          .       .          .          .        .
failed       .        .          .         .          .          .       .          .          .        .
expired      .        .          .         .          .          .       .          .          .        .
cancelled    .        .          .         .          .          .       .          .          .        .
"""

FINAL = {State.DELIVERED, State.FAILED, State.EXPIRED, State.CANCELLED}
EVERY = list(itertools.product(State, Evidence))


def expected(state: State, evidence: Evidence) -> State | None:
    head, *rows = EXPECTED.strip().splitlines()
    column = head.split().index(evidence.value)
    (row,) = (row.split() for row in rows if row.split()[0] == state.value)
    return None if row[column + 1] == "." else State(row[column + 1])


@pytest.mark.parametrize(("state", "evidence"), EVERY, ids=lambda word: word.value)
def test_evidence_moves_a_state_as_the_protocol_says(state: State, evidence: Evidence) -> None:
    assert next_state(state, evidence) is expected(state, evidence)


def test_every_state_has_a_row_and_the_database_knows_it() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {state.value for state in State} == set(MESSAGE_STATES)


def test_a_final_state_never_changes() -> None:
    assert all(next_state(state, evidence) is None for state in FINAL for evidence in Evidence)


def test_only_late_evidence_of_the_outcome_settles_unknown() -> None:
    settled = {evidence for evidence in Evidence if next_state(State.UNKNOWN, evidence)}
    assert settled == {Evidence.SUBMITTED, Evidence.DELIVERED, Evidence.FAILED}


def test_no_state_but_sending_can_be_tried_again() -> None:
    assert [state for state in State if next_state(state, Evidence.RETRY)] == [State.SENDING]


def test_nothing_that_may_have_gone_out_is_claimed_again() -> None:
    went_out = {State.SENT, State.UNKNOWN, *FINAL}
    reached = set(went_out)
    while True:
        further = {after for state in reached for after in TRANSITIONS[state].values()} - reached
        if not further:
            break
        reached |= further
    assert reached == went_out
    assert [state for state in State if next_state(state, Evidence.CLAIMED)] == [State.QUEUED]


def test_every_state_that_waits_can_end() -> None:
    for state in (*WAITING, State.SENDING):
        assert set(TRANSITIONS[state].values()) & FINAL, state


@given(st.lists(st.sampled_from(Evidence)))
def test_whatever_comes_after_a_final_state_changes_nothing(evidence: list[Evidence]) -> None:
    state, final = State.QUEUED, None
    for piece in evidence:
        state = next_state(state, piece) or state
        if final is None and state in FINAL:
            final = state
        assert final is None or state is final


@given(st.permutations([Evidence.SUBMITTED, Evidence.SUBMITTED, Evidence.DELIVERED, Evidence.DELIVERED]))
def test_reports_of_one_delivery_end_the_same_in_every_order(evidence: list[Evidence]) -> None:
    for state in (State.SENDING, State.SENT, State.UNKNOWN):
        for piece in evidence:
            state = next_state(state, piece) or state  # noqa: PLW2901 - the walk is the point
        assert state is State.DELIVERED


@given(st.lists(st.sampled_from(Evidence)))
def test_a_message_is_told_of_once_and_sent_before_delivered(evidence: list[Evidence]) -> None:
    state, told = State.QUEUED, []
    for piece in evidence:
        after = next_state(state, piece)
        if after is not None:
            was_sent = "message.sent" in told
            told += [each.event_type for each in announcements(state, after, was_sent=was_sent)]
            state = after
    assert told.count("message.sent") <= 1
    assert told.count("message.delivered") <= 1
    if "message.delivered" in told:
        assert told.index("message.sent") < told.index("message.delivered")
        assert told[-1] == "message.delivered"
    # unknown is told of as failed, and late evidence may fail it for good
    assert told.count("message.failed") <= 2


@pytest.mark.parametrize(
    ("before", "after", "was_sent", "told"),
    [
        (State.SENDING, State.SENT, False, [("message.sent", State.SENT)]),
        (State.UNKNOWN, State.SENT, False, [("message.sent", State.SENT)]),
        (State.SENT, State.DELIVERED, True, [("message.delivered", State.DELIVERED)]),
        (
            State.SENDING,
            State.DELIVERED,
            False,
            [("message.sent", State.SENT), ("message.delivered", State.DELIVERED)],
        ),
        (State.SENDING, State.FAILED, False, [("message.failed", State.FAILED)]),
        (State.SENT, State.FAILED, True, [("message.failed", State.FAILED)]),
        (State.QUEUED, State.EXPIRED, False, [("message.failed", State.EXPIRED)]),
        (State.QUEUED, State.CANCELLED, False, [("message.failed", State.CANCELLED)]),
        (State.SENDING, State.UNKNOWN, False, [("message.failed", State.UNKNOWN)]),
        (State.UNKNOWN, State.FAILED, False, [("message.failed", State.FAILED)]),
        (State.QUEUED, State.SENDING, False, []),
        (State.QUEUED, State.SCHEDULED, False, []),
        (State.SENDING, State.SCHEDULED, False, []),
        (State.SCHEDULED, State.QUEUED, False, []),
    ],
)
def test_a_change_is_told_with_its_own_status(
    before: State, after: State, was_sent: bool, told: list[tuple[str, State]]
) -> None:
    events = announcements(before, after, was_sent=was_sent)
    assert [(event.event_type, event.status) for event in events] == told


def test_waits_between_attempts_grow_and_the_last_one_repeats() -> None:
    delays = [retry_delay_s(attempt) for attempt in range(1, 9)]
    assert delays == [*RETRY_DELAYS_S, *[RETRY_DELAYS_S[-1]] * 3]
    assert delays == sorted(delays)


def test_only_failures_before_anything_was_sent_are_retried() -> None:
    assert {"no_service", "device_fault", "rate_limited"} == RETRIED_REASONS
