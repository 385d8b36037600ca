"""Kafka away, frozen, or back without its data: everything is fanned out in the end, and nothing is started again."""

import asyncio
import os
import signal
from collections.abc import Generator

import pytest

from core.errors import Unavailable
from core.eventlog import relay as relay_module
from core.eventlog import window as window_module
from core.eventlog.kafka import consumer as consumer_module
from core.eventlog.kafka import producer as producer_module
from core.eventlog.kafka import watch as watch_module
from core.eventlog.kafka.cluster import Cluster
from core.eventlog.kafka.consumer import ConsumerStuck
from core.eventlog.kafka.producer import Producer, Record
from core.store.engine import Store
from tests.fakes.database import TENANT_A
from tests.fakes.driver_stream import eventually
from tests.fakes.kafka import own_kafka, start
from tests.fakes.outbox import add_events, add_webhook, deliveries, published
from tests.integration.kafka.stage import Worker, relaying, working
from tools.engines.kafka import Kafka


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that waits for half a minute waits for a second."""
    for module, name, seconds in (
        (relay_module, "RETRY_S", 0.05),
        (window_module, "RESEND_S", 2.0),
        (window_module, "RESEND_S_MAX", 2.0),
        (producer_module, "PUBLISH_S", 2.0),
        (producer_module, "CLOSE_S", 0.2),
        (consumer_module, "RETRY_S", 0.05),
        (consumer_module, "START_S", 10.0),
        (consumer_module, "SESSION_S", 2.0),
        (consumer_module, "HEARTBEAT_S", 0.5),
        (consumer_module, "COMMIT_S", 1.0),
        (consumer_module, "CLOSE_S", 0.2),
        (watch_module, "STALL_S", 2.0),
        (watch_module, "LOOK_S", 0.2),
        (watch_module, "ANSWER_S", 0.5),
    ):
        monkeypatch.setattr(module, name, seconds)


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Generator[Kafka]:
    with own_kafka(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


@pytest.fixture
def kafka(mortal: Kafka) -> Kafka:
    """The node that these tests break, in order again."""
    if mortal.pid:
        os.kill(mortal.pid, signal.SIGCONT)
    mortal.start()
    return mortal


async def append_during(store: Store, rounds: int) -> list[str]:
    ids: list[str] = []
    for n in range(rounds):
        ids += await store.run(add_events, 5, TENANT_A, f"device-{n}")
        await asyncio.sleep(0.01)
    return ids


@pytest.mark.parametrize("without_its_data", [False, True])
async def test_a_broker_that_is_killed_under_load_and_comes_back_loses_no_event(
    store: Store, kafka: Kafka, cluster: Cluster, *, without_its_data: bool
) -> None:
    await store.run(add_webhook, "hook", TENANT_A)
    async with relaying(store, cluster), working(store, cluster) as worker:
        ids = await append_during(store, 20)
        await published(store, 50)
        appending = asyncio.create_task(append_during(store, 100))
        await asyncio.to_thread(kafka.kill)
        if without_its_data:
            kafka.forget()
        ids += await appending
        await start(kafka)
        assert sorted(await published(store, len(ids), within_s=90)) == sorted(ids)
        assert sorted(event for _, event in await deliveries(store)) == sorted(ids)
        await eventually(lambda: worker.task and not worker.task.done())


async def test_events_that_a_log_lost_after_it_had_taken_them_are_sent_again(
    store: Store, kafka: Kafka, cluster: Cluster
) -> None:
    ids = await store.run(add_events, 50)
    async with relaying(store, cluster) as relay:
        relay.wake()
        await eventually(lambda: relay.events_under_way == len(ids))
        await asyncio.to_thread(kafka.kill)
        kafka.forget()
        await start(kafka)
        async with working(store, cluster):
            assert await published(store, len(ids), within_s=90) == ids


async def test_a_broker_that_freezes_costs_time_only(store: Store, kafka: Kafka, cluster: Cluster) -> None:
    async with relaying(store, cluster) as relay, working(store, cluster) as worker:
        ids = await append_during(store, 5)
        await published(store, len(ids))
        os.kill(kafka.pid, signal.SIGSTOP)
        ids += await append_during(store, 5)
        relay.wake()
        await eventually(lambda: worker.count("rebuilds_total", side="consumer"))
        os.kill(kafka.pid, signal.SIGCONT)
        assert sorted(await published(store, len(ids), within_s=90)) == sorted(ids)


async def test_a_consumer_that_gets_nothing_is_made_anew(
    store: Store, kafka: Kafka, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with relaying(store, cluster) as relay, working(store, cluster) as worker:
        ids = await append_during(store, 3)
        await published(store, len(ids))
        monkeypatch.setattr("aiokafka.AIOKafkaConsumer.getmany", gets_nothing)
        ids += await append_during(store, 3)
        relay.wake()
        await eventually(lambda: worker.count("rebuilds_total", side="consumer"))
        monkeypatch.undo()
        assert sorted(await published(store, len(ids), within_s=90)) == sorted(ids)


async def test_a_process_in_which_no_consumer_gets_anything_ends(
    store: Store, kafka: Kafka, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiokafka.AIOKafkaConsumer.getmany", gets_nothing)
    async with relaying(store, cluster) as relay:
        await store.run(add_events, 3)
        relay.wake()
        await eventually(lambda: relay.events_under_way)
        worker = Worker(store, cluster, Producer)
        with pytest.raises(ConsumerStuck):
            await worker.consumer.run()


async def gets_nothing(_consumer: object, *, timeout_ms: int, max_records: int) -> dict[object, object]:
    await asyncio.sleep(timeout_ms / 10_000)
    return {}


async def test_a_producer_says_that_kafka_is_away_and_works_again_afterwards(
    kafka: Kafka, cluster: Cluster, store: Store
) -> None:
    worker = Worker(store, cluster, Producer)
    await worker.producer.write(cluster.rejected, [Record(b"before")])
    await asyncio.to_thread(kafka.kill)
    with pytest.raises(Unavailable):
        await worker.producer.write(cluster.rejected, [Record(b"meanwhile")])
    with pytest.raises(Unavailable):
        await worker.producer.write(cluster.rejected, [Record(b"meanwhile")])
    await start(kafka)
    await worker.producer.write(cluster.rejected, [Record(b"after")])
    assert worker.count("rebuilds_total", side="producer") == 2
    await worker.producer.close()
