"""Reads records and has their events fanned out, one transaction for all that a poll gave.

Owns the consumer's life and its offsets: committed after the database's commit, so a record may come twice and none
is passed over. Nothing here waits for a webhook. What cannot be read is put aside on a topic of its own.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, TypeAlias

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from core.errors import InfiniReachError
from core.eventlog.kafka.cluster import HEARTBEAT_S, SESSION_S, Cluster
from core.eventlog.kafka.metrics import KafkaMetrics
from core.eventlog.kafka.patience import ends, within
from core.eventlog.kafka.producer import Producer
from core.eventlog.kafka.records import Unreadable, decode
from core.eventlog.kafka.rejects import Rejects
from core.eventlog.kafka.topics import ensure_topics
from core.eventlog.kafka.watch import Watch
from core.eventlog.port import LogEnd
from core.events import PublishedEvent

log = structlog.get_logger()

Batches: TypeAlias = Mapping[TopicPartition, Sequence["ConsumerRecord[bytes, bytes]"]]

BATCH_MAX = 500
"""Records fanned out in one transaction."""

POLL_S = 0.5
ANSWER_S = 30.0
"""For a poll, which normally takes POLL_S at most."""

START_S = 30.0
COMMIT_S = 10.0
CLOSE_S = 5.0
RETRY_S = 1.0
"""Wait after Kafka or the database refused."""

UNKNOWN_SAID_EVERY_S = 60.0
"""Events that the database does not know are logged no more often; all are counted."""

STUCK_MAX = 3
"""So many consumers in a row that got nothing from a cluster that answers: the fault may lie in this process."""


class ConsumerStuck(Exception):
    """No consumer gets anything, although Kafka answers; a new process may."""


class KafkaConsumer:
    """Moves events from the topic into the end of the log. Several share the partitions, in this or other processes."""

    def __init__(self, cluster: Cluster, into: LogEnd, producer: Producer, metrics: KafkaMetrics) -> None:
        """`into` fans out; what cannot be read is written with `producer`."""
        self._cluster = cluster
        self._into = into
        self._metrics = metrics
        self._rejects = Rejects(producer, cluster.rejected, metrics)
        self._failing = False
        self._unknown_said_s = -UNKNOWN_SAID_EVERY_S

    async def run(self) -> None:
        """Consume for ever; the owner cancels it. Raises ConsumerStuck."""
        stuck = 0
        while True:
            watch = Watch(self._metrics)
            consumer = await self._start(watch)
            if consumer is None:
                await asyncio.sleep(RETRY_S)
                continue
            try:
                await self._consume(consumer, watch)
            except (KafkaError, TimeoutError) as error:
                self._failed(error)
                await asyncio.sleep(RETRY_S)
            finally:
                self._rejects.forget()
                await _give_up(consumer)
            self._metrics.rebuilds.labels("consumer").inc()
            stuck = 0 if watch.has_advanced else stuck
            stuck += watch.is_stuck and watch.is_answered
            if stuck >= STUCK_MAX:
                raise ConsumerStuck(f"{stuck} consumers in a row got nothing although Kafka answers.")

    async def _start(self, watch: Watch) -> AIOKafkaConsumer | None:
        """A consumer that is a member of the group, or None if there can be none now."""
        consumer: AIOKafkaConsumer | None = None
        try:
            await within(START_S, lambda: ensure_topics(self._cluster))
            consumer = AIOKafkaConsumer(
                **self._cluster.client("deliver"),
                group_id=self._cluster.group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                session_timeout_ms=round(SESSION_S * 1000),
                heartbeat_interval_ms=round(HEARTBEAT_S * 1000),
            )
            consumer.subscribe([self._cluster.events], listener=watch)
            await within(START_S, consumer.start)
        except (KafkaError, OSError, TimeoutError) as error:
            self._failed(error)
        except asyncio.CancelledError:
            if consumer is not None:
                await _give_up(consumer)
            raise
        else:
            return consumer
        if consumer is not None:
            await _give_up(consumer)
        return None

    async def _consume(self, consumer: AIOKafkaConsumer, watch: Watch) -> None:
        """Consume until it is stuck."""
        while not watch.is_stuck:
            batches: Batches = {}
            if self._rejects.is_full:
                await asyncio.sleep(POLL_S)
            else:
                batches = await within(
                    ANSWER_S,
                    partial(consumer.getmany, timeout_ms=round(POLL_S * 1000), max_records=BATCH_MAX),
                )
            if batches:
                await self._fan_out(self._readable(chain.from_iterable(batches.values())), watch)
                self._works()
            await self._rejects.write()
            await self._commit(consumer, batches)
            await watch.look(consumer)
        log.warning("kafka.consumer_stuck", answered=watch.is_answered)

    def _readable(self, records: Iterable["ConsumerRecord[bytes, bytes]"]) -> list[PublishedEvent]:
        events: list[PublishedEvent] = []
        for record in records:
            try:
                events.append(decode(record.value))
            except Unreadable as unreadable:
                self._rejects.add(record, str(unreadable))
        return events

    async def _fan_out(self, events: list[PublishedEvent], watch: Watch) -> None:
        """Until the database has done it, however long that takes."""
        while True:
            watch.advanced()
            try:
                unknown = await self._into.receive(events) if events else frozenset[str]()
            except InfiniReachError as error:
                self._failed(error)
                await asyncio.sleep(RETRY_S)
            else:
                strange = [event.id for event in events if event.id in unknown]
                self._metrics.consumed.inc(len(events) - len(strange))
                if strange:
                    self._met_unknown(strange)
                return

    def _met_unknown(self, event_ids: Sequence[str]) -> None:
        """Events of which this database knows nothing: it forgot them, or they are another installation's."""
        self._metrics.unknown.inc(len(event_ids))
        now_s = asyncio.get_running_loop().time()
        if now_s - self._unknown_said_s >= UNKNOWN_SAID_EVERY_S:
            self._unknown_said_s = now_s
            log.warning(
                "kafka.unknown_events", count=len(event_ids), one=event_ids[0], topic=self._cluster.events
            )

    async def _commit(self, consumer: AIOKafkaConsumer, batches: Batches) -> None:
        """Commit what was read, as far as may be; an offset that is not committed costs that it is read again."""
        read = {partition: records[-1].offset + 1 for partition, records in batches.items()}
        ours = consumer.assignment()
        offsets = {each: offset for each, offset in self._rejects.free(read).items() if each in ours}
        if offsets:
            try:
                await within(COMMIT_S, lambda: consumer.commit(offsets))
            except (KafkaError, TimeoutError) as error:  # the group divided its partitions anew, for one
                log.debug("kafka.not_committed", error=type(error).__name__)

    def _failed(self, error: Exception) -> None:
        if not self._failing:  # said once, however long it lasts
            self._failing = True
            log.warning("kafka.consumer_waits", error=type(error).__name__, detail=str(error))

    def _works(self) -> None:
        if self._failing:
            self._failing = False
            log.info("kafka.consumer_works_again")


async def _give_up(consumer: AIOKafkaConsumer) -> None:
    """Leave the group and close every connection, also when the cluster does not answer."""
    if await ends(CLOSE_S, consumer.stop):
        return
    # It waits for answers that may never come; what it has not come to is ended piece by piece.
    coordinator: Any = consumer._coordinator  # pyright: ignore[reportPrivateUsage]
    if coordinator is not None:
        await ends(CLOSE_S, coordinator._stop_heartbeat_task)
        await ends(CLOSE_S, coordinator._stop_commit_offsets_refresh_task)
    if consumer._fetcher is not None:  # pyright: ignore[reportPrivateUsage]
        await ends(CLOSE_S, consumer._fetcher.close)  # pyright: ignore[reportPrivateUsage]
    await ends(CLOSE_S, consumer._client.close)  # pyright: ignore[reportPrivateUsage]
