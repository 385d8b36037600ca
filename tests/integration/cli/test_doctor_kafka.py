"""What `infinireach doctor` says of a real Kafka, and that it changes nothing there."""

import asyncio
import json
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import NewTopic
from prometheus_client import CollectorRegistry

from core.eventlog.kafka.cluster import Cluster
from core.eventlog.kafka.metrics import KafkaMetrics
from core.eventlog.kafka.producer import Producer, Record
from core.eventlog.kafka.records import encode, key_of
from core.eventlog.kafka.topics import ensure_topics
from core.events import PublishedEvent
from core.ids import new_id
from core.store import migrate
from core.store.engine import Store
from tests.core_fixtures import NOW_MS
from tests.fakes.command_line import infinireach
from tests.fakes.database import TENANT_A, Database, chosen, file_store
from tests.fakes.driver_stream import until
from tests.fakes.kafka import PARTITIONS, admin_of, cluster_on, shared_kafka
from tests.fakes.outbox import add_events
from tests.integration.kafka.stage import working
from tools.engines.ports import free_port


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Topics of the test's own, which the settings name."""
    cluster = cluster_on(shared_kafka().servers)
    for name, value in {
        "VAR": tmp_path,
        "GRPC_PORT": 0,
        "METRICS_PORT": 0,
        "REST_PORT": 0,
        "KAFKA_SERVERS": ",".join(cluster.servers),
        "KAFKA_TOPIC_PREFIX": cluster.prefix,
        "KAFKA_PARTITIONS": cluster.partitions,
        "KAFKA_RETENTION_HOURS": cluster.retention_hours,
    }.items():
        monkeypatch.setenv(f"INFINIREACH_{name}", str(value))
    migrate.migrate(f"sqlite:///{tmp_path}/infinireach.db")
    return cluster


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    folder = tmp_path / "worker"
    folder.mkdir()
    with chosen(Database.SQLITE), file_store(folder) as store:
        yield store


def seen(*checks: str) -> list[tuple[str, str, str]]:
    """State, detail and remedy of what it says on these checks."""
    findings = json.loads(infinireach("doctor", "--json").out)["checks"]
    return [(f["state"], f["detail"], f["remedy"] or "") for f in findings if f["check"] in checks]


async def make_topic(cluster: Cluster, partitions: int, **settings: str) -> None:
    async with admin_of(cluster) as admin:
        configs = {name.replace("_", "."): value for name, value in settings.items()}
        await admin.create_topics([NewTopic(cluster.events, partitions, 1, topic_configs=configs)])
    await topics_serve(cluster, cluster.events)


async def make_topics(cluster: Cluster) -> None:
    await ensure_topics(cluster)
    await topics_serve(cluster, cluster.events, cluster.rejected)


async def topics_serve(cluster: Cluster, *names: str) -> None:
    """Wait until every partition has a leader; that takes a moment after a topic was made."""
    async with admin_of(cluster) as admin:

        async def look() -> list[Any]:
            return await admin.describe_topics(list(names))

        def all_serve(topics: list[Any]) -> bool:
            partitions = [each for topic in topics for each in topic["partitions"]]
            return bool(partitions) and not any(each["error_code"] for each in [*topics, *partitions])

        await until(look, all_serve)


async def topics_of(cluster: Cluster) -> set[str]:
    async with admin_of(cluster) as admin:
        return {name for name in await admin.list_topics() if name.startswith(cluster.prefix)}


async def write(cluster: Cluster, event_ids: Sequence[str]) -> None:
    producer = Producer(cluster, KafkaMetrics(CollectorRegistry()))
    events = [
        PublishedEvent(event_id, TENANT_A, "message.sent", None, f"d-{event_id}", NOW_MS)
        for event_id in event_ids
    ]
    await producer.write(cluster.events, [Record(encode(event), key_of(event)) for event in events])
    await producer.close()


def test_missing_topics_are_told_and_not_made(cluster: Cluster) -> None:
    assert seen("kafka") == [("ok", "answers; brokers: 1", "")]
    found = seen("kafka topic")
    assert [(state, detail) for state, detail, _ in found] == [
        ("warning", f"{cluster.events} does not exist"),
        ("warning", f"{cluster.rejected} does not exist"),
    ]
    assert all(remedy for *_, remedy in found)
    assert seen("kafka workers") == []
    assert asyncio.run(topics_of(cluster)) == set()


def test_topics_as_the_gateway_makes_them_are_in_order(cluster: Cluster) -> None:
    asyncio.run(make_topics(cluster))
    assert [state for state, *_ in seen("kafka topic")] == ["ok", "ok"]
    assert f"partitions: {PARTITIONS}, copies: 1" in seen("kafka topic")[0][1]


def test_records_that_no_worker_reads_are_counted(cluster: Cluster) -> None:
    asyncio.run(write(cluster, [new_id(NOW_MS) for _ in range(7)]))
    [(state, detail, remedy)] = seen("kafka workers")
    assert state == "warning"
    assert detail == f"0 in group {cluster.group}, 7 records wait for them"
    assert "infinireach deliver" in remedy


async def test_a_worker_that_has_read_everything_is_in_order(cluster: Cluster, store: Store) -> None:
    async with working(store, cluster):
        await write(cluster, await store.run(add_events, 7))
        in_order = [("ok", f"1 in group {cluster.group}, 0 records wait for them", "")]
        await until(lambda: asyncio.to_thread(seen, "kafka workers"), lambda found: found == in_order)


def test_a_topic_with_unfit_settings_is_told(cluster: Cluster) -> None:
    asyncio.run(make_topic(cluster, 2, cleanup_policy="compact", retention_ms="60000"))
    found = {detail: state for state, detail, remedy in seen("kafka topic") if remedy}
    found.pop(f"{cluster.rejected} does not exist")
    prefix = cluster.events
    assert found == {
        f"{prefix} has 2 partitions, INFINIREACH_KAFKA_PARTITIONS is {PARTITIONS}": "warning",
        f"{prefix} is compacted: an event of a device removes the one before": "fault",
        f"{prefix} keeps 0.0166667 h, INFINIREACH_KAFKA_RETENTION_HOURS is 1": "warning",
    }


def test_a_topic_that_lacks_copies_to_be_written_to_is_a_fault(cluster: Cluster) -> None:
    asyncio.run(make_topic(cluster, PARTITIONS, min_insync_replicas="2"))
    state, detail, _ = seen("kafka topic")[0]
    assert (state, detail) == ("fault", f"{cluster.events} has 1 copies in sync and needs 2")


def test_a_kafka_that_cannot_be_reached_is_a_fault(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = replace(cluster, servers=[f"127.0.0.1:{free_port()}"])
    monkeypatch.setenv("INFINIREACH_KAFKA_SERVERS", nowhere.servers[0])
    [(state, detail, remedy)] = seen("kafka")
    assert state == "fault"
    assert detail.startswith(nowhere.servers[0])
    assert "INFINIREACH_KAFKA_SERVERS" in remedy
