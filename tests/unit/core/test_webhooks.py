"""Endpoints, what their changes do to waiting deliveries, the record of deliveries, and the feed of events."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.orm import Session

from core import delivery_log, event_feed, events, webhooks
from core.delivery.claims import Want, claim
from core.delivery.fanout import fan_out
from core.delivery_log import DeliveryFilter
from core.errors import NotFound, TooManyWebhooks
from core.event_feed import FeedRequest
from core.events import PublishedEvent
from core.ids import is_id, new_id
from core.store.rows import AttemptRow, DeliveryRow, EventRow, WebhookRow
from core.vault import Vault, VaultError
from core.webhooks import NewWebhook, WebhookChange
from tests.fakes.database import TENANT_A, TENANT_B, memory_session
from tests.fakes.set_clock import START_MS

NOW_MS = START_MS
LATER_MS = NOW_MS + 60_000
VAULT = Vault({"00000001": bytes(32)})
PLAIN = NewWebhook(
    TENANT_A, url="https://example.com/hook?a=1", events=(), timeout_s=10, ordered=False, description=""
)


@pytest.fixture
def session() -> Generator[Session]:
    with memory_session() as session:
        yield session


def make(session: Session, **changes: Any) -> WebhookRow:
    return webhooks.create_webhook(session, replace(PLAIN, **changes), VAULT, NOW_MS)[0]


def change(session: Session, webhook: WebhookRow, **values: Any) -> WebhookRow:
    row = webhooks.update_webhook(session, webhook.tenant_id, WebhookChange(webhook.id, **values), LATER_MS)
    session.flush()
    return row


def deliver(session: Session, webhook: WebhookRow, **values: Any) -> DeliveryRow:
    """A delivery to an endpoint, of an event that exists."""
    event = events.new_event("message.sent", tenant_id=webhook.tenant_id, at_ms=NOW_MS, data={})
    events.append(session, [event])
    fields: dict[str, Any] = {
        "id": new_id(NOW_MS),
        "tenant_id": webhook.tenant_id,
        "webhook_id": webhook.id,
        "event_id": event["id"],
        "event_type": "message.sent",
        "state": "pending",
        "due_ms": NOW_MS,
        "created_ms": NOW_MS,
    }
    row = DeliveryRow(**fields | values)
    session.add(row)
    session.flush()
    return row


def states(session: Session, *rows: DeliveryRow) -> list[str]:
    session.flush()
    session.expire_all()
    return [row.state for row in rows]


def settle(session: Session, webhook: WebhookRow, *, skip_backlog: bool = False) -> None:
    while webhooks.settle_backlog(session, webhook.id, skip_backlog, LATER_MS):
        pass


def claimed(session: Session, webhook: WebhookRow) -> list[str]:
    found = claim(session, [Want(webhook.id, 100, 100)], LATER_MS, worker="worker")
    return [delivery.delivery_id for delivery in found.deliveries]


# Endpoints


def test_a_new_endpoint_is_on_and_wants_all_events_unless_it_names_some(session: Session) -> None:
    row = make(session)
    assert is_id(row.id)
    assert (row.enabled, row.version, row.url) == (True, 1, "https://example.com/hook?a=1")
    assert row.events.split() == list(events.EVENT_TYPES)
    assert (
        make(session, events=("message.received", "device.online")).events == "message.received device.online"
    )


def test_its_secret_is_shown_once_and_kept_sealed_for_its_row(session: Session) -> None:
    row, secret = webhooks.create_webhook(session, PLAIN, VAULT, NOW_MS)
    assert secret.startswith("whsec_")
    assert secret.encode() not in row.secret
    assert webhooks.open_secret(VAULT, row.secret, TENANT_A, row.id) == secret
    with pytest.raises(VaultError):
        webhooks.open_secret(VAULT, row.secret, TENANT_B, row.id)
    with pytest.raises(VaultError):
        webhooks.open_secret(VAULT, row.secret, TENANT_A, make(session).id)


def test_a_tenant_has_at_most_fifty_endpoints(session: Session) -> None:
    rows = [make(session) for _ in range(50)]
    with pytest.raises(TooManyWebhooks):
        make(session)
    assert make(session, tenant_id=TENANT_B)
    webhooks.delete_webhook(session, TENANT_A, rows[0].id)
    assert make(session)


def test_an_endpoint_for_a_tenant_that_does_not_exist_is_not_made(session: Session) -> None:
    with pytest.raises(NotFound):
        make(session, tenant_id="f" * 24)


def test_endpoints_are_listed_oldest_first(session: Session) -> None:
    rows = [make(session) for _ in range(3)]
    assert [row.id for row in webhooks.list_webhooks(session, TENANT_A)] == [row.id for row in rows]


@pytest.mark.parametrize(
    ("names", "doubled"),
    [
        ([], None),
        (["message.inbound", "message.sent"], None),
        (["message.received"], None),
        (["message.received", "message.inbound"], "message.received"),
        (["message.inbound", "message.sent", "message.received"], "message.received"),
    ],
)
def test_an_endpoint_cannot_want_an_event_under_both_its_names(names: list[str], doubled: str | None) -> None:
    assert webhooks.doubled_event(names) == doubled


@pytest.mark.parametrize(
    ("values", "version"),
    [
        ({"url": "https://example.com/other"}, 2),
        ({"timeout_s": 5}, 2),
        ({"url": "https://example.com/other", "timeout_s": 5}, 2),
        ({"url": PLAIN.url, "timeout_s": PLAIN.timeout_s}, 1),
        ({"description": "Shop", "ordered": True, "events": ("message.sent",)}, 1),
    ],
)
def test_the_version_rises_with_what_a_connection_depends_on(
    session: Session, values: dict[str, Any], version: int
) -> None:
    row = change(session, make(session), **values)
    assert (row.version, row.updated_ms) == (version, LATER_MS)


def test_only_what_is_named_changes(session: Session) -> None:
    made = make(session, events=("message.sent",), description="Shop")
    before = made.model_dump()
    change(session, made, ordered=True)
    assert made.model_dump() == before | {"ordered": True, "updated_ms": LATER_MS}


def test_no_events_means_all_events_also_when_changed(session: Session) -> None:
    row = change(session, make(session, events=("message.sent",)), events=())
    assert row.events.split() == list(events.EVENT_TYPES)


# What waits for an endpoint


def test_switching_an_endpoint_off_pauses_what_waits_for_it(session: Session) -> None:
    webhook, other = make(session), make(session)
    waiting, done, elsewhere = (
        deliver(session, webhook),
        deliver(session, webhook, state="delivered"),
        deliver(session, other),
    )
    change(session, webhook, enabled=False)
    settle(session, webhook)
    assert states(session, waiting, done, elsewhere) == ["paused", "delivered", "pending"]
    assert claimed(session, webhook) == []


def test_a_delivery_that_is_under_way_is_not_paused_under_its_worker(session: Session) -> None:
    webhook = make(session)
    row = deliver(session, webhook, lease_token="worker", lease_until_ms=LATER_MS + 1)
    change(session, webhook, enabled=False)
    settle(session, webhook)
    assert states(session, row) == ["pending"]


def test_an_endpoint_that_is_off_gets_new_deliveries_paused(session: Session) -> None:
    webhook = make(session)
    change(session, webhook, enabled=False)
    event = events.new_event("message.sent", tenant_id=TENANT_A, at_ms=NOW_MS, data={})
    events.append(session, [event])
    published = PublishedEvent(
        id=event["id"],
        tenant_id=TENANT_A,
        type="message.sent",
        message_id=None,
        device_id=None,
        created_ms=NOW_MS,
    )
    assert fan_out(session, [published], NOW_MS) == set()
    [row] = delivery_log.list_deliveries(session, TENANT_A, DeliveryFilter(webhook.id, "", ""), 10)
    assert row.state == "paused"


def test_switching_an_endpoint_on_makes_what_piled_up_due_in_its_order(session: Session) -> None:
    webhook = make(session)
    change(session, webhook, enabled=False)
    older = deliver(session, webhook, state="paused", due_ms=NOW_MS - 2)
    newer = deliver(session, webhook, state="paused", due_ms=NOW_MS - 1)
    retry = deliver(session, webhook, state="paused", due_ms=LATER_MS + 3_600_000, attempts=3, again=True)
    webhooks.enable_webhook(session, TENANT_A, webhook.id, LATER_MS)
    settle(session, webhook)
    assert states(session, older, newer, retry) == ["pending"] * 3
    assert claimed(session, webhook) == [older.id, newer.id, retry.id]
    assert (older.due_ms, retry.due_ms, retry.attempts) == (NOW_MS - 2, LATER_MS, 3)


def test_switching_an_endpoint_on_can_skip_what_piled_up(session: Session) -> None:
    webhook = make(session)
    change(session, webhook, enabled=False)
    row = deliver(session, webhook, state="paused")
    webhooks.enable_webhook(session, TENANT_A, webhook.id, LATER_MS)
    settle(session, webhook, skip_backlog=True)
    assert states(session, row) == ["skipped"]
    assert row.finished_ms == LATER_MS
    assert claimed(session, webhook) == []


def test_switching_an_endpoint_on_gives_it_a_clean_record(session: Session) -> None:
    webhook = make(session)
    webhook.enabled, webhook.disabled_reason = False, "failing"
    webhook.failures, webhook.failing_since_ms, webhook.warned_ms = 50, NOW_MS, NOW_MS
    row = webhooks.enable_webhook(session, TENANT_A, webhook.id, LATER_MS)
    assert (row.enabled, row.disabled_reason, row.failures) == (True, "", 0)
    assert (row.failing_since_ms, row.warned_ms) == (None, None)


def test_a_large_backlog_is_moved_in_steps(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "BACKLOG_STEP_MAX", 2)
    webhook = make(session)
    rows = [deliver(session, webhook, state="paused") for _ in range(5)]
    moved: list[int] = []
    while webhooks.settle_backlog(session, webhook.id, False, LATER_MS):
        moved.append(states(session, *rows).count("pending"))
    assert moved == [2, 4]
    assert states(session, *rows) == ["pending"] * 5


def test_the_last_change_of_an_endpoint_wins_over_the_steps_of_an_earlier_one(session: Session) -> None:
    webhook = make(session)
    row = deliver(session, webhook)
    change(session, webhook, enabled=False)
    change(session, webhook, enabled=True)
    settle(session, webhook)
    assert states(session, row) == ["pending"]


def test_removing_an_endpoint_skips_what_waits_and_keeps_what_was_delivered(session: Session) -> None:
    webhook, other = make(session), make(session)
    rows = [deliver(session, webhook, state=state) for state in ("pending", "paused", "delivered", "dead")]
    elsewhere = deliver(session, other)
    webhooks.delete_webhook(session, TENANT_A, webhook.id)
    settle(session, webhook)
    assert states(session, *rows, elsewhere) == ["skipped", "skipped", "delivered", "dead", "pending"]
    with pytest.raises(NotFound):
        webhooks.get_webhook(session, TENANT_A, webhook.id)


# Another tenant's


def test_another_tenants_endpoint_looks_like_none(session: Session) -> None:
    webhook = make(session)
    row = deliver(session, webhook)
    attempts = [
        lambda: webhooks.get_webhook(session, TENANT_B, webhook.id),
        lambda: webhooks.update_webhook(session, TENANT_B, WebhookChange(webhook.id), NOW_MS),
        lambda: webhooks.enable_webhook(session, TENANT_B, webhook.id, NOW_MS),
        lambda: webhooks.delete_webhook(session, TENANT_B, webhook.id),
        lambda: delivery_log.list_deliveries(session, TENANT_B, DeliveryFilter(webhook.id, "", ""), 10),
        lambda: delivery_log.get_delivery(session, TENANT_B, row.id),
        lambda: delivery_log.redeliver(session, TENANT_B, row.id, NOW_MS),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt()
    assert not webhooks.list_webhooks(session, TENANT_B)


# The record of deliveries


def test_deliveries_are_listed_newest_first_by_page_and_state(session: Session) -> None:
    webhook = make(session)
    rows = [deliver(session, webhook, state=state) for state in ("dead", "pending", "dead")]
    ids = [row.id for row in rows]

    def listed(state: str, before_id: str, limit: int) -> list[str]:
        wanted = DeliveryFilter(webhook.id, state, before_id)
        return [row.id for row in delivery_log.list_deliveries(session, TENANT_A, wanted, limit)]

    assert listed("", "", 10) == ids[::-1]
    assert listed("", ids[2], 1) == [ids[1]]
    assert listed("dead", "", 10) == [ids[2], ids[0]]
    assert listed("skipped", "", 10) == []


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
    change(session, webhook, enabled=False)
    assert delivery_log.redeliver(session, TENANT_A, row.id, LATER_MS).state == "paused"


def test_a_delivery_of_a_removed_endpoint_can_be_seen_but_not_made_again(session: Session) -> None:
    webhook = make(session)
    row = deliver(session, webhook, state="dead")
    webhooks.delete_webhook(session, TENANT_A, webhook.id)
    assert delivery_log.get_delivery(session, TENANT_A, row.id)[0].state == "dead"
    with pytest.raises(NotFound):
        delivery_log.redeliver(session, TENANT_A, row.id, LATER_MS)


# The feed


def publish(session: Session, *types: str, tenant_id: str = TENANT_A) -> list[str]:
    """Ids of new events of these types, published in this order."""
    made = [events.new_event(name, tenant_id=tenant_id, at_ms=NOW_MS, data={}) for name in types]
    events.append(session, made)
    ids = [event["id"] for event in made]
    events.mark_published(session, ids)
    return ids


def feed(
    session: Session, position: int = 0, *types: str, limit: int = 100, tenant_id: str = TENANT_A
) -> tuple[list[str], int]:
    rows, position = event_feed.read_feed(session, tenant_id, FeedRequest(position, types, limit))
    return [row.id for row in rows], position


def test_the_feed_goes_on_where_it_ended(session: Session) -> None:
    assert feed(session) == ([], 0)
    first = publish(session, "message.sent", "message.delivered")
    ids, position = feed(session)
    assert ids == first
    assert feed(session, position) == ([], position)
    second = publish(session, "message.failed")
    assert feed(session, position) == (second, position + 1)


def test_the_feed_comes_in_pages(session: Session) -> None:
    ids = publish(session, *["message.sent"] * 5)
    seen: list[str] = []
    position = 0
    for expected in (2, 2, 1, 0):
        page, position = feed(session, position, limit=2)
        assert len(page) == expected
        seen += page
    assert seen == ids


def test_an_answer_holds_as_many_events_as_fit_and_at_least_one(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = publish(session, *["message.sent"] * 3)
    size = len(session.get_one(EventRow, ids[0]).body)
    monkeypatch.setattr(event_feed, "BYTES_MAX", 2 * size)
    assert feed(session) == (ids[:2], 2)
    assert feed(session, 0, "message.sent") == (ids[:2], 2)
    assert feed(session, 2) == (ids[2:], 3)
    monkeypatch.setattr(event_feed, "BYTES_MAX", size - 1)
    assert feed(session) == (ids[:1], 1)


def test_the_feed_holds_no_event_before_it_is_published(session: Session) -> None:
    events.append(session, [events.new_event("message.sent", tenant_id=TENANT_A, at_ms=NOW_MS, data={})])
    assert feed(session) == ([], 0)


def test_the_feed_can_be_limited_to_types_also_by_the_other_name(session: Session) -> None:
    sent, inbound, failed = publish(session, "message.sent", "message.inbound", "message.failed")
    assert feed(session, 0, "message.failed", "message.sent")[0] == [sent, failed]
    assert feed(session, 0, "message.received")[0] == [inbound]


def test_the_feed_moves_past_events_of_other_types(session: Session) -> None:
    publish(session, "message.sent", "message.sent", "device.online", "message.sent")
    ids, position = feed(session, 0, "device.online")
    assert (len(ids), position) == (1, 4)
    assert feed(session, 0, "device.offline") == ([], 4)
    assert feed(session, 0, "message.sent", limit=1)[1] == 1


def test_one_call_looks_at_a_bounded_number_of_events(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "SCAN_MAX", 3)
    *_, last = publish(session, *["message.sent"] * 6, "device.online")
    assert feed(session, 0, "device.online") == ([], 3)
    assert feed(session, 3, "device.online") == ([], 6)
    assert feed(session, 6, "device.online") == ([last], 7)


def test_the_feed_shows_a_tenant_only_its_own_events(session: Session) -> None:
    own = publish(session, "message.sent")
    publish(session, "message.sent", tenant_id=TENANT_B)
    assert feed(session) == (own, 1)
    assert feed(session, 0, "message.sent") == (own, 1)
