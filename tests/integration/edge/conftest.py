"""What the tests of the edge share: one authority, and an edge in front of one facade and one core."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.certificate_files import CertificateFiles
from tests.fakes.edge import serving
from tests.fakes.edge_upstreams import FakeCore, FakeFacade
from tools.engines.envoy import Envoy
from tools.engines.envoy_bootstrap import Ports, Upstreams


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge, and what stands behind it."""

    envoy: Envoy
    facade: FakeFacade
    core: FakeCore
    """Stands for a core's public listener."""
    internal: FakeCore
    """Stands for a core's internal listener."""

    @property
    def ports(self) -> Ports:
        """Where the edge listens."""
        return self.envoy.place.ports

    def nothing_arrived(self) -> bool:
        """Whether neither facade nor core has seen any request."""
        return not (self.facade.seen or self.core.seen or self.internal.seen)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    """Certificates of an authority that nothing else trusts."""
    return CertificateFiles(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def edge(tmp_path: Path, certificates: CertificateFiles) -> AsyncGenerator[Edge]:
    """An edge as it is in production, but for TLS to the cores."""
    async with FakeFacade() as facade, FakeCore() as core, FakeCore() as internal:
        upstreams = Upstreams(
            facades=[facade.address],
            cores=[core.address],
            cores_internal=[internal.address],
            is_tls_to_cores=False,
        )
        async with serving(tmp_path, certificates, upstreams) as envoy:
            yield Edge(envoy, facade, core, internal)
