"""Whether a consumer still gets ahead: consumers of this client can stop for good without a word.

Owns what counts as stuck: for STALL_S it was given nothing although its partitions hold more, or nobody could tell.
"""

import asyncio

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from core.eventlog.kafka.metrics import KafkaMetrics
from core.eventlog.kafka.patience import within

STALL_S = 30.0
LOOK_S = 5.0
"""How often the ends of the partitions are asked for."""

ANSWER_S = 5.0


class Watch(ConsumerRebalanceListener):
    """Watches one consumer. It must be told when records came, and asks the cluster for the rest."""

    def __init__(self, metrics: KafkaMetrics) -> None:
        self._metrics = metrics
        self._now_s = asyncio.get_running_loop().time
        self._is_member = False
        self._well_s = self._now_s()
        self._looked_s = self._now_s()
        self.is_answered = False
        """Whether the cluster answered when it was last asked."""
        self.has_advanced = False
        """Whether the consumer was ever well."""

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """The group divides its partitions anew."""
        self._is_member = False

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """This consumer has its share, which may be nothing."""
        self._is_member = True
        self._metrics.lag.clear()

    def advanced(self) -> None:
        """Records came, or something else than Kafka holds them up."""
        self._well_s = self._now_s()
        self.has_advanced = True

    @property
    def is_stuck(self) -> bool:
        """Whether the consumer should be made anew."""
        return self._now_s() - self._well_s > STALL_S

    async def look(self, consumer: AIOKafkaConsumer) -> None:
        """Ask the cluster what waits, if it is time to. Takes ANSWER_S at most."""
        if self._now_s() - self._looked_s < LOOK_S:
            return
        try:
            waiting = await within(ANSWER_S, lambda: _lag(consumer))
        except (KafkaError, TimeoutError, OSError):
            self.is_answered = False
            return
        finally:
            self._looked_s = self._now_s()
        self.is_answered = True
        for partition, records in waiting.items():
            self._metrics.lag.labels(str(partition)).set(records)
        if self._is_member and not any(waiting.values()):
            self.advanced()


async def _lag(consumer: AIOKafkaConsumer) -> dict[int, int]:
    """Records that wait, by partition of this consumer."""
    partitions = list(consumer.assignment())
    if not partitions:
        return {}
    ends = await consumer.end_offsets(partitions)
    return {each.partition: max(0, ends[each] - await consumer.position(each)) for each in partitions}
