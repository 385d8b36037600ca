"""Settlement: what an attempt means for its delivery and its endpoint, and the evidence of it."""

import dataclasses
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.orm import Session

from core.delivery.backoff import ATTEMPTS_MAX, DELAYS_S, Control
from core.delivery.claims import LEASE_EXTRA_MS, ClaimedDelivery, Want, claim
from core.delivery.health import DISABLE_AFTER_MS, WARN_AFTER_MS
from core.delivery.settlement import Attempt, Settled, settle
from tests.fakes.database import memory_session
from tests.fakes.delivery_rows import (
    add_deliveries,
    add_webhook,
    attempts,
    change_webhook,
    delete_webhook,
    deliveries,
    events,
    webhook,
)
from tests.fakes.set_clock import START_MS

pytestmark = pytest.mark.usefixtures("database")

NOW_MS = START_MS
DAY_MS = 86_400_000


@pytest.fixture
def session() -> Iterator[Session]:
    with memory_session() as session:
        yield session


def take(
    session: Session, webhook_id: str, *, now_ms: int = NOW_MS, worker: str = "worker"
) -> list[ClaimedDelivery]:
    return claim(session, [Want(webhook_id, 100, 100)], now_ms, worker=worker).deliveries


def ended(delivery: ClaimedDelivery, status: int | None = 200, **values: Any) -> Attempt:
    attempt = Attempt(
        delivery_id=delivery.delivery_id,
        webhook_id=delivery.endpoint.webhook_id,
        ordered=delivery.endpoint.ordered,
        at_ms=NOW_MS,
        duration_ms=12,
        status=status,
        error="" if status else "timeout",
        response="answer",
        control=None,
        retry_after_s=None,
    )
    return dataclasses.replace(attempt, **values)


def settle_all(session: Session, *ends: Attempt, now_ms: int = NOW_MS, worker: str = "worker") -> Settled:
    return settle(session, ends, now_ms, worker=worker, rng=random.Random(7))


def one_claimed(session: Session, **values: Any) -> ClaimedDelivery:
    """The only delivery of a new endpoint, claimed."""
    endpoint = add_webhook(session, **values)
    add_deliveries(session, NOW_MS)
    (delivery,) = take(session, endpoint)
    return delivery


def test_a_2xx_delivers(session: Session) -> None:
    delivery = one_claimed(session)
    settled = settle_all(session, ended(delivery, 204), now_ms=NOW_MS + 20)
    (row,) = deliveries(session)
    assert (row.state, row.attempts, row.finished_ms) == ("delivered", 1, NOW_MS + 20)
    assert (row.lease_token, row.lease_until_ms) == (None, None)
    assert (settled.due_ms, settled.closed, settled.states) == ({}, set(), {"delivered": 1})


def test_every_attempt_is_recorded_with_what_was_seen(session: Session) -> None:
    delivery = one_claimed(session)
    settle_all(session, ended(delivery, None, error="dns", response=""))
    (again,) = take(session, delivery.endpoint.webhook_id, now_ms=NOW_MS + 10_000)
    settle_all(session, ended(again, 503, response="sorry", duration_ms=40), now_ms=NOW_MS + 10_000)
    seen = [
        (row.number, row.at_ms, row.status, row.error, row.duration_ms, row.response)
        for row in attempts(session, delivery.delivery_id)
    ]
    assert seen == [(1, NOW_MS, 0, "dns", 12, ""), (2, NOW_MS, 503, "", 40, "sorry")]


def test_a_failure_is_tried_again_by_the_schedule_within_its_jitter(session: Session) -> None:
    delivery = one_claimed(session)
    settled = settle_all(session, ended(delivery, 500))
    (row,) = deliveries(session)
    assert (row.state, row.attempts, row.again, row.lease_token) == ("pending", 1, True, None)
    assert settled.due_ms == {row.id: row.due_ms}
    assert 0.8 * DELAYS_S[1] * 1_000 <= row.due_ms - NOW_MS <= 1.2 * DELAYS_S[1] * 1_000


def test_a_retry_never_comes_before_retry_after(session: Session) -> None:
    delivery = one_claimed(session)
    settle_all(session, ended(delivery, 429, retry_after_s=3_600))
    (row,) = deliveries(session)
    assert row.due_ms == NOW_MS + 3_600_000


def test_a_refusal_is_tried_again_slowly(session: Session) -> None:
    delivery = one_claimed(session)
    settle_all(session, ended(delivery, 404))
    (row,) = deliveries(session)
    assert row.due_ms >= NOW_MS + 0.8 * 600_000


def test_the_seventeenth_failure_is_the_last_and_all_of_them_are_recorded(session: Session) -> None:
    delivery = one_claimed(session)
    now_ms = NOW_MS
    for number in range(1, ATTEMPTS_MAX + 1):
        (row,) = deliveries(session)
        assert row.state == "pending"
        settled = settle_all(session, ended(delivery, 500), now_ms=now_ms)
        if number < ATTEMPTS_MAX:
            now_ms = settled.due_ms[delivery.delivery_id]
            (delivery,) = take(session, delivery.endpoint.webhook_id, now_ms=now_ms)
            assert delivery.attempt == number + 1
    (row,) = deliveries(session)
    assert (row.state, row.attempts, row.finished_ms) == ("dead", ATTEMPTS_MAX, now_ms)
    assert [one.number for one in attempts(session, row.id)] == list(range(1, ATTEMPTS_MAX + 1))
    assert 6 * DAY_MS < now_ms - NOW_MS < 9 * DAY_MS


def test_a_receiver_may_ask_for_a_delivery_not_to_be_tried_again(session: Session) -> None:
    delivery = one_claimed(session)
    settle_all(session, ended(delivery, 500, control=Control.ABORT_MESSAGE))
    (row,) = deliveries(session)
    assert (row.state, row.attempts) == ("dead", 1)
    assert webhook(session, delivery.endpoint.webhook_id).enabled


@pytest.mark.parametrize(
    ("status", "control", "reason"), [(410, None, "gone"), (503, Control.DISABLE, "requested")]
)
def test_410_and_disable_switch_the_endpoint_off_and_keep_the_delivery(
    session: Session, status: int, control: Control | None, reason: str
) -> None:
    delivery = one_claimed(session)
    settled = settle_all(session, ended(delivery, status, control=control))
    assert settled.closed == {delivery.endpoint.webhook_id}
    endpoint = webhook(session, delivery.endpoint.webhook_id)
    assert (endpoint.enabled, endpoint.disabled_reason) == (False, reason)
    assert [row.state for row in deliveries(session)] == ["paused"]


def test_disable_with_a_2xx_delivers_and_switches_off(session: Session) -> None:
    delivery = one_claimed(session)
    settle_all(session, ended(delivery, 200, control=Control.DISABLE))
    assert [row.state for row in deliveries(session)] == ["delivered"]
    assert not webhook(session, delivery.endpoint.webhook_id).enabled


def test_an_endpoint_that_is_switched_off_is_announced_to_its_tenant_once(session: Session) -> None:
    endpoint = add_webhook(session, description="orders")
    add_deliveries(session, NOW_MS, 2)
    settled = settle_all(session, *(ended(delivery, 410) for delivery in take(session, endpoint)))
    assert settled.announced
    (event,) = events(session, "webhook.disabled")
    body = json.loads(event.body)
    assert body["event"] == "webhook.disabled"
    assert body["data"]["webhookId"] == endpoint
    assert (body["data"]["status"], body["data"]["reason"]) == ("disabled", "gone")
    assert event.tenant_id == webhook(session, endpoint).tenant_id


def test_failures_are_counted_and_a_success_forgets_them(session: Session) -> None:
    endpoint = add_webhook(session)
    add_deliveries(session, NOW_MS, 4)
    one, two, three, four = take(session, endpoint)
    settle_all(session, ended(one, 500, at_ms=NOW_MS + 1), ended(two, None, at_ms=NOW_MS + 2))
    row = webhook(session, endpoint)
    assert (row.failures, row.failing_since_ms) == (2, NOW_MS + 1)
    settle_all(session, ended(three))
    row = webhook(session, endpoint)
    assert (row.failures, row.failing_since_ms, row.warned_ms) == (0, None, None)
    settle_all(session, ended(four, 500, at_ms=NOW_MS + 9))
    assert webhook(session, endpoint).failing_since_ms == NOW_MS + 9


def test_an_endpoint_is_warned_before_it_is_switched_off_and_both_are_announced(session: Session) -> None:
    endpoint = add_webhook(session, failures=60, failing_since_ms=NOW_MS - WARN_AFTER_MS)
    add_deliveries(session, NOW_MS, 3)
    one, two, three = take(session, endpoint)

    settle_all(session, ended(one, 500))
    row = webhook(session, endpoint)
    assert (row.enabled, row.warned_ms, row.failures) == (True, NOW_MS, 61)
    end_ms = NOW_MS - WARN_AFTER_MS + DISABLE_AFTER_MS
    settle_all(session, ended(two, 500), now_ms=end_ms - 1)
    assert webhook(session, endpoint).enabled
    settled = settle_all(session, ended(three, 500), now_ms=end_ms)

    row = webhook(session, endpoint)
    assert (row.enabled, row.disabled_reason) == (False, "failing")
    assert settled.closed == {endpoint}
    announced = [json.loads(event.body)["data"] for event in events(session, "webhook.disabled")]
    assert [data["status"] for data in announced] == ["failing", "disabled"]
    assert announced[0]["disableAt"] == "2025-10-11T20:53:20Z"


def test_an_endpoint_that_is_off_is_not_announced_again(session: Session) -> None:
    delivery = one_claimed(session)
    change_webhook(session, delivery.endpoint.webhook_id, enabled=False)
    settled = settle_all(session, ended(delivery, 410))
    assert not settled.announced
    assert settled.closed == {delivery.endpoint.webhook_id}
    assert [row.state for row in deliveries(session)] == ["paused"]


def test_a_late_result_is_evidence_and_moves_nothing(session: Session) -> None:
    delivery = one_claimed(session)
    lease_end_ms = NOW_MS + 10_000 + LEASE_EXTRA_MS
    (again,) = take(session, delivery.endpoint.webhook_id, now_ms=lease_end_ms, worker="other")

    settled = settle_all(session, ended(delivery, 200), now_ms=lease_end_ms)

    (row,) = deliveries(session)
    assert settled.states == {"late": 1}
    assert (row.state, row.lease_token, row.attempts) == ("pending", "other", 1)
    settle_all(session, ended(again, 500), now_ms=lease_end_ms, worker="other")
    (row,) = deliveries(session)
    assert (row.state, row.attempts) == ("pending", 2)
    assert [(one.number, one.status) for one in attempts(session, row.id)] == [(1, 200), (2, 500)]


def test_a_result_for_a_finished_delivery_is_evidence(session: Session) -> None:
    delivery = one_claimed(session)
    settle_all(session, ended(delivery, 200))
    settled = settle_all(session, ended(delivery, 500))
    (row,) = deliveries(session)
    assert (row.state, row.attempts, settled.states) == ("delivered", 2, {"late": 1})


@pytest.mark.parametrize(("status", "state"), [(200, "delivered"), (500, "pending"), (410, "paused")])
@pytest.mark.parametrize("ordered", [False, True])
def test_a_batch_that_is_settled_again_records_and_moves_nothing(
    session: Session, status: int, state: str, ordered: bool
) -> None:
    delivery = one_claimed(session, ordered=ordered, failures=1, failing_since_ms=NOW_MS - 1)
    settle_all(session, ended(delivery, status))
    before = deliveries(session), webhook(session, delivery.endpoint.webhook_id)
    for _ in range(2):  # nobody heard that it was committed
        settled = settle_all(session, ended(delivery, status), now_ms=NOW_MS + 500)
        assert settled.states == {state: 1}
        assert not settled.announced
    assert (deliveries(session), webhook(session, delivery.endpoint.webhook_id)) == before
    assert [one.number for one in attempts(session, delivery.delivery_id)] == [1]


def test_one_that_is_settled_again_holds_up_none_of_its_batch(session: Session) -> None:
    endpoint = add_webhook(session)
    add_deliveries(session, NOW_MS, 2)
    known, new = take(session, endpoint)
    settle_all(session, ended(known, 500))
    settled = settle_all(session, ended(known, 500), ended(new, 500))
    assert settled.states == {"pending": 2}
    assert [row.attempts for row in deliveries(session)] == [1, 1]
    assert webhook(session, endpoint).failures == 2


def test_a_result_for_a_delivery_that_is_gone_is_dropped(session: Session) -> None:
    delivery = one_claimed(session)
    lost = ended(delivery, 200, delivery_id="0" * 24)
    settled = settle_all(session, lost, ended(delivery, 200))
    assert settled.states == {"lost": 1, "delivered": 1}
    assert attempts(session, "0" * 24) == []


def test_a_failure_at_a_deleted_endpoint_is_not_tried_again(session: Session) -> None:
    delivery = one_claimed(session)
    delete_webhook(session, delivery.endpoint.webhook_id)
    settled = settle_all(session, ended(delivery, 500))
    assert settled.closed == {delivery.endpoint.webhook_id}
    assert [row.state for row in deliveries(session)] == ["skipped"]
    assert settled.due_ms == {}


def test_the_head_of_an_ordered_endpoint_keeps_its_place_while_it_waits(session: Session) -> None:
    endpoint = add_webhook(session, ordered=True)
    published = add_deliveries(session, NOW_MS, 2)
    head, _ = take(session, endpoint)
    settled = settle_all(session, ended(head, 500))
    due_ms = settled.due_ms[head.delivery_id]

    lease_end_ms = NOW_MS + 10_000 + LEASE_EXTRA_MS
    assert due_ms < lease_end_ms
    assert take(session, endpoint, now_ms=due_ms - 1, worker="other") == []
    (again,) = take(session, endpoint, now_ms=due_ms, worker="other")
    assert (again.event_id, again.attempt) == (published[0], 2)


def test_a_batch_of_successes_takes_four_statements(session: Session) -> None:
    endpoint = add_webhook(session)
    add_deliveries(session, NOW_MS, 100)
    claimed = take(session, endpoint)
    assert len(claimed) == 100
    statements: list[str] = []
    sqlalchemy_event.listen(
        session.get_bind(), "before_cursor_execute", lambda *args: statements.append(args[2])
    )
    settled = settle_all(session, *(ended(delivery) for delivery in claimed))
    assert settled.states == {"delivered": 100}
    assert len(statements) == 4
