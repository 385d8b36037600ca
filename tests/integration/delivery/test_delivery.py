"""Deliverers with a real database, sender and receiver: what is sent, when again, and what remains."""

import hashlib
import hmac
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from standardwebhooks.webhooks import Webhook

from core import delivery_log
from core.clock import SystemClock
from core.delivery.backoff import ATTEMPTS_MAX
from core.delivery.claims import Endpoint
from core.errors import Unavailable
from core.store.engine import Store
from tests.fakes import delivery_rows
from tests.fakes.database import TENANT_A
from tests.fakes.delivery_rows import DELIVERED, INBOUND
from tests.fakes.webhook_receiver import ReceivedRequest, Reply, WebhookReceiver
from tests.integration.delivery.stage import Gate, Stage, until

pytestmark = pytest.mark.usefixtures("database")


def sent_as(requests: list[ReceivedRequest]) -> set[tuple[str | None, bytes]]:
    return {(request.header("webhook-id"), request.body) for request in requests}


async def test_an_event_arrives_signed_under_its_names_and_at_the_url_as_given(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    secret = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
    await stage.add_webhook(url=f"{receiver.url}?b=2&a=%2F&a", secret=secret.encode())
    (event_id,) = await stage.add_deliveries(traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    async with stage.delivering():
        (request,) = await receiver.wait_for(1)
        await stage.until_states(delivered=1)
    (row,) = await stage.deliveries()
    assert request.target == "/hook?b=2&a=%2F&a"
    assert request.header("content-type") == "application/json"
    assert (request.header("user-agent") or "").startswith("InfiniReach")
    assert request.header("webhook-id") == event_id
    assert request.header("x-infini-reach-event") == DELIVERED
    assert request.header("x-infini-reach-delivery") == row.id
    assert request.header("x-infini-reach-attempt") == "1"
    assert request.header("traceparent") == "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    expected = hmac.new(secret.encode(), request.body, hashlib.sha256).hexdigest()
    assert request.header("x-infini-reach-signature") == request.header("x-webhook-signature") == expected


async def test_the_official_library_verifies_what_arrives(stage: Stage, receiver: WebhookReceiver) -> None:
    secret = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
    await stage.add_webhook(url=receiver.url, secret=secret.encode())
    await stage.add_deliveries()
    async with stage.delivering(stage.deliverer(clock=SystemClock())):
        (request,) = await receiver.wait_for(1)
    Webhook(secret).verify(request.body, dict(request.headers))


async def test_a_hint_is_enough_and_none_is_needed(stage: Stage, receiver: WebhookReceiver) -> None:
    endpoint = await stage.add_webhook(url=receiver.url)
    async with stage.delivering(stage.deliverer(poll_s=60.0)) as deliverer:
        await stage.add_deliveries()
        deliverer.published([endpoint])
        await stage.until_states(delivered=1)
    await stage.add_deliveries()
    async with stage.delivering():
        await stage.until_states(delivered=2)


async def test_retries_follow_the_schedule_with_the_same_id_and_bytes_until_the_last(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(Reply(500))
    endpoint = await stage.add_webhook(url=receiver.url)
    await stage.add_deliveries()
    started_ms = stage.clock.now_ms()
    async with stage.delivering() as deliverer:
        for number in range(1, ATTEMPTS_MAX):
            due_ms = await stage.until(
                lambda s, n=number: next((r.due_ms for r in delivery_rows.deliveries(s, attempts=n)), None)
            )
            stage.clock.advance((due_ms - stage.clock.now_ms()) / 1_000)
            deliverer.wake([endpoint])
        await stage.until_states(dead=1)
    requests = await receiver.wait_for(ATTEMPTS_MAX)
    assert len(receiver.requests) == ATTEMPTS_MAX
    assert len(sent_as(requests)) == 1
    assert [request.header("x-infini-reach-attempt") for request in requests] == [
        str(number) for number in range(1, ATTEMPTS_MAX + 1)
    ]
    (row,) = await stage.deliveries()
    assert [attempt.status for attempt in await stage.attempts(row.id)] == [500] * ATTEMPTS_MAX
    assert 6 < (stage.clock.now_ms() - started_ms) / 86_400_000 < 9


async def test_a_retry_is_not_sent_before_it_is_due(stage: Stage, receiver: WebhookReceiver) -> None:
    receiver.respond_with(Reply(500), Reply(200))
    endpoint = await stage.add_webhook(url=receiver.url)
    other = await stage.add_webhook(url=receiver.url)
    await stage.change(delivery_rows.change_webhook, other, events="message.failed")
    await stage.add_deliveries()
    async with stage.delivering() as deliverer:
        due_ms = await stage.until(
            lambda s: next((r.due_ms for r in delivery_rows.deliveries(s, attempts=1)), None)
        )
        stage.clock.advance((due_ms - stage.clock.now_ms() - 100) / 1_000)
        deliverer.wake([endpoint])
        # Whatever was due of the first is claimed before this one of the other is delivered.
        await stage.add_deliveries(types=("message.failed",))
        deliverer.wake([endpoint, other])
        await receiver.wait_for(3)
        assert [
            row.attempts for row in await stage.deliveries(webhook_id=endpoint, event_type=DELIVERED)
        ] == [1]
        stage.clock.advance(0.1)
        await stage.until_states(delivered=3)


async def test_the_alias_is_sent_with_the_same_bytes_on_every_attempt(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(Reply(503), Reply(200))
    await stage.add_webhook(url=receiver.url, events="message.received")
    await stage.add_deliveries(types=(INBOUND,))
    async with stage.delivering():
        await stage.until(lambda s: delivery_rows.deliveries(s, attempts=1))
        stage.clock.advance(10)
        await stage.until_states(delivered=1)
    first, second = receiver.requests
    assert first.header("x-infini-reach-event") == "message.received"
    assert first.body == second.body
    assert first.body.startswith(b'{"event":"message.received",')


async def test_410_stops_all_deliveries_to_the_endpoint_and_is_announced(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(Reply(410))
    endpoint = await stage.add_webhook(url=receiver.url, ordered=True)
    await stage.add_deliveries(5)
    async with stage.delivering():
        await stage.until_states(paused=5)
    assert len(receiver.requests) == 1
    row = await stage.webhook(endpoint)
    assert (row.enabled, row.disabled_reason) == (False, "gone")
    assert stage.announced == 1


async def test_an_endpoint_that_failed_for_five_days_is_switched_off(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(Reply(500))
    five_days_ago_ms = stage.clock.now_ms() - 5 * 86_400_000
    endpoint = await stage.add_webhook(
        url=receiver.url, failures=49, failing_since_ms=five_days_ago_ms, warned_ms=five_days_ago_ms
    )
    await stage.add_deliveries()
    async with stage.delivering():
        await stage.until_states(paused=1)
    assert (await stage.webhook(endpoint)).disabled_reason == "failing"


async def test_an_endpoint_switched_off_while_a_delivery_is_under_way_gets_no_more(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    gate = Gate(Reply(500))
    receiver.respond_with(gate)
    endpoint = await stage.add_webhook(url=receiver.url, ordered=True)
    await stage.add_deliveries(3)
    async with stage.delivering() as deliverer:
        await receiver.wait_for(1)
        await stage.change(delivery_rows.change_webhook, endpoint, enabled=False)
        deliverer.wake([endpoint])
        gate.open()
        await stage.until_states(paused=3)
    assert len(receiver.requests) == 1


async def test_an_endpoint_deleted_while_a_delivery_is_under_way_gets_no_more(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    gate = Gate(Reply(500))
    receiver.respond_with(gate)
    endpoint = await stage.add_webhook(url=receiver.url, ordered=True)
    await stage.add_deliveries(3)
    async with stage.delivering() as deliverer:
        await receiver.wait_for(1)
        await stage.change(delivery_rows.delete_webhook, endpoint)
        deliverer.wake([endpoint])
        gate.open()
        await stage.until_states(skipped=3)
    assert len(receiver.requests) == 1


async def test_a_changed_url_is_used_from_the_next_attempt_on(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    gate = Gate(Reply(500))
    receiver.respond_with(gate, Reply(200))
    endpoint = await stage.add_webhook(url=f"{receiver.url}/old", ordered=True)
    await stage.add_deliveries(2)
    async with stage.delivering() as deliverer:
        await receiver.wait_for(1)
        await stage.change(delivery_rows.change_webhook, endpoint, url=f"{receiver.url}/new", version=2)
        deliverer.wake([endpoint])
        gate.open()
        await stage.until(lambda s: delivery_rows.deliveries(s, attempts=1))
        stage.clock.advance(10)
        await stage.until_states(delivered=2)
    assert [request.path for request in receiver.requests] == ["/hook/old", "/hook/new", "/hook/new"]


async def test_a_secret_that_cannot_be_opened_harms_its_endpoint_alone(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    broken = await stage.add_webhook(url=receiver.url)
    await stage.add_webhook(url=receiver.url)
    await stage.add_deliveries()

    def open_secrets(endpoint: Endpoint) -> list[str]:
        if endpoint.webhook_id == broken:
            raise ValueError("no such key")
        return [endpoint.secret.decode()]

    async with stage.delivering(stage.deliverer(open_secrets=open_secrets)):
        await stage.until_states(delivered=1, pending=1)
        (row,) = await stage.until(lambda s: delivery_rows.deliveries(s, attempts=1, webhook_id=broken))
    (attempt,) = await stage.attempts(row.id)
    assert (attempt.status, attempt.error) == (0, "internal")


class UnwillingStore:
    """A store that refuses a few of the transactions with this name."""

    def __init__(self, store: Store, name: str, *, times: int) -> None:
        self.read = store.read
        self.refused = 0
        self._store = store
        self._name = name
        self._times = times

    async def run(self, function: Any, *args: Any) -> Any:
        """Refuse or run."""
        name = getattr(function, "func", function).__name__
        if name == self._name and self.refused < self._times:
            self.refused += 1
            raise Unavailable
        return await self._store.run(function, *args)


@pytest.mark.parametrize("name", ["claim", "settle"])
async def test_a_database_that_refuses_for_a_while_costs_no_delivery_and_no_second_attempt(
    stage: Stage, receiver: WebhookReceiver, name: str
) -> None:
    await stage.add_webhook(url=receiver.url)
    await stage.add_deliveries(3)
    store = UnwillingStore(stage.store, name, times=1)
    async with stage.delivering(stage.deliverer(store=store)):
        await stage.until_states(delivered=3)
    assert store.refused == 1
    assert len(receiver.requests) == 3


async def test_the_age_of_the_oldest_due_delivery_counts_what_the_breaker_defers(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(Reply(500))
    await stage.add_webhook(url=receiver.url)
    await stage.add_deliveries(20)
    registry = CollectorRegistry()
    async with stage.delivering(stage.deliverer(registry=registry)):
        await until(lambda: _sample(registry, "infinireach_webhook_open_breakers"))
        stage.clock.advance(20)
        age_s = await until(lambda: _sample(registry, "infinireach_webhook_oldest_due_age_seconds"))
    assert age_s >= 20
    assert registry.get_sample_value("infinireach_webhook_attempts_total", {"outcome": "5xx"}) == len(
        receiver.requests
    )


async def _sample(registry: CollectorRegistry, name: str) -> float | None:
    return registry.get_sample_value(name)


class StoreWithPoison(UnwillingStore):
    """A store that cannot record what this endpoint answered."""

    async def run(self, function: Any, *args: Any) -> Any:
        """Fail for any batch that holds it."""
        if getattr(function, "func", function).__name__ == "settle" and any(
            attempt.response == "poison" for attempt in args[0]
        ):
            self.refused += 1
            raise RuntimeError("cannot be stored")
        return await super().run(function, *args)


async def test_an_answer_that_cannot_be_recorded_holds_up_no_other(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(Reply(200, b"poison"), Reply())
    await stage.add_webhook(url=receiver.url)
    await stage.add_deliveries(5)
    store = StoreWithPoison(stage.store, "settle", times=0)
    async with stage.delivering(stage.deliverer(store=store)):
        await stage.until_states(delivered=4, pending=1)
    assert store.refused > 0


async def test_an_ordered_endpoint_goes_on_at_once_when_its_owner_redelivers_the_head_in_another_process(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(Reply(503, headers=(("Retry-After", "86400"),)), Reply(200))
    await stage.add_webhook(url=receiver.url, ordered=True)
    await stage.add_deliveries(2)
    async with stage.delivering():
        (head,) = await stage.until(lambda s: delivery_rows.deliveries(s, attempts=1))
        stage.clock.advance(1)
        await stage.store.run(delivery_log.redeliver, TENANT_A, head.id, stage.clock.now_ms())
        await stage.until_states(delivered=2)
    assert [request.header("x-infini-reach-delivery") for request in receiver.requests][:2] == [head.id] * 2


async def test_an_endpoint_that_was_ordered_goes_on_behind_its_head_when_another_process_says_so(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(Reply(503, headers=(("Retry-After", "86400"),)), Reply(200))
    endpoint = await stage.add_webhook(url=receiver.url, ordered=True)
    await stage.add_deliveries(2)
    async with stage.delivering():
        await stage.until(lambda s: delivery_rows.deliveries(s, attempts=1))
        await stage.change(delivery_rows.change_webhook, endpoint, ordered=False)
        await stage.until_states(delivered=1, pending=1)
