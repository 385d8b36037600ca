"""Endpoints and tenants side by side: what one of them does costs the others nothing."""

from collections import Counter

import pytest

from core.delivery.breaker import CONSECUTIVE_FAILURES_MAX, OPEN_MS_FIRST
from core.delivery.fanout import fan_out
from tests.fakes import delivery_rows
from tests.fakes.database import TENANT_A, TENANT_B
from tests.fakes.delivery_rows import DELIVERED, SENT
from tests.fakes.webhook_receiver import Connection, ReceivedRequest, Reply, WebhookReceiver, say_nothing
from tests.integration.delivery.stage import Gate, Stage, by_path

pytestmark = pytest.mark.usefixtures("database")


def root(receiver: WebhookReceiver) -> str:
    return receiver.url.removesuffix("/hook")


async def test_healthy_endpoints_get_everything_while_one_hangs_with_ten_times_the_traffic(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(by_path(hang=say_nothing))
    hanging = await stage.add_webhook(url=f"{root(receiver)}/hang", events=SENT)
    for _ in range(9):
        await stage.add_webhook(url=f"{root(receiver)}/ok", events=DELIVERED)
    await stage.add_deliveries(50, types=(SENT,))
    await stage.add_deliveries(5)
    async with stage.delivering():
        await stage.until_states(delivered=45, pending=50)
    paths = Counter(request.path for request in receiver.requests)
    assert paths == {"/ok": 45, "/hang": 4}
    assert all(row.attempts == 0 for row in await stage.deliveries(webhook_id=hanging))


async def test_endpoints_that_hang_in_numbers_give_their_slots_back_within_seconds(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(by_path(hang=say_nothing))
    for _ in range(6):
        await stage.add_webhook(url=f"{root(receiver)}/hang", events=SENT)
    await stage.add_deliveries(8, types=(SENT,))
    async with stage.delivering(stage.deliverer(slots=16)) as deliverer:
        await receiver.wait_for(12)
        healthy = [await stage.add_webhook(url=f"{root(receiver)}/ok", events=DELIVERED) for _ in range(4)]
        await stage.add_deliveries(3)
        stage.clock.advance(2.0)
        deliverer.wake(healthy)
        await stage.until_states(delivered=12, pending=48)


async def test_an_open_breaker_defers_at_no_cost_and_lets_one_probe_through(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(Reply(500))
    endpoint = await stage.add_webhook(url=receiver.url)
    await stage.add_deliveries(30)
    async with stage.delivering() as deliverer:
        await stage.until(lambda s: len(delivery_rows.deliveries(s, attempts=1)) >= CONSECUTIVE_FAILURES_MAX)
        await stage.until(lambda s: not [r for r in delivery_rows.deliveries(s) if r.lease_token])
        tried = len(receiver.requests)
        # Four may have been in flight when the fifth failure came.
        assert CONSECUTIVE_FAILURES_MAX <= tried <= CONSECUTIVE_FAILURES_MAX + 3
        gate = Gate()
        receiver.respond_with(gate)
        stage.clock.advance(OPEN_MS_FIRST / 1_000)
        deliverer.wake([endpoint])
        await receiver.wait_for(tried + 1)
        # All 30 are due by now, and the poll says so again and again; a second delivery proves that it ran.
        await stage.add_webhook(url=f"{root(receiver)}/other", events=SENT)
        receiver.respond_with(by_path(hook=gate))
        await stage.add_deliveries(1, types=(SENT,))
        await stage.until(lambda s: delivery_rows.deliveries(s, state="delivered"))
        assert gate.waiting == 1
        gate.open()
        await stage.until_states(delivered=32)
    assert sum(row.attempts for row in await stage.deliveries(webhook_id=endpoint)) == tried + 31


async def test_a_tenant_with_a_burst_does_not_keep_another_waiting(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    for number in range(20):
        await stage.add_webhook(url=f"{root(receiver)}/noisy/{number}", tenant_id=TENANT_A)
    await stage.add_webhook(url=f"{root(receiver)}/quiet", tenant_id=TENANT_B)
    await stage.add_deliveries(20)
    await stage.add_deliveries(5, tenant_id=TENANT_B)
    async with stage.delivering(stage.deliverer(slots=2)):
        await stage.until_states(delivered=405)
    paths = [request.path for request in receiver.requests]
    assert len(paths) == 405
    last_quiet = max(n for n, path in enumerate(paths) if path == "/quiet")
    assert last_quiet < 60, "it should have had every second turn, not every twentieth"


async def test_replays_and_retries_do_not_keep_first_attempts_waiting(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    gate = Gate()
    receiver.respond_with(by_path(old=gate))
    for number in range(10):
        await stage.add_webhook(url=f"{root(receiver)}/old/{number}", events=SENT)
    await stage.add_deliveries(3, types=(SENT,))
    await stage.change(
        lambda s: s.connection().exec_driver_sql("UPDATE delivery SET again = true, replay = 1")
    )
    await stage.add_webhook(url=f"{root(receiver)}/new", events=DELIVERED)
    await stage.add_deliveries(20)
    async with stage.delivering(stage.deliverer(slots=8)):
        await stage.until_states(delivered=20, pending=30)
        assert gate.waiting <= 2
        gate.open()
        await stage.until_states(delivered=50)


async def test_an_ordered_endpoint_gets_everything_in_order_and_its_head_blocks(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(Reply(200), Reply(500), Reply(500), Reply(200))
    endpoint = await stage.add_webhook(url=receiver.url, ordered=True)
    events = await stage.add_deliveries(40)
    async with stage.delivering() as deliverer:
        for attempts in (1, 2):
            await stage.until(
                lambda s, n=attempts: [
                    r for r in delivery_rows.deliveries(s, state="pending", attempts=n) if not r.lease_token
                ]
            )
            assert len(receiver.requests) == 1 + attempts
            stage.clock.advance(60)
            deliverer.published([endpoint])
        await stage.until_states(delivered=40)
    arrived = [request.header("webhook-id") for request in receiver.requests]
    assert arrived == [events[0], events[1], events[1], *events[1:]]


async def test_deliveries_of_one_message_are_never_in_flight_together(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    under_way: Counter[bytes] = Counter()
    most: Counter[bytes] = Counter()

    async def count(request: ReceivedRequest, connection: Connection) -> None:
        message = request.body.partition(b'"message":"')[2][:24]
        under_way[message] += 1
        most[message] = max(most[message], under_way[message])
        await Reply()(request, connection)
        under_way[message] -= 1

    receiver.respond_with(count)
    await stage.add_webhook(url=receiver.url)
    now_ms = stage.clock.now_ms()

    def add(session: delivery_rows.Session) -> None:
        for number in range(30):
            body = b'{"event":"message.sent","data":{"message":"%024d"}}' % number
            fan_out(session, delivery_rows.add_events(session, now_ms, (SENT, SENT, SENT), body=body), now_ms)

    await stage.change(add)
    async with stage.delivering():
        await stage.until_states(delivered=90)
    assert set(most.values()) == {1}
    assert len(most) == 30
    order = {message: [] for message in most}
    rows = {row.event_id: row.id for row in await stage.deliveries()}
    for request in receiver.requests:
        order[request.body.partition(b'"message":"')[2][:24]].append(rows[request.header("webhook-id") or ""])
    assert all(ids == sorted(ids) for ids in order.values())
