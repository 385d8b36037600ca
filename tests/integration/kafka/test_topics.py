"""The topics: made with their settings when they are missing, and left alone when they are there."""

from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from core.eventlog.kafka.cluster import Cluster
from core.eventlog.kafka.topics import ensure_topics
from core.store.engine import Store
from tests.fakes.driver_stream import until
from tests.fakes.kafka import PARTITIONS, admin_of
from tests.fakes.outbox import add_events
from tests.integration.kafka.stage import relaying


async def partitions_of(admin: AIOKafkaAdminClient, topic: str) -> int:
    (found,) = await admin.describe_topics([topic])
    return len(found["partitions"])


async def settings_of(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    answers: list[Any] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return {entry[0]: entry[1] for entry in answers[0].resources[0][4]}


async def test_topics_are_made_with_their_settings(cluster: Cluster) -> None:
    await ensure_topics(cluster)
    async with admin_of(cluster) as admin:
        assert await partitions_of(admin, cluster.events) == PARTITIONS
        assert await partitions_of(admin, cluster.rejected) == 1
        settings = await settings_of(admin, cluster.events)
        assert (settings["cleanup.policy"], settings["retention.ms"]) == ("delete", "3600000")
        assert (await settings_of(admin, cluster.rejected))["retention.ms"] == str(30 * 24 * 3_600_000)


async def test_a_topic_that_is_there_stays_as_it_is(cluster: Cluster) -> None:
    async with admin_of(cluster) as admin:
        await admin.create_topics([NewTopic(cluster.events, 2, 1, topic_configs={"retention.ms": "5000"})])
        await ensure_topics(cluster)
        assert await partitions_of(admin, cluster.events) == 2
        assert (await settings_of(admin, cluster.events))["retention.ms"] == "5000"


async def test_topics_that_cannot_be_made_are_an_error_that_names_them(cluster: Cluster) -> None:
    with pytest.raises(KafkaError, match=cluster.events):
        await ensure_topics(replace(cluster, replication_factor=3))


async def test_events_of_one_device_go_to_one_partition_and_those_of_many_to_all(
    store: Store, cluster: Cluster
) -> None:
    for n in range(40):
        await store.run(add_events, 2, "a" * 24, f"device-{n}")
    async with relaying(store, cluster) as relay:
        relay.wake()
        consumer = AIOKafkaConsumer(cluster.events, auto_offset_reset="earliest", **cluster.client("test"))
        await until(lambda: _exists(cluster), bool)
        await consumer.start()
        try:
            records = [await consumer.getone() for _ in range(80)]
        finally:
            await consumer.stop()
    by_device: dict[bytes | None, set[int]] = {}
    for record in records:
        by_device.setdefault(record.key, set()).add(record.partition)
    assert len(by_device) == 40
    assert all(len(partitions) == 1 for partitions in by_device.values())
    assert set.union(*by_device.values()) == set(range(PARTITIONS))


async def _exists(cluster: Cluster) -> bool:
    async with admin_of(cluster) as admin:
        return cluster.events in await admin.list_topics()
