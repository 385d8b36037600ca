"""A store on PostgreSQL, and Kafka clusters."""

from collections.abc import Generator
from pathlib import Path

import pytest

from core.eventlog.kafka.cluster import Cluster
from core.store.engine import Store
from tests.fakes.database import Database, chosen, file_store
from tests.fakes.kafka import cluster_on, shared_kafka
from tools.engines.kafka import Kafka


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    with chosen(Database.POSTGRESQL), file_store(tmp_path) as store:
        yield store


@pytest.fixture
def kafka() -> Kafka:
    """The node of all tests that do not stop it."""
    return shared_kafka()


@pytest.fixture
def cluster(kafka: Kafka) -> Cluster:
    """Topics of the test's own."""
    return cluster_on(kafka.servers)
