"""Deliverers that die, stop, stall or share a database: every delivery is made, and none is lost track of."""

import asyncio
from collections import Counter

import pytest

from core.delivery.claims import LEASE_EXTRA_MS
from core.delivery.deliverer import Deliverer
from tests.fakes import delivery_rows
from tests.fakes.webhook_receiver import Reply, WebhookReceiver
from tests.integration.delivery.stage import Gate, Stage

pytestmark = pytest.mark.usefixtures("database")

LEASE_S = 10 + LEASE_EXTRA_MS / 1_000


async def crash(running: asyncio.Task[None]) -> None:
    """End a deliverer as a kill does: nothing is settled, nothing given back."""
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()


async def test_what_a_deliverer_had_when_it_died_is_delivered_once_its_leases_end(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(Gate())
    endpoint = await stage.add_webhook(url=receiver.url)
    await stage.add_deliveries(6)
    running = asyncio.create_task(stage.deliverer().run())
    await receiver.wait_for(4)
    await crash(running)
    before = list(receiver.requests)

    receiver.respond_with(Reply())
    async with stage.delivering() as deliverer:
        # Another event shows that the new one works, and that it leaves alone what is leased.
        await stage.add_deliveries(1)
        await stage.until_states(delivered=1, pending=6)
        stage.clock.advance(LEASE_S)
        deliverer.wake([endpoint])
        await stage.until_states(delivered=7)

    bodies: dict[str | None, set[bytes]] = {}
    for request in receiver.requests:
        bodies.setdefault(request.header("webhook-id"), set()).add(request.body)
    assert len(bodies) == 7
    assert all(len(seen) == 1 for seen in bodies.values()), "other bytes under the same id"
    twice = {request.header("webhook-id") for request in before}
    counts = Counter(request.header("webhook-id") for request in receiver.requests)
    assert {event_id for event_id, count in counts.items() if count == 2} == twice
    assert [row.attempts for row in await stage.deliveries()] == [1] * 7


async def test_a_stop_lets_attempts_finish_and_gives_the_rest_back_at_once(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    gate = Gate()
    receiver.respond_with(gate)
    await stage.add_webhook(url=receiver.url)
    await stage.add_deliveries(9)
    deliverer = stage.deliverer()
    running = asyncio.create_task(deliverer.run())
    await receiver.wait_for(4)
    stopping = asyncio.create_task(deliverer.stop(10.0))
    gate.open()
    await stopping
    await running
    assert len(receiver.requests) == 4
    rows = await stage.deliveries()
    assert Counter((row.state, row.attempts, row.lease_token) for row in rows) == {
        ("delivered", 1, None): 4,
        ("pending", 0, None): 5,
    }


async def test_a_stop_breaks_off_what_outlasts_the_grace_and_gives_it_back(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    receiver.respond_with(Gate())
    await stage.add_webhook(url=receiver.url)
    await stage.add_deliveries(2)
    deliverer = stage.deliverer()
    running = asyncio.create_task(deliverer.run())
    await receiver.wait_for(2)
    await deliverer.stop(0.0)
    await running
    assert [(row.state, row.attempts, row.lease_token) for row in await stage.deliveries()] == [
        ("pending", 0, None)
    ] * 2


async def test_stopping_a_deliverer_that_never_ran_does_nothing(stage: Stage) -> None:
    await stage.deliverer().stop(10.0)


async def test_a_result_that_comes_after_the_lease_ended_is_evidence_and_moves_nothing(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    gate = Gate(Reply(500))
    receiver.respond_with(gate, Reply(200))
    endpoint = await stage.add_webhook(url=receiver.url)
    await stage.add_deliveries()
    async with stage.delivering():
        await receiver.wait_for(1)
        stage.clock.advance(LEASE_S)
        async with stage.delivering():
            await stage.until_states(delivered=1)
        gate.open()
        (row,) = await stage.until(lambda s: delivery_rows.deliveries(s, attempts=2))
    assert row.state == "delivered"
    assert [attempt.status for attempt in await stage.attempts(row.id)] == [200, 500]
    assert (await stage.webhook(endpoint)).enabled


async def test_a_clock_that_jumps_ahead_makes_no_deliverer_send_what_it_has_again(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    gate = Gate()
    receiver.respond_with(gate, Reply())
    endpoint = await stage.add_webhook(url=receiver.url)
    await stage.add_deliveries()
    async with stage.delivering() as deliverer:
        await receiver.wait_for(1)
        stage.clock.advance(3_600)
        await stage.add_deliveries()
        deliverer.wake([endpoint])
        await stage.until_states(delivered=1, pending=1)
        gate.open()
        await stage.until_states(delivered=2)
    assert len(receiver.requests) == 2


async def test_two_deliverers_on_one_database_deliver_everything_once(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    endpoints = [await stage.add_webhook(url=receiver.url) for _ in range(10)]
    await stage.add_deliveries(30)

    async with stage.delivering() as one, stage.delivering() as two:
        for deliverer in (one, two):
            deliverer.published(endpoints)
        await stage.until_states(delivered=300)
    counts = Counter(request.header("x-infini-reach-delivery") for request in receiver.requests)
    assert len(counts) == 300
    assert set(counts.values()) == {1}


async def test_deliverers_that_die_again_and_again_lose_nothing(
    stage: Stage, receiver: WebhookReceiver
) -> None:
    await stage.add_webhook(url=receiver.url)
    await stage.add_webhook(url=receiver.url, ordered=True)
    await stage.add_deliveries(60)
    for round_number in range(1, 8):
        running = asyncio.create_task(_without_slack(stage).run())
        await receiver.wait_for(round_number * 6)
        await crash(running)
        stage.clock.advance(LEASE_S)
    async with stage.delivering():
        await stage.until_states(delivered=120)
    arrived = {request.header("x-infini-reach-delivery") for request in receiver.requests}
    assert arrived == {row.id for row in await stage.deliveries()}
    for row in await stage.deliveries():
        assert [attempt.number for attempt in await stage.attempts(row.id)] == list(
            range(1, row.attempts + 1)
        )


def _without_slack(stage: Stage) -> Deliverer:
    return stage.deliverer(slots=4)
