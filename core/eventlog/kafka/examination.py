"""What a cluster looks like: its topics, and what waits in them. Changes nothing, joins no group.

Owns how it is asked. What of it is right is for whoever asks to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError

from core.errors import Unavailable
from core.eventlog.kafka.cluster import Cluster
from core.eventlog.kafka.patience import ends, within

EXAMINE_S = 15.0
"""For all that is asked."""

CLOSE_S = 3.0


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic that is there. `copies`, `in_sync`: of the partition that has fewest."""

    partitions: int
    copies: int
    in_sync: int
    settings: Mapping[str, str]
    """Empty if we may not read them."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What was seen. `lag`: records of events that no worker has fanned out yet."""

    brokers: int
    topics: Mapping[str, Topic]
    workers: int
    lag: int


async def examine(cluster: Cluster) -> Examined:
    """Ask the cluster. Raises Unavailable if it does not answer, or not us."""
    admin: AIOKafkaAdminClient | None = None
    consumer: AIOKafkaConsumer | None = None
    try:
        admin = AIOKafkaAdminClient(**cluster.client("doctor"))
        consumer = AIOKafkaConsumer(**cluster.client("doctor"))
        return await within(EXAMINE_S, lambda: _examine(cluster, admin, consumer))
    except TimeoutError:
        raise Unavailable(f"no answer within {EXAMINE_S:g} s") from None
    except (KafkaError, OSError) as error:
        raise Unavailable(str(error) or type(error).__name__) from None
    finally:
        if consumer is not None:
            await ends(CLOSE_S, consumer.stop)
        if admin is not None:
            await ends(CLOSE_S, admin.close)


async def _examine(cluster: Cluster, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> Examined:
    await admin.start()
    brokers = (await admin.describe_cluster())["brokers"]
    existing = set(await admin.list_topics())
    names = [name for name in (cluster.events, cluster.rejected) if name in existing]
    if not names:
        return Examined(len(brokers), {}, 0, 0)
    topics = {
        found["topic"]: _topic(found["partitions"], await _settings(admin, found["topic"]))
        for found in await admin.describe_topics(names)
    }
    if cluster.events not in topics:
        return Examined(len(brokers), topics, 0, 0)
    await consumer.start()
    try:
        workers, read = await _workers(cluster, admin), await admin.list_consumer_group_offsets(cluster.group)
    except GroupCoordinatorNotAvailableError:  # no group has ever been in this cluster
        workers, read = 0, {}
    partitions = [TopicPartition(cluster.events, n) for n in range(topics[cluster.events].partitions)]
    first, last = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    lag = sum(
        max(0, last[each] - max(first[each], read[each].offset if each in read else 0)) for each in partitions
    )
    return Examined(len(brokers), topics, workers, lag)


def _topic(partitions: list[dict[str, Any]], settings: Mapping[str, str]) -> Topic:
    return Topic(
        len(partitions),
        min(len(each["replicas"]) for each in partitions),
        min(len(each["isr"]) for each in partitions),
        settings,
    )


async def _settings(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    answers: list[Any] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return {
        entry[0]: entry[1] for answer in answers for resource in answer.resources for entry in resource[4]
    }


async def _workers(cluster: Cluster, admin: AIOKafkaAdminClient) -> int:
    answers: list[Any] = await admin.describe_consumer_groups([cluster.group])
    return sum(len(group[5]) for answer in answers for group in answer.groups)
