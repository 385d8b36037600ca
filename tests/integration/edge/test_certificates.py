"""Certificates that are renewed while the edge runs: it takes them up, and nobody is cut off."""

import ssl
from pathlib import Path

import grpc
import pytest

from tests.e2e.gateway import eventually, until
from tests.fakes.certificate_files import CertificateFiles
from tests.fakes.edge import CALL_TIMEOUT_S, channel, http1, serving
from tests.fakes.edge_upstreams import FakeCore, FakeFacade
from tests.integration.edge.test_failures import fast_checks, until_healthy
from tools.engines.envoy_bootstrap import Upstreams

CONNECT = "/infinireach.driver.v1.DriverService/Connect"
TOKEN_ID = "juK3g9Yn"


@pytest.fixture
def mine(tmp_path: Path) -> CertificateFiles:
    """The certificates of an edge."""
    return CertificateFiles(tmp_path / "mine")


@pytest.fixture
def fresh(tmp_path: Path) -> CertificateFiles:
    """What they are renewed with: another authority's, so that it shows at once whose is in force."""
    return CertificateFiles(tmp_path / "fresh")


def renew(mine: CertificateFiles, fresh: CertificateFiles, *names: str) -> None:
    """Replace files as `infinireach certs` does: each at once, one after the other."""
    for name in names:
        (fresh.folder / name).replace(mine.folder / name)


async def is_known_by(port: int, authority: CertificateFiles) -> bool:
    """Whether the edge shows a certificate of an authority."""
    try:
        async with http1(port, authority):
            return True
    except ssl.SSLCertVerificationError:
        return False


async def test_a_renewed_certificate_is_shown_to_who_connects_and_open_connections_go_on(
    tmp_path: Path, mine: CertificateFiles, fresh: CertificateFiles
) -> None:
    async with (
        FakeFacade() as facade,
        serving(tmp_path / "edge", mine, Upstreams(facades=[facade.address])) as envoy,
        http1(envoy.place.ports.public, mine) as open_before,
    ):
        ports = envoy.place.ports
        renew(mine, fresh, "edge.pem")
        failed = "sds.edge.key_rotation_failed"
        await until(lambda: envoy.stats(failed)[failed] > 0, "the edge has seen half of the renewal")
        assert await is_known_by(ports.public, mine)  # what does not fit leaves the old ones in force
        renew(mine, fresh, "edge.key")
        for port in (ports.public, ports.driver_token):
            await eventually(lambda port=port: is_known_by(port, fresh), "the new certificate is shown")
        assert (await open_before.request("GET", "/docs")).status == 200


async def test_a_renewed_authority_decides_which_drivers_come_in(
    tmp_path: Path, mine: CertificateFiles, fresh: CertificateFiles
) -> None:
    driver = fresh.driver("driver", TOKEN_ID)
    async with (
        FakeCore() as internal,
        serving(
            tmp_path / "edge", mine, Upstreams(cores_internal=[internal.address], is_tls_to_cores=False)
        ) as envoy,
    ):

        async def is_let_in() -> bool:
            async with channel(envoy.place.ports.driver, mine, client=driver) as opened:
                call = opened.stream_stream(CONNECT)(timeout=CALL_TIMEOUT_S)
                try:
                    await call.write(b"hello")
                    return await call.read() == b"hello"
                except grpc.aio.AioRpcError:
                    return False

        assert not await is_let_in()
        old = mine.folder / "old.pem"
        old.write_bytes(mine.authority.read_bytes())
        renew(mine, fresh, "ca.pem")
        mine.authority = old  # by which the edge's own certificate is known as before
        await eventually(is_let_in, "the driver's authority is known")


async def test_a_core_is_shown_the_renewed_certificate_of_the_edge(
    tmp_path: Path, mine: CertificateFiles, fresh: CertificateFiles
) -> None:
    certificate, key = (file.read_bytes() for file in mine.pair("core"))
    demanding = grpc.ssl_server_credentials(
        [(key, certificate)], fresh.authority.read_bytes(), require_client_auth=True
    )
    async with (
        FakeCore(credentials=demanding) as core,
        serving(tmp_path / "edge", mine, Upstreams(cores=[core.address]), change=fast_checks) as envoy,
    ):
        failed = "cluster.core_public.health_check.failure"
        await until(lambda: envoy.stats(failed)[failed] > 0, "the core does not speak to the edge")
        renew(mine, fresh, "client.key", "client.pem")
        await until_healthy(envoy, "core_public", 1)
