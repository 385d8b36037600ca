"""Requests on webhooks read: what every field may hold, and that all faults are told at once."""

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from core.api import paging, validate_webhooks
from core.delivery_log import DeliveryFilter
from core.errors import InvalidArgument, NotFound
from core.event_feed import FeedRequest
from core.webhooks import NewWebhook, WebhookChange
from infinireach.v1.webhook_pb2 import DELIVERY_STATE_DEAD, Webhook
from infinireach.v1.webhooks_service_pb2 import (
    ListDeliveriesRequest,
    ListEventsRequest,
    UpdateWebhookRequest,
)

TENANT = "a" * 24
ID = "b" * 24
URL = "https://example.com/hook"
FORBIDDEN_URL = "https://forbidden.example/"


def url_issue(url: str) -> str | None:
    return "is not allowed" if url == FORBIDDEN_URL else None


def faulty_fields(read: Callable[[], object]) -> list[str]:
    with pytest.raises(InvalidArgument) as refused:
        read()
    assert all(violation.description for violation in refused.value.violations)
    return sorted(violation.field for violation in refused.value.violations)


def new(**fields: Any) -> NewWebhook:
    given: dict[str, Any] = {"url": URL} | fields
    return validate_webhooks.new_webhook(Webhook(**given), TENANT, url_issue=url_issue, timeout_default_s=10)


def change(*paths: str, webhook_id: str = ID, **fields: Any) -> WebhookChange:
    webhook = Webhook(id=webhook_id, **fields)
    request = UpdateWebhookRequest(webhook=webhook, update_mask=FieldMask(paths=paths))
    return validate_webhooks.webhook_change(request, url_issue=url_issue, timeout_default_s=10)


FAULTS = [
    ("url", ""),
    ("url", FORBIDDEN_URL),
    ("events", ["message.unheard"]),
    ("events", [""]),
    ("events", ["webhook.test"]),
    ("events", ["message.sent", "MESSAGE.SENT"]),
    ("events", ["message.received", "message.inbound"]),
    ("timeout_s", -1),
    ("timeout_s", 31),
    ("description", "x" * 256),
    ("description", "a\nb"),
    ("description", "\0"),
]


def test_an_endpoint_needs_no_more_than_a_url() -> None:
    assert new() == NewWebhook(TENANT, url=URL, events=[], timeout_s=10, ordered=False, description="")


def test_an_endpoint_takes_every_field_and_each_event_once() -> None:
    events = ["message.received", "device.online", "message.received"]
    assert new(events=events, timeout_s=30, ordered=True, description="Shop") == NewWebhook(
        TENANT,
        url=URL,
        events=["message.received", "device.online"],
        timeout_s=30,
        ordered=True,
        description="Shop",
    )


@pytest.mark.parametrize(("field", "value"), FAULTS)
def test_a_faulty_field_of_an_endpoint_is_refused(field: str, value: Any) -> None:
    assert faulty_fields(lambda: new(**{field: value})) == [field]
    assert faulty_fields(lambda: change(field, **{field: value})) == [field]


def test_every_faulty_field_of_an_endpoint_is_named_at_once() -> None:
    faulty: dict[str, Any] = {"url": "", "events": ["x"], "timeout_s": 99, "description": "\0"}
    assert faulty_fields(lambda: new(**faulty)) == ["description", "events", "timeout_s", "url"]
    assert faulty_fields(lambda: change(*faulty, **faulty)) == ["description", "events", "timeout_s", "url"]


def test_an_endpoint_changes_in_what_the_mask_names() -> None:
    assert change("enabled", url=FORBIDDEN_URL, timeout_s=99) == WebhookChange(ID, enabled=False)
    assert change("events") == WebhookChange(ID, events=[])
    assert change("timeout_s") == WebhookChange(ID, timeout_s=10)
    assert change("url", "ordered", "description", url=URL) == WebhookChange(
        ID, url=URL, ordered=False, description=""
    )


@pytest.mark.parametrize("paths", [[], ["secret"], ["url", "id"], [""], ["*"], ["timeoutS"]])
def test_a_mask_names_at_least_one_field_and_only_known_ones(paths: list[str]) -> None:
    assert faulty_fields(lambda: change(*paths, url=URL)) == ["update_mask"]


def test_the_endpoint_to_change_must_be_named() -> None:
    assert faulty_fields(lambda: change("enabled", webhook_id="")) == ["webhook.id"]
    with pytest.raises(NotFound):
        change("enabled", webhook_id="x")


def test_a_list_of_deliveries_takes_state_and_page() -> None:
    plain = ListDeliveriesRequest(webhook_id=ID)
    assert validate_webhooks.list_deliveries(plain) == DeliveryFilter(ID, "", "")
    page = ListDeliveriesRequest(webhook_id=ID, state=DELIVERY_STATE_DEAD, page_token=paging.encode("c" * 24))
    assert validate_webhooks.list_deliveries(page) == DeliveryFilter(ID, "dead", "c" * 24)


@pytest.mark.parametrize(
    ("field", "value"),
    [("page_size", -1), ("page_size", 201), ("page_token", "x"), ("state", 6), ("state", -1)],
)
def test_a_faulty_field_of_a_list_of_deliveries_is_refused(field: str, value: Any) -> None:
    request = ListDeliveriesRequest(webhook_id=ID, **{field: value})
    assert faulty_fields(lambda: validate_webhooks.list_deliveries(request)) == [field]


def test_every_faulty_field_of_a_list_is_named_at_once() -> None:
    faulty: dict[str, Any] = {"page_size": -1, "page_token": "x", "state": -1}
    request = ListDeliveriesRequest(webhook_id=ID, **faulty)
    assert faulty_fields(lambda: validate_webhooks.list_deliveries(request)) == [
        "page_size",
        "page_token",
        "state",
    ]


def test_the_feed_takes_cursor_types_and_size() -> None:
    assert validate_webhooks.list_events(ListEventsRequest()) == FeedRequest(0, [], 100)
    request = ListEventsRequest(after=paging.encode_cursor(7), types=["message.received"], page_size=1000)
    assert validate_webhooks.list_events(request) == FeedRequest(7, ["message.received"], 1000)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("after", "x"),
        ("after", paging.encode(ID)),
        ("types", ["message.unheard"]),
        ("types", [""]),
        ("page_size", -1),
        ("page_size", 1001),
    ],
)
def test_a_faulty_field_of_the_feed_is_refused(field: str, value: Any) -> None:
    request = ListEventsRequest(**{field: value})
    assert faulty_fields(lambda: validate_webhooks.list_events(request)) == [field]
