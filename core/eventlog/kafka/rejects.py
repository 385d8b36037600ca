"""Records that could not be read, on their way to a topic of their own.

Owns that none gets lost: while one is not written there, the offsets of its partition are not committed past it.
"""

import asyncio
from collections.abc import Mapping

import structlog
from aiokafka import ConsumerRecord, TopicPartition

from core.errors import Unavailable
from core.eventlog.kafka.metrics import KafkaMetrics
from core.eventlog.kafka.producer import Producer, Record

log = structlog.get_logger()

WAITING_MAX = 1000
"""With so many that could not be written nothing more is read."""

RECORD_BYTES_MAX = 65_536
"""What is kept of one; ours have some 200."""

RETRY_S = 1.0


class Rejects:
    """Those that one consumer met."""

    def __init__(self, producer: Producer, topic: str, metrics: KafkaMetrics) -> None:
        self._producer = producer
        self._topic = topic
        self._metrics = metrics
        self._waiting: list[tuple[TopicPartition, int, Record]] = []
        self._held: dict[TopicPartition, int] = {}
        """Where partitions stand that may not be committed as far."""
        self._again_s = 0.0

    @property
    def is_full(self) -> bool:
        """Whether reading has to wait until some are written."""
        return len(self._waiting) >= WAITING_MAX

    def add(self, record: "ConsumerRecord[bytes, bytes]", reason: str) -> None:
        """Put a record aside."""
        headers = [
            ("topic", record.topic.encode()),
            ("partition", str(record.partition).encode()),
            ("offset", str(record.offset).encode()),
            ("reason", reason.encode()),
        ]
        kept = Record(_cut(record.value), _cut(record.key), headers)
        self._waiting.append((TopicPartition(record.topic, record.partition), record.offset, kept))
        self._metrics.rejected.inc()
        log.warning("kafka.rejected", partition=record.partition, offset=record.offset, reason=reason)

    def forget(self) -> None:
        """Whoever has the partitions now reads these again."""
        self._waiting.clear()
        self._held.clear()

    async def write(self) -> None:
        """Write what waits, if it is time to try; what cannot be written waits on."""
        now_s = asyncio.get_running_loop().time
        if not self._waiting or now_s() < self._again_s:
            return
        try:
            await self._producer.write(self._topic, [record for _, _, record in self._waiting])
        except Unavailable as error:
            self._again_s = now_s() + RETRY_S
            log.warning("kafka.not_rejected", waiting=len(self._waiting), detail=error.message)
        else:
            self._waiting.clear()

    def free(self, read: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Up to where the partitions may be committed, of those that were read so far or held back until now."""
        offsets = {**self._held, **read}
        self._held.clear()
        for partition, offset, _ in self._waiting:
            if offset < offsets.get(partition, 0):
                self._held.setdefault(partition, offsets[partition])
                offsets[partition] = offset
        return offsets


def _cut(text: bytes | None) -> bytes:
    return (text or b"")[:RECORD_BYTES_MAX]
