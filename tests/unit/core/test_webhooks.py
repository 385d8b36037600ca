"""Endpoints, and what their changes do to the deliveries that wait for them."""

from collections.abc import Generator
from typing import Any

import pytest
from sqlalchemy.orm import Session

from core import delivery_log, events, webhooks
from core.delivery.fanout import fan_out
from core.delivery_log import DeliveryFilter
from core.errors import NotFound, TooManyWebhooks
from core.eventlog.port import PublishedEvent
from core.ids import is_id
from core.store.rows import DeliveryRow, WebhookRow
from core.vault import VaultError
from core.webhooks import WebhookChange
from tests.fakes.database import TENANT_A, TENANT_B, memory_session
from tests.fakes.webhook_rows import LATER_MS, NOW_MS, PLAIN, VAULT, claimed, deliver, make

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def session() -> Generator[Session]:
    with memory_session() as session:
        yield session


def change(session: Session, webhook: WebhookRow, **values: Any) -> WebhookRow:
    return webhooks.update_webhook(session, webhook.tenant_id, WebhookChange(webhook.id, **values), LATER_MS)


def states(session: Session, *rows: DeliveryRow) -> list[str]:
    session.flush()
    session.expire_all()
    return [row.state for row in rows]


def settle(session: Session, webhook: WebhookRow) -> None:
    while webhooks.settle_backlog(session, webhook.id, LATER_MS):
        pass


# Endpoints


ALL_BUT_READING = [each for each in events.EVENT_TYPES if each != "message.read"]


def test_a_new_endpoint_is_on_and_wants_all_events_but_reading_unless_it_names_some(session: Session) -> None:
    row = make(session)
    assert is_id(row.id)
    assert (row.enabled, row.version, row.url) == (True, 1, "https://example.com/hook?a=1")
    assert row.events.split() == ALL_BUT_READING
    assert make(session, events=("message.read",)).events == "message.read"
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


def test_no_events_means_all_but_reading_also_when_changed(session: Session) -> None:
    row = change(session, make(session, events=("message.sent",)), events=())
    assert row.events.split() == ALL_BUT_READING


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
    assert fan_out(session, [published], NOW_MS) == {webhook.id: False}
    [row] = delivery_log.list_deliveries(session, TENANT_A, DeliveryFilter(webhook.id, "", ""), 10)[0]
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
    assert not webhooks.skip_paused(session, TENANT_A, webhook.id, LATER_MS)
    webhooks.enable_webhook(session, TENANT_A, webhook.id, LATER_MS)
    settle(session, webhook)
    assert states(session, row) == ["skipped"]
    assert row.finished_ms == LATER_MS
    assert claimed(session, webhook) == []


def test_switching_an_endpoint_on_gives_it_a_clean_record(session: Session) -> None:
    webhook = make(session)
    webhook.enabled, webhook.disabled_reason = False, "failing"
    webhook.failures, webhook.failing_since_ms, webhook.warned_ms = 50, NOW_MS, NOW_MS
    session.flush()
    row = webhooks.enable_webhook(session, TENANT_A, webhook.id, LATER_MS)
    assert (row.enabled, row.disabled_reason, row.failures) == (True, "", 0)
    assert (row.failing_since_ms, row.warned_ms) == (None, None)


def test_a_large_backlog_is_moved_in_steps(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "BACKLOG_STEP_MAX", 2)
    webhook = make(session)
    rows = [deliver(session, webhook, state="paused") for _ in range(5)]
    moved: list[int] = []
    while webhooks.settle_backlog(session, webhook.id, LATER_MS):
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
        lambda: webhooks.skip_paused(session, TENANT_B, webhook.id, NOW_MS),
        lambda: webhooks.delete_webhook(session, TENANT_B, webhook.id),
        lambda: delivery_log.list_deliveries(session, TENANT_B, DeliveryFilter(webhook.id, "", ""), 10),
        lambda: delivery_log.get_delivery(session, TENANT_B, row.id),
        lambda: delivery_log.redeliver(session, TENANT_B, row.id, NOW_MS),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt()
    assert not webhooks.list_webhooks(session, TENANT_B)
