"""A real Kafka for tests: one for all tests that do not stop it, and nodes of a test's own."""

import asyncio
import atexit
import contextlib
import shutil
import tempfile
import uuid
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from core.eventlog.kafka.cluster import Cluster
from tools.engines.kafka import Kafka, Security
from tools.engines.ports import free_port

PARTITIONS = 4

_starter = ThreadPoolExecutor(1, thread_name_prefix="kafka-starter")
"""Lives as long as the process: a node ends with the thread that started it."""


@cache
def shared_kafka() -> Kafka:
    """The node of all tests that do not stop it."""
    folder = Path(tempfile.mkdtemp(prefix="infinireach-kafka-"))
    kafka = Kafka(folder, free_port(), free_port())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(kafka.kill)
    kafka.start()
    return kafka


@contextlib.contextmanager
def own_kafka(folder: Path, *, security: Security | None = None) -> Generator[Kafka]:
    """A node that the test may stop, kill and empty."""
    kafka = Kafka(folder, free_port(), free_port(), security=security)
    kafka.start()
    try:
        yield kafka
    finally:
        kafka.kill()


async def start(kafka: Kafka) -> None:
    """Start a node while the loop goes on."""
    await asyncio.get_running_loop().run_in_executor(_starter, kafka.start)


def cluster_on(servers: str, *, prefix: str = "", partitions: int = PARTITIONS) -> Cluster:
    """Topics and a group that nobody else has, unless a prefix is given."""
    return Cluster(
        servers=[servers],
        prefix=prefix or f"test-{uuid.uuid4().hex[:12]}",
        partitions=partitions,
        replication_factor=0,
        retention_hours=1,
    )


@contextlib.asynccontextmanager
async def admin_of(cluster: Cluster) -> AsyncGenerator[AIOKafkaAdminClient]:
    """What looks at topics and makes them."""
    admin = AIOKafkaAdminClient(**cluster.client("test"))
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()
