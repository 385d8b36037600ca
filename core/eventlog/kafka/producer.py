"""Writes records and waits until the cluster has them durably.

Owns the producer's life. An idempotent producer never gives a batch up by itself; so nothing waits for it longer than
PUBLISH_S, and one that did not do it in time is thrown away with all that it still holds.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from core.errors import Unavailable
from core.eventlog.kafka.cluster import Cluster
from core.eventlog.kafka.metrics import KafkaMetrics
from core.eventlog.kafka.patience import ends, within
from core.eventlog.kafka.records import encode, key_of
from core.eventlog.kafka.topics import ensure_topics
from core.events import PublishedEvent

log = structlog.get_logger()

PUBLISH_S = 10.0
"""For all acknowledgements of one call, a connection to be made included."""

CLOSE_S = 3.0


@dataclass(frozen=True, slots=True)
class Record:
    """What is written to a topic."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class Producer:
    """Connects when it is first needed; close it when done."""

    def __init__(self, cluster: Cluster, metrics: KafkaMetrics) -> None:
        self._cluster = cluster
        self._metrics = metrics
        self._producer: AIOKafkaProducer | None = None

    async def write(self, topic: str, records: Sequence[Record]) -> None:
        """Write records in their order; returns once the cluster has them durably.

        Raises Unavailable; any of them may be written then.
        """
        try:
            await within(PUBLISH_S, lambda: self._write(topic, records))
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            self._metrics.rebuilds.labels("producer").inc()
            raise Unavailable(f"Kafka cannot be used at the moment: {_sentence(error)}") from error
        except asyncio.CancelledError:
            await self.close()
            raise

    async def close(self) -> None:
        """Give up what is not written and close every connection."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _give_up(producer)

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            await ensure_topics(self._cluster)
            self._producer = AIOKafkaProducer(
                **self._cluster.client("relay"), acks="all", enable_idempotence=True
            )
            await self._producer.start()
        return self._producer

    async def _write(self, topic: str, records: Sequence[Record]) -> None:
        producer = await self._connected()
        written: list[asyncio.Future[object]] = []
        for record in records:
            sent = await producer.send(topic, record.value, key=record.key, headers=record.headers)
            sent.add_done_callback(_look)
            written.append(sent)
        await asyncio.gather(*written)


class KafkaLog:
    """The event log of several processes: events become records."""

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def publish(self, events: Sequence[PublishedEvent]) -> None:
        """See EventLog.publish."""
        await self._producer.write(self._topic, [Record(encode(event), key_of(event)) for event in events])


def _look(written: asyncio.Future[object]) -> None:
    if not written.cancelled():
        written.exception()  # raised in whoever waits; nobody may be left


def _sentence(error: BaseException) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__


async def _give_up(producer: AIOKafkaProducer) -> None:
    # Its own `stop` waits for batches that it never gives up. What sends them ends first, then nobody waits for them.
    await ends(CLOSE_S, producer._sender.close)  # pyright: ignore[reportPrivateUsage]
    batches: Any = producer._message_accumulator  # pyright: ignore[reportPrivateUsage]
    batches._pending_batches.update(chain.from_iterable(batches._batches.values()))
    for batch in list(batches._pending_batches):
        batch.future.cancel()
    await ends(CLOSE_S, producer.stop)
