"""Relays and workers of one gateway on a Kafka, as many as a test wants.

Owns how they are built. Each has clients of its own, as processes have.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from prometheus_client import CollectorRegistry

from core.delivery.fanout import fan_out
from core.eventlog.embedded import EmbeddedLog
from core.eventlog.kafka.cluster import Cluster
from core.eventlog.kafka.consumer import KafkaConsumer
from core.eventlog.kafka.metrics import KafkaMetrics
from core.eventlog.kafka.producer import KafkaLog, Producer
from core.eventlog.metrics import RelayMetrics
from core.eventlog.relay import Relay
from core.store.engine import Store
from tests.fakes.outbox import Due, in_background
from tests.fakes.set_clock import SetClock


class Worker:
    """A consumer with what it can be asked for."""

    def __init__(self, store: Store, cluster: Cluster, producer: type[Producer]) -> None:
        self.registry = CollectorRegistry()
        metrics = KafkaMetrics(self.registry)
        self.due = Due()
        self.task: asyncio.Task[None] | None = None
        self.producer = producer(cluster, metrics)
        end = EmbeddedLog(store, SetClock(), fan_out=fan_out, on_due=self.due)
        self.consumer = KafkaConsumer(cluster, end, self.producer, metrics)

    def count(self, name: str, **labels: str) -> float:
        """A metric's value; 0 before it has one."""
        return self.registry.get_sample_value(f"infinireach_kafka_{name}", labels) or 0.0


@contextlib.asynccontextmanager
async def working(
    store: Store, cluster: Cluster, producer: type[Producer] = Producer
) -> AsyncGenerator[Worker]:
    """A worker while the block runs; `producer` writes what it puts aside."""
    worker = Worker(store, cluster, producer)
    try:
        async with in_background(worker.consumer.run()) as worker.task:
            yield worker
    finally:
        await worker.producer.close()


@contextlib.asynccontextmanager
async def relaying(store: Store, cluster: Cluster) -> AsyncGenerator[Relay]:
    """A relay while the block runs."""
    producer = Producer(cluster, KafkaMetrics(CollectorRegistry()))
    relay = Relay(store, KafkaLog(producer, cluster.events), RelayMetrics(CollectorRegistry()))
    try:
        async with in_background(relay.run()):
            yield relay
    finally:
        await producer.close()
