"""The checks of Kafka: can it be reached, are the topics as they should be, do workers keep up.

Owns what is a warning and what a fault. Changes nothing: topics that are missing are made by whoever needs them first.
"""

import asyncio
import logging
from collections.abc import Iterator

from core.cli.finding import Finding
from core.config import PREFIX, Settings
from core.errors import Unavailable
from core.eventlog.kafka.cluster import Cluster
from core.eventlog.kafka.examination import Examined, Topic, examine

LAG_RECORDS_HIGH = 1000
"""Two batches of a worker; more wait only if workers do not keep up."""

BROKERS_SAFE = 3
COPIES_SAFE = 2
HOUR_MS = 3_600_000
FOR_EVER = -1


def kafka(settings: Settings) -> Iterator[Finding]:
    """Nothing is said where no Kafka is set up."""
    if not settings.kafka_servers:
        return
    from core.app import kafka_cluster  # noqa: PLC0415 - brings all adapters, which other commands do not need

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it would say is said here, once
    try:
        cluster = kafka_cluster(settings)
        seen = asyncio.run(examine(cluster))
    except (Unavailable, OSError) as error:
        servers = ", ".join(settings.kafka_servers)
        yield Finding(
            "kafka",
            "fault",
            f"{servers}: {error}",
            f"Events wait in the database meanwhile. Look at {PREFIX}KAFKA_SERVERS, {PREFIX}KAFKA_SECURITY_PROTOCOL"
            " and the brokers.",
        )
        return
    yield Finding("kafka", "ok", f"answers; brokers: {seen.brokers}")
    yield from _topics(cluster, seen)
    yield from _workers(cluster, seen)


def _topics(cluster: Cluster, seen: Examined) -> Iterator[Finding]:
    for name in (cluster.events, cluster.rejected):
        topic = seen.topics.get(name)
        if topic is None:
            yield Finding(
                "kafka topic",
                "warning",
                f"{name} does not exist",
                "It is made when it is first needed; if it was there before, find out who removed it.",
            )
            continue
        wrong = list(_faults(cluster, name, topic, seen.brokers))
        yield from wrong
        if not wrong:
            yield Finding(
                "kafka topic", "ok", f"{name}; partitions: {topic.partitions}, copies: {topic.copies}"
            )


def _faults(cluster: Cluster, name: str, topic: Topic, brokers: int) -> Iterator[Finding]:
    needed = int(topic.settings.get("min.insync.replicas", "1"))
    if topic.in_sync < needed:
        seen = f"{name} has {topic.in_sync} copies in sync and needs {needed}"
        yield Finding(
            "kafka topic", "fault", seen, "Nothing can be published: start the brokers that are down."
        )
    elif topic.in_sync < topic.copies:
        seen = f"{name} has {topic.in_sync} of {topic.copies} copies in sync"
        yield Finding("kafka topic", "warning", seen, "Start the brokers that are down.")
    if topic.copies < COPIES_SAFE and brokers >= BROKERS_SAFE:
        seen = f"{name} has one copy on {brokers} brokers"
        yield Finding(
            "kafka topic", "warning", seen, "Webhooks wait while its broker is down: give it 3 copies."
        )
    if name != cluster.events:
        return
    if topic.partitions < cluster.partitions:
        seen = f"{name} has {topic.partitions} partitions, {PREFIX}KAFKA_PARTITIONS is {cluster.partitions}"
        yield Finding(
            "kafka topic", "warning", seen, "No more workers than that share it; see docs/kafka.md."
        )
    if "delete" not in topic.settings.get("cleanup.policy", "delete"):
        yield Finding(
            "kafka topic",
            "fault",
            f"{name} is compacted: an event of a device removes the one before",
            "Set its cleanup.policy to delete.",
        )
    kept_ms = int(topic.settings.get("retention.ms", FOR_EVER))
    if kept_ms != FOR_EVER and kept_ms < cluster.retention_hours * HOUR_MS:
        hours = f"{kept_ms / HOUR_MS:g} h, {PREFIX}KAFKA_RETENTION_HOURS is {cluster.retention_hours}"
        yield Finding("kafka topic", "warning", f"{name} keeps {hours}", "Set its retention.ms.")


def _workers(cluster: Cluster, seen: Examined) -> Iterator[Finding]:
    if cluster.events not in seen.topics:
        return
    found = f"{seen.workers} in group {cluster.group}, {seen.lag} records wait for them"
    if not seen.workers:
        yield Finding("kafka workers", "warning", found, "Start infinireach deliver; webhooks wait for it.")
    elif seen.lag >= LAG_RECORDS_HIGH:
        yield Finding(
            "kafka workers",
            "warning",
            found,
            "Look again in a minute: if they become more, start more of infinireach deliver.",
        )
    else:
        yield Finding("kafka workers", "ok", found)
