"""The record of deliveries: looking at it, and having a delivery made again."""

from collections.abc import Generator

import pytest
from sqlalchemy.orm import Session

from core import delivery_log, webhooks
from core.delivery_log import DeliveryFilter
from core.errors import NotFound
from core.store.rows import AttemptRow
from core.webhooks import WebhookChange
from tests.fakes.database import TENANT_A, memory_session
from tests.fakes.webhook_rows import LATER_MS, NOW_MS, claimed, deliver, make

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def session() -> Generator[Session]:
    with memory_session() as session:
        yield session


def listed(
    session: Session, webhook_id: str, *, state: str = "", before_id: str = "", limit: int = 10
) -> tuple[list[str], str]:
    wanted = DeliveryFilter(webhook_id, state, before_id)
    rows, next_id = delivery_log.list_deliveries(session, TENANT_A, wanted, limit)
    return [row.id for row in rows], next_id


def test_deliveries_are_listed_newest_first_by_page_and_state(session: Session) -> None:
    webhook = make(session)
    rows = [deliver(session, webhook, state=state) for state in ("dead", "pending", "dead")]
    ids = [row.id for row in rows]

    assert listed(session, webhook.id) == (ids[::-1], "")
    assert listed(session, webhook.id, before_id=ids[2], limit=1) == ([ids[1]], ids[1])
    assert listed(session, webhook.id, state="dead") == ([ids[2], ids[0]], "")
    assert listed(session, webhook.id, state="dead", limit=1) == ([ids[2]], ids[2])
    assert listed(session, webhook.id, state="skipped") == ([], "")


def test_one_call_looks_at_a_bounded_number_of_deliveries(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_log, "SCAN_MAX", 3)
    webhook = make(session)
    ids = [deliver(session, webhook, state=state).id for state in ["dead"] + ["delivered"] * 6]
    assert listed(session, webhook.id, state="dead") == ([], ids[4])
    assert listed(session, webhook.id, state="dead", before_id=ids[4]) == ([], ids[1])
    assert listed(session, webhook.id, state="dead", before_id=ids[1]) == ([ids[0]], "")


def test_a_delivery_comes_with_its_attempts_oldest_first(session: Session) -> None:
    row = deliver(session, make(session))
    for number in (2, 1):
        session.add(
            AttemptRow(
                delivery_id=row.id,
                number=number,
                at_ms=NOW_MS,
                status=500,
                error="",
                duration_ms=3,
                response="",
            )
        )
    session.flush()
    found, attempts = delivery_log.get_delivery(session, TENANT_A, row.id)
    assert found.id == row.id
    assert [attempt.number for attempt in attempts] == [1, 2]


@pytest.mark.parametrize("state", ["pending", "delivered", "dead", "paused", "skipped"])
def test_a_delivery_in_any_state_becomes_due_now(session: Session, state: str) -> None:
    webhook = make(session)
    row = deliver(session, webhook, state=state, attempts=2, due_ms=LATER_MS + 99, finished_ms=NOW_MS)
    again = delivery_log.redeliver(session, TENANT_A, row.id, LATER_MS)
    session.flush()
    assert (again.state, again.attempts, again.again, again.finished_ms) == ("pending", 2, True, None)
    assert claimed(session, webhook) == [row.id]


def test_the_wait_of_an_ordered_endpoint_for_its_retry_ends_with_a_redelivery(session: Session) -> None:
    webhook = make(session, ordered=True)
    row = deliver(session, webhook, attempts=1, lease_until_ms=LATER_MS + 99)
    assert claimed(session, webhook) == []
    delivery_log.redeliver(session, TENANT_A, row.id, LATER_MS)
    session.flush()
    assert claimed(session, webhook) == [row.id]


def test_a_delivery_that_is_under_way_is_left_to_its_worker(session: Session) -> None:
    row = deliver(session, make(session), lease_token="worker", lease_until_ms=LATER_MS + 1)
    delivery_log.redeliver(session, TENANT_A, row.id, LATER_MS)
    assert (row.lease_token, row.due_ms) == ("worker", NOW_MS)


def test_a_delivery_whose_worker_died_becomes_due_now(session: Session) -> None:
    row = deliver(session, make(session), lease_token="worker", lease_until_ms=LATER_MS)
    delivery_log.redeliver(session, TENANT_A, row.id, LATER_MS)
    assert (row.lease_token, row.due_ms) == (None, LATER_MS)


def test_a_redelivery_to_an_endpoint_that_is_off_waits_for_it(session: Session) -> None:
    webhook = make(session)
    row = deliver(session, webhook, state="dead")
    webhooks.update_webhook(session, TENANT_A, WebhookChange(webhook.id, enabled=False), LATER_MS)
    assert delivery_log.redeliver(session, TENANT_A, row.id, LATER_MS).state == "paused"


def test_a_delivery_of_a_removed_endpoint_can_be_seen_but_not_made_again(session: Session) -> None:
    webhook = make(session)
    row = deliver(session, webhook, state="dead")
    webhooks.delete_webhook(session, TENANT_A, webhook.id)
    assert delivery_log.get_delivery(session, TENANT_A, row.id)[0].state == "dead"
    with pytest.raises(NotFound):
        delivery_log.redeliver(session, TENANT_A, row.id, LATER_MS)
