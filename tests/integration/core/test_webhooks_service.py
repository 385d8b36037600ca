"""WebhooksService over gRPC: endpoints, what waits for them, tests of them."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from standardwebhooks.webhooks import Webhook as Verifier

from core import events, webhooks
from core.clock import SystemClock
from core.delivery.egress import EgressPolicy
from core.delivery.resolver import system_lookup
from core.delivery.sender import ErrorClass, WebhookSender, verifying_tls_context
from infinireach.v1 import webhook_pb2
from infinireach.v1 import webhooks_service_pb2 as pb
from tests.fakes.core_apis import TIMEOUT_DEFAULT_S, CoreApis, core_apis
from tests.fakes.database import TENANT_A, TENANT_B
from tests.fakes.rpc_outcome import refusal
from tests.fakes.set_clock import START_MS
from tests.fakes.webhook_calls import URL, add_deliveries, call, create, deliveries, states
from tests.fakes.webhook_receiver import Reply, WebhookReceiver

pytestmark = pytest.mark.usefixtures("database")

UNKNOWN_ID = "f" * 24
ALL_EVENTS = list(events.EVENT_TYPES_BY_DEFAULT)


@pytest.fixture
async def apis(tmp_path: Path) -> AsyncGenerator[CoreApis]:
    async with core_apis(tmp_path) as apis:
        yield apis


async def get(apis: CoreApis, webhook_id: str) -> webhook_pb2.Webhook:
    return (await call(apis, "GetWebhook", pb.GetWebhookRequest(webhook_id=webhook_id))).webhook


async def update(apis: CoreApis, webhook_id: str, **fields: Any) -> webhook_pb2.Webhook:
    request = pb.UpdateWebhookRequest(
        webhook={"id": webhook_id, **fields}, update_mask=FieldMask(paths=list(fields))
    )
    return (await call(apis, "UpdateWebhook", request)).webhook


async def enable(apis: CoreApis, webhook_id: str, *, skip_backlog: bool = False) -> webhook_pb2.Webhook:
    request = pb.EnableWebhookRequest(webhook_id=webhook_id, skip_backlog=skip_backlog)
    return (await call(apis, "EnableWebhook", request)).webhook


async def try_webhook(apis: CoreApis, webhook_id: str, tenant_id: str = TENANT_A) -> Any:
    return await call(apis, "TestWebhook", pb.TestWebhookRequest(webhook_id=webhook_id), tenant_id)


# Endpoints


async def test_an_endpoint_is_made_with_its_secret_shown_once(apis: CoreApis) -> None:
    made = await create(apis)
    assert made.secret.startswith("whsec_")
    assert made.webhook == webhook_pb2.Webhook(
        id=made.webhook.id,
        url=URL,
        events=ALL_EVENTS,
        enabled=True,
        timeout_s=TIMEOUT_DEFAULT_S,
        create_time={"seconds": START_MS // 1000},
        update_time={"seconds": START_MS // 1000},
    )
    assert await get(apis, made.webhook.id) == made.webhook


async def test_an_endpoint_takes_every_field(apis: CoreApis) -> None:
    made = await create(
        apis, events=["message.received"], timeout_s=30, ordered=True, description="Shop", enabled=False
    )
    found = made.webhook
    assert (list(found.events), found.timeout_s, found.ordered) == (["message.received"], 30, True)
    assert (found.description, found.enabled) == ("Shop", True)


async def test_endpoints_are_listed_oldest_first(apis: CoreApis) -> None:
    made = [(await create(apis)).webhook for _ in range(3)]
    assert list((await call(apis, "ListWebhooks", pb.ListWebhooksRequest())).webhooks) == made


async def test_a_tenant_has_at_most_fifty_endpoints(apis: CoreApis) -> None:
    for _ in range(webhooks.WEBHOOKS_MAX):
        await create(apis)
    refused = await refusal(create(apis))
    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "TOO_MANY_WEBHOOKS")
    assert await create(apis, TENANT_B)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", ""),
        ("url", "example.com"),
        ("url", "ftp://example.com/"),
        ("url", "https://user:password@example.com/"),
        ("url", "https://169.254.169.254/latest/meta-data"),
        ("url", "https://10.0.0.1/"),
        ("url", "https://example.com:22/"),
        ("url", "https://example.com/#a"),
        ("url", "https://example.com/\0"),
        ("url", "https://example.com/" + "x" * 3000),
        ("events", ["message.unheard"]),
        ("events", ["message.inbound", "message.received"]),
        ("timeout_s", 31),
        ("timeout_s", -1),
        ("description", "x" * 256),
        ("description", "\0"),
    ],
)
async def test_a_faulty_field_is_named_when_an_endpoint_is_made_or_changed(
    apis: CoreApis, field: str, value: Any
) -> None:
    refused = await refusal(create(apis, **{field: value}))
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", [field])
    made = await create(apis)
    refused = await refusal(update(apis, made.webhook.id, **{field: value}))
    assert (refused.code, refused.fields) == ("INVALID_ARGUMENT", [field])
    assert await get(apis, made.webhook.id) == made.webhook


async def test_every_faulty_field_is_named_at_once(apis: CoreApis) -> None:
    refused = await refusal(create(apis, url="", events=["x"], timeout_s=31, description="\0"))
    assert refused.fields == ["description", "events", "timeout_s", "url"]


async def test_an_endpoint_changes_in_what_the_mask_names(apis: CoreApis) -> None:
    made = await create(apis)
    apis.clock.advance(5)
    changed = await update(apis, made.webhook.id, url="http://127.0.0.1:9000/", events=["device.online"])
    assert (changed.url, list(changed.events)) == ("http://127.0.0.1:9000/", ["device.online"])
    assert changed.timeout_s == TIMEOUT_DEFAULT_S
    assert changed.update_time.ToMilliseconds() == START_MS + 5000
    assert await get(apis, made.webhook.id) == changed
    assert apis.woken == [made.webhook.id]


async def test_a_change_that_names_nothing_is_refused(apis: CoreApis) -> None:
    made = await create(apis)
    assert (await refusal(update(apis, made.webhook.id))).fields == ["update_mask"]


# What waits for an endpoint


async def test_an_endpoint_that_is_switched_off_has_its_deliveries_paused_until_it_is_on(
    apis: CoreApis,
) -> None:
    webhook_id = (await create(apis)).webhook.id
    await apis.store.run(add_deliveries, webhook_id, ["pending", "delivered"])
    assert not (await update(apis, webhook_id, enabled=False)).enabled
    assert await states(apis, webhook_id) == ["PAUSED", "DELIVERED"]
    assert (await update(apis, webhook_id, enabled=True)).enabled
    assert await states(apis, webhook_id) == ["PENDING", "DELIVERED"]
    assert apis.woken == [webhook_id] * 2


async def test_switching_on_can_skip_what_piled_up(apis: CoreApis) -> None:
    webhook_id = (await create(apis)).webhook.id
    await apis.store.run(add_deliveries, webhook_id, ["pending"])
    await update(apis, webhook_id, enabled=False)
    assert (await enable(apis, webhook_id, skip_backlog=True)).enabled
    assert await states(apis, webhook_id) == ["SKIPPED"]


async def test_what_is_skipped_is_skipped_before_its_endpoint_is_on(
    apis: CoreApis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "BACKLOG_STEP_MAX", 1)
    webhook_id = (await create(apis)).webhook.id
    await update(apis, webhook_id, enabled=False)
    await apis.store.run(add_deliveries, webhook_id, ["paused"] * 20)
    pending = asyncio.ensure_future(enable(apis, webhook_id, skip_backlog=True))
    while not (await get(apis, webhook_id)).enabled:
        pass
    assert await states(apis, webhook_id) == ["SKIPPED"] * 20
    assert (await pending).enabled


async def test_a_backlog_of_many_steps_is_moved_even_if_the_caller_hangs_up(
    apis: CoreApis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "BACKLOG_STEP_MAX", 1)
    webhook_id = (await create(apis)).webhook.id
    await apis.store.run(add_deliveries, webhook_id, ["paused"] * 20)
    pending = asyncio.ensure_future(enable(apis, webhook_id))
    while "PENDING" not in await states(apis, webhook_id):
        pass
    pending.cancel()
    while "PAUSED" in await states(apis, webhook_id):
        pass
    assert await states(apis, webhook_id) == ["PENDING"] * 20


async def test_a_removed_endpoint_is_gone_and_its_deliveries_are_skipped(apis: CoreApis) -> None:
    webhook_id = (await create(apis)).webhook.id
    [delivery_id] = await apis.store.run(add_deliveries, webhook_id, ["pending"])
    await call(apis, "DeleteWebhook", pb.DeleteWebhookRequest(webhook_id=webhook_id))
    assert (await refusal(get(apis, webhook_id))).code == "NOT_FOUND"
    assert (await refusal(deliveries(apis, webhook_id))).code == "NOT_FOUND"
    found = await call(apis, "GetDelivery", pb.GetDeliveryRequest(delivery_id=delivery_id))
    assert found.delivery.state == webhook_pb2.DELIVERY_STATE_SKIPPED


REQUESTS_BY_ID: list[tuple[str, Any, str]] = [
    ("GetWebhook", pb.GetWebhookRequest, "webhook_id"),
    ("DeleteWebhook", pb.DeleteWebhookRequest, "webhook_id"),
    ("EnableWebhook", pb.EnableWebhookRequest, "webhook_id"),
    ("TestWebhook", pb.TestWebhookRequest, "webhook_id"),
    ("ListDeliveries", pb.ListDeliveriesRequest, "webhook_id"),
    ("GetDelivery", pb.GetDeliveryRequest, "delivery_id"),
    ("RedeliverDelivery", pb.RedeliverDeliveryRequest, "delivery_id"),
]


@pytest.mark.parametrize(("method", "request_type", "field"), REQUESTS_BY_ID)
async def test_an_id_that_names_nothing_is_not_found_and_a_missing_one_a_faulty_field(
    apis: CoreApis, method: str, request_type: Any, field: str
) -> None:
    for unknown in (UNKNOWN_ID, "x", "\0", "' OR 1=1", "0" * 10_000):
        refused = await refusal(call(apis, method, request_type(**{field: unknown})))
        assert (refused.code, refused.reason) == ("NOT_FOUND", "NOT_FOUND")
    assert (await refusal(call(apis, method, request_type()))).fields == [field]


async def test_an_endpoint_to_change_that_is_not_there_is_not_found(apis: CoreApis) -> None:
    assert (await refusal(update(apis, UNKNOWN_ID, url=URL))).code == "NOT_FOUND"
    assert (await refusal(update(apis, "", url=URL))).fields == ["webhook.id"]


# Tests of endpoints


async def test_a_test_is_one_signed_request_and_says_how_it_went(apis: CoreApis) -> None:
    made = await create(apis, timeout_s=3)
    answer = await try_webhook(apis, made.webhook.id)
    assert answer.success
    assert answer.attempt == webhook_pb2.DeliveryAttempt(
        number=1, time={"seconds": START_MS // 1000}, status=204, duration_ms=7
    )
    [sent] = apis.sends.requests
    assert (sent.url, sent.deadline_s, sent.endpoint_id) == (URL, 3, made.webhook.id)
    assert sent.headers["X-Infini-Reach-Event"] == "webhook.test"
    body = json.loads(sent.body)
    assert list(body) == ["event", "timestamp", "data"]
    assert (body["event"], body["timestamp"]) == ("webhook.test", "2025-10-09T08:53:20Z")
    assert body["data"]["webhookId"] == made.webhook.id
    assert await states(apis, made.webhook.id) == []


async def test_a_failed_test_says_why_and_never_gives_the_answers_body(apis: CoreApis) -> None:
    webhook_id = (await create(apis)).webhook.id
    apis.sends.answer = replace(apis.sends.answer, status=500, response_snippet="secret of the inside")
    answer = await try_webhook(apis, webhook_id)
    assert (answer.success, answer.attempt.status, answer.attempt.response) == (False, 500, "")
    apis.sends.answer = replace(apis.sends.answer, status=None, error_class=ErrorClass.DENIED)
    answer = await try_webhook(apis, webhook_id)
    assert (answer.success, answer.attempt.status, answer.attempt.error) == (False, 0, "denied")
    assert "secret" not in str(answer)


async def test_a_tenant_may_test_ten_times_a_minute(apis: CoreApis) -> None:
    first, second = (await create(apis)).webhook.id, (await create(apis)).webhook.id
    other = (await create(apis, TENANT_B)).webhook.id
    for webhook_id in [first, second] * 5:
        await try_webhook(apis, webhook_id)
    refused = await refusal(try_webhook(apis, first))
    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "TEST_RATE_LIMITED")
    assert len(apis.sends.requests) == 10
    assert (await try_webhook(apis, other, TENANT_B)).success
    apis.clock.advance(60)
    assert (await try_webhook(apis, first)).success


async def test_a_test_reaches_a_receiver_that_verifies_it_with_the_secret(tmp_path: Path) -> None:
    sender = WebhookSender(
        EgressPolicy.development(), tls=verifying_tls_context(), lookup=system_lookup, clock=SystemClock()
    )
    async with WebhookReceiver() as receiver, sender, core_apis(tmp_path, sender.send) as apis:
        apis.clock.set(SystemClock().now_ms())
        receiver.respond_with(Reply(200, body=b"body of the answer"))
        made = await create(apis, url=receiver.url)
        answer = await try_webhook(apis, made.webhook.id)
        assert (answer.success, answer.attempt.status) == (True, 200)
        assert "body of the answer" not in str(answer)
        [request] = await receiver.wait_for(1)
    headers = {name.lower(): value for name, value in request.headers}
    assert Verifier(made.secret).verify(request.body, headers)["event"] == "webhook.test"
