"""Workers: they share what there is, take over from each other, and put aside what they cannot read."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from structlog.testing import capture_logs

from core.errors import Unavailable
from core.eventlog.kafka import consumer as consumer_module
from core.eventlog.kafka.cluster import Cluster
from core.eventlog.kafka.producer import Producer, Record
from core.eventlog.kafka.records import encode
from core.eventlog.kafka.topics import ensure_topics
from core.events import PublishedEvent
from core.store.engine import Store
from tests.fakes.database import TENANT_A
from tests.fakes.driver_stream import eventually
from tests.fakes.outbox import add_events, add_webhook, deliveries, published
from tests.integration.kafka.stage import relaying, working

POISON = (
    b"",
    b"\xff\xfe\x00",
    b"[]",
    b'{"v":1}',
    b'{"v":2,"id":"a","tenant":"a","type":"message.sent","at":1}',
    b'{"v":1,"id":"a\\u0000","tenant":"a","type":"message.sent","at":1}',
    b'{"v":1,"id":"a","tenant":"a","type":"message.sent","at":"soon"}',
    b"x" * 900_000,
    None,
)

FOREIGN = PublishedEvent("", TENANT_A, "message.sent", None, None, 1)
"""As another installation on the same topics would write it, but for its id."""


async def write(cluster: Cluster, *values: bytes | None) -> None:
    """Put records on the topic that no relay wrote."""
    await ensure_topics(cluster)
    producer = AIOKafkaProducer(**cluster.client("test"))
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(cluster.events, value, key=b"key", headers=[("h", b"x" * 10_000)])
    finally:
        await producer.stop()


async def rejected(cluster: Cluster, count: int) -> Sequence[ConsumerRecord[bytes, bytes]]:
    """What was put aside."""
    consumer = AIOKafkaConsumer(cluster.rejected, auto_offset_reset="earliest", **cluster.client("test"))
    await consumer.start()
    try:
        return [await consumer.getone() for _ in range(count)]
    finally:
        await consumer.stop()


async def append_for_many(store: Store, devices: int) -> list[str]:
    """Events of so many devices, so that every partition gets some."""
    return [each for n in range(devices) for each in await store.run(add_events, 2, TENANT_A, f"device-{n}")]


async def test_two_workers_share_the_load_and_one_goes_on_alone(store: Store, cluster: Cluster) -> None:
    await store.run(add_webhook, "hook", TENANT_A)
    async with relaying(store, cluster) as relay, working(store, cluster) as stays:
        async with working(store, cluster) as leaves:
            written: list[str] = []
            while not (stays.count("records_consumed_total") and leaves.count("records_consumed_total")):
                written += await append_for_many(store, 40)
                relay.wake()
                await published(store, len(written))
        written += await append_for_many(store, 40)
        relay.wake()
        assert sorted(await published(store, len(written))) == sorted(written)
    assert sorted(event for _, event in await deliveries(store)) == sorted(written)


async def test_records_that_nobody_can_read_are_put_aside_and_hold_nothing_up(
    store: Store, cluster: Cluster
) -> None:
    await write(cluster, *POISON)
    async with working(store, cluster) as worker, relaying(store, cluster) as relay:
        ids = await store.run(add_events, 5)
        relay.wake()
        assert await published(store, 5) == ids
        found = await rejected(cluster, len(POISON))
        await eventually(lambda: worker.count("records_rejected_total") == len(POISON))
    assert {record.value for record in found} == {(value or b"")[:65_536] for value in POISON}
    headers = dict(found[0].headers)
    assert headers["topic"] == cluster.events.encode()
    assert {int(dict(record.headers)["offset"]) for record in found} == set(range(len(POISON)))
    assert headers["reason"]
    async with working(store, cluster) as again, relaying(store, cluster) as relay:
        await store.run(add_events, 1)
        relay.wake()
        await published(store, 6)
        assert again.count("records_rejected_total") == 0


class Forbidden(Producer):
    """May not write."""

    async def write(self, topic: str, records: Sequence[Record]) -> None:
        """Refuse."""
        raise Unavailable(f"{topic}: {len(records)} not written")


async def test_nothing_is_committed_past_a_record_that_could_not_be_put_aside(
    store: Store, cluster: Cluster
) -> None:
    one = replace(cluster, partitions=1)
    await write(one, b"poison")
    async with relaying(store, one) as relay:
        async with working(store, one, Forbidden) as worker:
            ids = await store.run(add_events, 3)
            relay.wake()
            assert await published(store, 3) == ids
            assert worker.count("records_rejected_total") == 1
        async with working(store, one) as worker:
            (found,) = await rejected(one, 1)
            assert found.value == b"poison"
            ids += await store.run(add_events, 1)
            relay.wake()
            assert await published(store, 4) == ids
        async with working(store, one) as worker:
            ids += await store.run(add_events, 1)
            relay.wake()
            assert await published(store, 5) == ids
            assert worker.count("records_rejected_total") == 0


async def test_a_worker_whose_database_is_away_waits_for_it(
    store: Store, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "RETRY_S", 0.01)
    run, failures = store.run, 0

    async def failing(*arguments: Any) -> Any:
        nonlocal failures
        if asyncio.current_task() is worker_task and failures < 5:
            failures += 1
            raise Unavailable
        return await run(*arguments)

    async with relaying(store, cluster) as relay, working(store, cluster) as worker:
        worker_task = worker.task
        monkeypatch.setattr(store, "run", failing)
        ids = await store.run(add_events, 3)
        relay.wake()
        assert await published(store, 3) == ids
    assert failures == 5


async def test_records_of_events_that_the_database_does_not_know_are_counted_and_said(
    store: Store, cluster: Cluster
) -> None:
    strange = [encode(replace(FOREIGN, id=f"{n:024x}")) for n in range(3)]
    with capture_logs() as logged:
        async with working(store, cluster) as worker, relaying(store, cluster) as relay:
            await write(cluster, *strange, strange[0])
            ids = await store.run(add_events, 2)
            relay.wake()
            assert set(await published(store, 2)) == set(ids)
            await eventually(lambda: worker.count("records_unknown_total") == 4)
            await eventually(lambda: worker.count("records_consumed_total") == 2)
    said = [line for line in logged if line["event"] == "kafka.unknown_events"]
    assert [line["topic"] for line in said] == [cluster.events]
