"""Kafka that asks who comes: passwords and certificates, over plain connections and TLS."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import Unavailable
from core.eventlog.kafka import producer as producer_module
from core.eventlog.kafka.cluster import Cluster, Sasl, Tls
from core.eventlog.kafka.producer import Producer, Record
from core.store.engine import Store
from tests.fakes.certificates import CertificateAuthority
from tests.fakes.kafka import cluster_on, own_kafka
from tests.fakes.outbox import add_events, published
from tests.integration.kafka.stage import Worker, relaying, working
from tools.engines.kafka import Security
from tools.engines.ports import HOST, free_port

USER, PASSWORD = "reach", "correct-horse"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class Files:
    """PEM files of one authority, and of a stranger's."""

    def __init__(self, folder: Path) -> None:
        ours, theirs = CertificateAuthority(), CertificateAuthority()
        self.authority = self._write(folder / "ca.pem", ours.certificate)
        self.node = self._write(folder / "node.pem", ours.identity(HOST))
        self.client = self._write(folder / "client.pem", ours.identity("gateway"))
        self.stranger = self._write(folder / "stranger.pem", theirs.identity("gateway"))
        self.other_authority = self._write(folder / "other-ca.pem", theirs.certificate)

    @staticmethod
    def _write(path: Path, content: bytes) -> Path:
        path.write_bytes(content)
        return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is refused learns it soon."""
    monkeypatch.setattr(producer_module, "PUBLISH_S", 5.0)


@pytest.fixture(scope="module")
def with_passwords(tmp_path_factory: pytest.TempPathFactory, files: Files) -> Generator[Security]:
    """A node that takes passwords over TLS."""
    security = Security("SASL_SSL", free_port(), users={USER: PASSWORD}, identity_file=files.node)
    with own_kafka(tmp_path_factory.mktemp("kafka"), security=security):
        yield security


@pytest.fixture(scope="module")
def with_certificates(tmp_path_factory: pytest.TempPathFactory, files: Files) -> Generator[Security]:
    """A node that takes certificates."""
    security = Security("SSL", free_port(), identity_file=files.node, client_ca_file=files.authority)
    with own_kafka(tmp_path_factory.mktemp("kafka"), security=security):
        yield security


def cluster_at(security: Security, tls: Tls, sasl: Sasl | None = None) -> Cluster:
    return replace(cluster_on(f"{HOST}:{security.port}"), tls=tls, sasl=sasl)


async def carries(store: Store, cluster: Cluster) -> None:
    """Whether events get through it."""
    ids = await store.run(add_events, 3)
    async with relaying(store, cluster) as relay, working(store, cluster):
        relay.wake()
        assert await published(store, 3) == ids


async def is_refused(store: Store, cluster: Cluster) -> None:
    producer = Worker(store, cluster, Producer).producer
    with pytest.raises(Unavailable):
        await producer.write(cluster.rejected, [Record(b"x")])


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_passwords_over_tls(
    store: Store, files: Files, with_passwords: Security, mechanism: str
) -> None:
    tls = Tls(ca_file=files.authority)
    await carries(store, cluster_at(with_passwords, tls, Sasl(mechanism, USER, PASSWORD)))
    await is_refused(store, cluster_at(with_passwords, tls, Sasl(mechanism, USER, "wrong")))


async def test_certificates(store: Store, files: Files, with_certificates: Security) -> None:
    await carries(store, cluster_at(with_certificates, Tls(files.authority, files.client, files.client)))
    await is_refused(store, cluster_at(with_certificates, Tls(files.authority)))
    await is_refused(
        store, cluster_at(with_certificates, Tls(files.authority, files.stranger, files.stranger))
    )


async def test_a_node_of_another_authority_is_told_nothing(
    store: Store, files: Files, with_passwords: Security
) -> None:
    tls = Tls(ca_file=files.other_authority)
    await is_refused(store, cluster_at(with_passwords, tls, Sasl("PLAIN", USER, PASSWORD)))


async def test_files_that_are_missing_are_told_and_end_nothing(
    store: Store, with_passwords: Security, tmp_path: Path
) -> None:
    tls = Tls(ca_file=tmp_path / "missing.pem")
    await is_refused(store, cluster_at(with_passwords, tls, Sasl("PLAIN", USER, PASSWORD)))


def test_no_password_is_shown() -> None:
    assert PASSWORD not in repr(cluster_at(Security("SSL", 1), Tls(), Sasl("PLAIN", USER, PASSWORD)))
