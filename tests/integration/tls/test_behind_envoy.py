"""Drivers that come in through a real Envoy, which verifies their certificate and tells the core of it."""

import json
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from core.certificates import Pair
from tests.fakes.certs_folder import CertsFolder
from tests.fakes.core_process import CoreProcess
from tests.integration.tls.channels import by_token, driver_stream, forwarding
from tests.integration.tls.conftest import Running, Secured
from tools.engines.ports import free_port

ENVOY = Path(sys.executable).with_name("envoy")
READY_S_MAX = 30.0
TYPES = "type.googleapis.com/envoy"


def typed(name: str, **values: Any) -> dict[str, Any]:
    """A message of Envoy's configuration."""
    return {"@type": f"{TYPES}.{name}", **values}


def at(port: int) -> dict[str, Any]:
    """An address of loopback."""
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def tls(certs: CertsFolder, name: str) -> dict[str, Any]:
    """What is shown and what is trusted."""
    pair = {
        "certificate_chain": {"filename": str(certs.file(f"{name}.pem"))},
        "private_key": {"filename": str(certs.file(f"{name}.key"))},
    }
    trusted = {"trusted_ca": {"filename": str(certs.file("ca.pem"))}}
    return {"tls_certificates": [pair], "validation_context": trusted, "alpn_protocols": ["h2"]}


def bootstrap(core: CoreProcess, certs: CertsFolder, port: int) -> dict[str, Any]:
    """A listener for drivers with mutual TLS, and the core's internal listener behind it, with mutual TLS too."""
    manager = typed(
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="drivers",
        codec_type="HTTP2",
        forward_client_cert_details="SANITIZE_SET",
        set_current_client_cert_details={"uri": True, "subject": True, "dns": True},
        route_config={
            "virtual_hosts": [
                {
                    "name": "drivers",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "core", "timeout": "0s"}}],
                }
            ]
        },
        http_filters=[{"name": "router", "typed_config": typed("extensions.filters.http.router.v3.Router")}],
    )
    downstream = typed(
        "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        require_client_certificate=True,
        common_tls_context=tls(certs, "edge"),
    )
    upstream = typed(
        "extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        sni="localhost",
        common_tls_context=tls(certs, "client"),
    )
    protocol = typed(
        "extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config={"http2_protocol_options": {}},
    )
    listener = {
        "name": "drivers",
        "address": at(port),
        "filter_chains": [
            {
                "transport_socket": {"name": "tls", "typed_config": downstream},
                "filters": [{"name": "http", "typed_config": manager}],
            }
        ],
    }
    cluster = {
        "name": "core",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "core",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": at(core.internal_port)}}]}],
        },
        "transport_socket": {"name": "tls", "typed_config": upstream},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol
        },
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


@pytest.fixture(scope="module")
def edge(running: Running, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """Its address."""
    folder = tmp_path_factory.mktemp("envoy")
    port = free_port()
    (folder / "envoy.json").write_text(json.dumps(bootstrap(running.core, running.certs, port)))
    line = [str(ENVOY), "-c", str(folder / "envoy.json"), "--use-dynamic-base-id", "--concurrency", "1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(line, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + READY_S_MAX
        while "starting main dispatch loop" not in (folder / "log").read_text():
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "Envoy is not ready"
            time.sleep(0.02)
        yield f"localhost:{port}"
    finally:
        process.kill()
        process.wait()


async def ends(secured: Secured, edge: str, pair: Pair | None, metadata: Any) -> str:
    """The status of a stream that is refused."""
    async with driver_stream(edge, secured.certs.trusting(pair), metadata, says_hello=False) as driver:
        return (await driver.end()).code


async def test_a_driver_comes_in_by_the_certificate_that_it_shows_to_the_edge(
    secured: Secured, edge: str
) -> None:
    token = await secured.new_token()
    trusting = secured.certs.trusting(secured.certs.driver(token.id))
    for metadata in ((), by_token(token.token)):
        async with driver_stream(edge, trusting, metadata) as driver:
            await driver.frame("welcome")
    assert await secured.was_used(token)


async def test_what_a_driver_says_of_certificates_itself_does_not_get_through(
    secured: Secured, edge: str
) -> None:
    mine, others = await secured.new_token(), await secured.new_token()
    trusting = secured.certs.trusting(secured.certs.driver(mine.id))
    async with driver_stream(edge, trusting, forwarding(others.id)) as driver:
        await driver.frame("welcome")
    assert await secured.was_used(mine)
    assert not await secured.was_used(others)


async def test_the_edge_and_the_core_refuse_who_is_no_driver(
    secured: Secured, edge: str, certs: CertsFolder
) -> None:
    token, own = await secured.new_token(), secured.certs
    assert await ends(secured, edge, None, by_token(token.token)) == "UNAVAILABLE"
    assert await ends(secured, edge, certs.driver(token.id), ()) == "UNAVAILABLE"
    assert await ends(secured, edge, own.pair("client"), forwarding(token.id)) == "UNAUTHENTICATED"
    assert await ends(secured, edge, own.driver("00000000"), ()) == "UNAUTHENTICATED"
    other = await secured.new_token()
    assert await ends(secured, edge, own.driver(token.id), by_token(other.token)) == "UNAUTHENTICATED"


async def test_a_revoked_certificate_ends_the_stream_through_the_edge(secured: Secured, edge: str) -> None:
    token = await secured.new_token()
    pair = secured.certs.driver(token.id)
    async with driver_stream(edge, secured.certs.trusting(pair), ()) as driver:
        await driver.frame("welcome")
        await secured.revoke(token)
        assert (await driver.end()).code == "UNAUTHENTICATED"
    assert await ends(secured, edge, pair, ()) == "UNAUTHENTICATED"
