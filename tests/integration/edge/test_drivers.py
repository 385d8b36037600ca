"""Who gets to a core as a driver, as whom, and for how long."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.e2e.gateway import until
from tests.fakes.certificate_files import DRIVER_URI, CertificateFiles
from tests.fakes.edge import CALL_TIMEOUT_S, channel, http1, serving
from tests.fakes.edge_upstreams import FakeCore
from tests.integration.edge.conftest import Edge
from tools.engines import envoy_bootstrap as bootstrap
from tools.engines.envoy_bootstrap import Bootstrap, Upstreams

CONNECT = "/infinireach.driver.v1.DriverService/Connect"
TOKEN_ID = "65f0aa000000000000000001"
TOKEN = "ird_" + "a" * 46
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
CLAIMS = (
    ("x-forwarded-client-cert", f"Hash=00;URI={DRIVER_URI}65f0aa000000000000000002"),
    ("x-tenant-id", "65f0aa000000000000000003"),
    ("authorization", "Bearer service-credential"),
    ("x-api-key", "a-key"),
)
IDLE_S = 0.5


@asynccontextmanager
async def stream(
    port: int,
    certificates: CertificateFiles,
    *,
    client: tuple[Path, Path] | None = None,
    metadata: tuple[tuple[str, str], ...] = (),
) -> AsyncGenerator[Any]:
    """A driver stream; what is written on it comes back."""
    async with channel(port, certificates, client=client) as opened:
        call = opened.stream_stream(CONNECT)(metadata=metadata, timeout=CALL_TIMEOUT_S)
        try:
            yield call
        finally:
            call.cancel()


async def is_spoken_to(port: int, certificates: CertificateFiles, client: tuple[Path, Path] | None) -> bool:
    """Whether the other side says anything at all; in TLS 1.3 a client is refused after its handshake."""
    try:
        async with http1(port, certificates, client=client, protocols=("h2",)) as caller:
            await caller.send(HTTP2_PREFACE)
            return await caller.reader.read(1) != b""
    except (ssl.SSLError, ConnectionError):
        return False


async def refusal(call: Any) -> grpc.aio.AioRpcError:
    """How a stream on which nothing was echoed ended."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call.read()
    return refused.value


async def test_without_a_drivers_certificate_nobody_gets_past_the_handshake(
    tmp_path: Path, edge: Edge, certificates: CertificateFiles
) -> None:
    strangers = CertificateFiles(tmp_path / "strangers")
    for client in (
        None,
        strangers.driver("stranger", TOKEN_ID),
        certificates.pair("client"),
        certificates.driver("misnamed", "somebody"),
    ):
        assert not await is_spoken_to(edge.ports.driver, certificates, client)
    assert await is_spoken_to(edge.ports.driver, certificates, certificates.driver("driver", TOKEN_ID))
    assert edge.nothing_arrived()


async def test_a_driver_is_who_its_certificate_says_and_nobody_else(
    edge: Edge, certificates: CertificateFiles
) -> None:
    client = certificates.driver("driver", TOKEN_ID)
    async with stream(edge.ports.driver, certificates, client=client, metadata=CLAIMS) as call:
        await call.write(b"hello")
        assert await call.read() == b"hello"
    [seen] = edge.internal.seen
    assert seen.path == CONNECT
    parts = dict(part.split("=", 1) for part in seen.headers["x-forwarded-client-cert"].split(";"))
    assert parts.keys() == {"Hash", "URI"}
    assert parts["URI"] == DRIVER_URI + TOKEN_ID
    assert not {"authorization", "x-api-key", "x-tenant-id"} & {*seen.headers}
    assert not edge.core.seen


async def test_a_driver_can_call_nothing_but_its_stream(edge: Edge, certificates: CertificateFiles) -> None:
    client = certificates.driver("driver", TOKEN_ID)
    for port in (edge.ports.driver, edge.ports.driver_token):
        async with channel(port, certificates, client=client) as opened:
            for path in (
                "/infinireach.v1.MessagesService/CreateMessage",
                "/infinireach.v1.AccountsService/ResolveApiKey",
                "/grpc.health.v1.Health/Check",
                "/infinireach.driver.v1.DriverService/Other",
            ):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await opened.unary_unary(path)(b"", timeout=CALL_TIMEOUT_S, metadata=CLAIMS)
                assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert edge.nothing_arrived()


async def test_a_driver_with_a_token_reaches_a_cores_public_listener(
    edge: Edge, certificates: CertificateFiles
) -> None:
    metadata = (*CLAIMS[:2], ("authorization", f"Bearer {TOKEN}"))
    async with stream(edge.ports.driver_token, certificates, metadata=metadata) as call:
        await call.write(b"hello")
        assert await call.read() == b"hello"
    [seen] = edge.core.seen
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"
    assert not {"x-forwarded-client-cert", "x-tenant-id"} & {*seen.headers}
    assert not edge.internal.seen


async def test_what_is_no_drivers_token_is_refused_by_the_edge(
    edge: Edge, certificates: CertificateFiles
) -> None:
    for metadata in ((), CLAIMS, (("authorization", "Bearer irk_" + "a" * 46),), (("authorization", TOKEN),)):
        async with stream(edge.ports.driver_token, certificates, metadata=metadata) as call:
            refused = await refusal(call)
        assert refused.code() is grpc.StatusCode.UNAUTHENTICATED
    assert edge.nothing_arrived()


async def test_heartbeats_keep_a_stream_open_and_silence_ends_it(
    tmp_path: Path, certificates: CertificateFiles
) -> None:
    def short_idle(changed: Bootstrap) -> None:
        bootstrap.routes(changed, "driver")["driver_stream"]["route"]["idle_timeout"] = f"{IDLE_S}s"

    async with (
        FakeCore() as core,
        serving(
            tmp_path,
            certificates,
            Upstreams(cores_internal=[core.address], is_tls_to_cores=False),
            change=short_idle,
        ) as envoy,
        stream(
            envoy.place.ports.driver, certificates, client=certificates.driver("driver", TOKEN_ID)
        ) as call,
    ):
        for _ in range(15):
            await call.write(b"heartbeat")
            assert await call.read() == b"heartbeat"
            await asyncio.sleep(IDLE_S / 5)
        await refusal(call)
        idle = "http.driver.downstream_rq_idle_timeout"
        await until(lambda: envoy.stats(idle)[idle] == 1, "the stream has ended for its silence")
        assert len(core.seen) == 1


async def test_a_stream_that_a_core_refuses_is_not_tried_again(
    edge: Edge, certificates: CertificateFiles
) -> None:
    async with FakeCore(fail_with=grpc.StatusCode.UNAVAILABLE, port=0) as refusing:
        upstreams = Upstreams(cores_internal=[refusing.address] * 2, is_tls_to_cores=False)
        async with (
            serving(edge.envoy.folder / "refused", certificates, upstreams) as envoy,
            stream(
                envoy.place.ports.driver, certificates, client=certificates.driver("driver", TOKEN_ID)
            ) as call,
        ):
            refused = await refusal(call)
        assert refused.code() is grpc.StatusCode.UNAVAILABLE
        assert len(refusing.seen) == 1


async def test_the_edge_shows_the_cores_its_own_certificate(
    tmp_path: Path, certificates: CertificateFiles
) -> None:
    certificate, key = (file.read_bytes() for file in certificates.pair("core"))
    credentials = grpc.ssl_server_credentials(
        [(key, certificate)], certificates.authority.read_bytes(), require_client_auth=True
    )
    async with (
        FakeCore(credentials=credentials) as internal,
        serving(tmp_path, certificates, Upstreams(cores_internal=[internal.address])) as envoy,
        stream(
            envoy.place.ports.driver, certificates, client=certificates.driver("driver", TOKEN_ID)
        ) as call,
    ):
        await call.write(b"hello")
        assert await call.read() == b"hello"


async def test_a_core_that_another_authority_vouches_for_is_not_spoken_to(
    tmp_path: Path, certificates: CertificateFiles
) -> None:
    strangers = CertificateFiles(tmp_path / "strangers")
    certificate, key = (file.read_bytes() for file in strangers.pair("core"))
    credentials = grpc.ssl_server_credentials([(key, certificate)])
    async with (
        FakeCore(credentials=credentials) as internal,
        serving(tmp_path / "edge", certificates, Upstreams(cores_internal=[internal.address])) as envoy,
        stream(
            envoy.place.ports.driver, certificates, client=certificates.driver("driver", TOKEN_ID)
        ) as call,
    ):
        assert (await refusal(call)).code() is grpc.StatusCode.UNAVAILABLE
        assert internal.seen == []
