"""The event logs that the contract is tried on: how each is built over a store and run.

Owns that all of them are tried with the same relay and the same fan-out.
"""

import contextlib
from collections.abc import AsyncGenerator
from enum import StrEnum

from prometheus_client import CollectorRegistry

from core.delivery.fanout import fan_out
from core.eventlog.embedded import EmbeddedLog
from core.eventlog.kafka.consumer import KafkaConsumer
from core.eventlog.kafka.metrics import KafkaMetrics
from core.eventlog.kafka.producer import KafkaLog, Producer
from core.eventlog.metrics import RelayMetrics
from core.eventlog.port import EventLog
from core.eventlog.relay import Relay
from core.store.engine import Store
from tests.fakes.kafka import cluster_on, shared_kafka
from tests.fakes.outbox import Due, in_background
from tests.fakes.set_clock import SetClock


class Kind(StrEnum):
    """An adapter."""

    EMBEDDED = "embedded"
    KAFKA = "kafka"


class RunningLog:
    """One log over one store, with what consumes it."""

    def __init__(self, store: Store, log: EventLog, due: Due) -> None:
        self.store = store
        self.log = log
        self.due = due

    @contextlib.asynccontextmanager
    async def relaying(self, log: EventLog | None = None) -> AsyncGenerator[Relay]:
        """A relay that publishes to it, or to another log over it."""
        relay = Relay(self.store, log or self.log, RelayMetrics(CollectorRegistry()))
        async with in_background(relay.run()):
            yield relay


@contextlib.asynccontextmanager
async def running(kind: Kind, store: Store) -> AsyncGenerator[RunningLog]:
    """A log of a kind over a store."""
    due = Due()
    end = EmbeddedLog(store, SetClock(), fan_out=fan_out, on_due=due)
    if kind is Kind.EMBEDDED:
        yield RunningLog(store, end, due)
        return
    cluster, metrics = cluster_on(shared_kafka().servers), KafkaMetrics(CollectorRegistry())
    relaying, rejecting = Producer(cluster, metrics), Producer(cluster, metrics)
    try:
        async with in_background(KafkaConsumer(cluster, end, rejecting, metrics).run()):
            yield RunningLog(store, KafkaLog(relaying, cluster.events), due)
    finally:
        await relaying.close()
        await rejecting.close()
