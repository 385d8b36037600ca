"""What the edge passes on, to whom, and with which headers."""

import base64
import re

import grpc
import pytest

from rest_facade.route_table import ROUTES
from tests.e2e.gateway import until
from tests.fakes.certificate_files import CertificateFiles
from tests.fakes.edge import channel, http1
from tests.integration.edge.conftest import Edge

GET_MESSAGE = "/infinireach.v1.MessagesService/GetMessage"
CREATE_MESSAGE = "/infinireach.v1.MessagesService/CreateMessage"
WEB_FRAME = b"\x00\x00\x00\x00\x05hello"
"""One message of gRPC-Web: no compression, five bytes."""
CLAIMS = {
    "x-tenant-id": "000000000000000000000001",
    "x-api-key-id": "somebody",
    "x-forwarded-client-cert": "URI=urn:infinireach:driver-token:000000000000000000000001",
    "x-forwarded-for": "203.0.113.7",
    "x-forwarded-proto": "http",
    "x-forwarded-host": "internal.example",
    "x-real-ip": "203.0.113.7",
    "forwarded": "for=203.0.113.7",
    "x-envoy-retry-on": "5xx",
    "x-envoy-max-retries": "9",
    "x-envoy-upstream-rq-timeout-ms": "1",
}
"""What a caller may claim and nobody believes."""
KEPT = {"x-forwarded-for", "x-forwarded-proto"}
"""Those of them that the edge says itself."""
INTERNAL = {"/healthz", "/readyz"}
NOT_PUBLIC = (
    *("/", "/healthz", "/readyz", "/metrics", "/api/v2/messages", "/docs/../readyz"),
    "/grpc.health.v1.Health/Check",
)
NOT_PUBLIC_METHODS = (
    "/infinireach.v1.AccountsService/ResolveApiKey",
    "/infinireach.driver.v1.DriverService/Connect",
    "/infinireach.v1.NoService/GetMessage",
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "/grpc.channelz.v1.Channelz/GetServers",
)


def stranger_claims(headers: dict[str, str]) -> set[str]:
    """The claims that came through as they were made."""
    return {name for name, value in CLAIMS.items() if headers.get(name) == value}


async def test_every_route_of_the_rest_api_reaches_the_facade(
    edge: Edge, certificates: CertificateFiles
) -> None:
    public = [route for route in ROUTES if route.path not in INTERNAL]
    assert len(public) == len(ROUTES) - len(INTERNAL)
    async with http1(edge.ports.public, certificates) as caller:
        for route in public:
            path = re.sub(r"\{\w+\}", "65f0aa", route.path)
            answer = await caller.request(route.method, path, body=b"{}" if route.body is not None else None)
            assert answer.json == {"from": "facade"}
            seen = edge.facade.seen.pop()
            assert (seen.method, seen.path) == (route.method, path)


async def test_anything_else_is_answered_404_by_the_edge(edge: Edge, certificates: CertificateFiles) -> None:
    async with http1(edge.ports.public, certificates) as caller:
        for path in NOT_PUBLIC:
            answer = await caller.request("GET", path, headers={"x-request-id": "mine"})
            assert (answer.status, answer.json["code"], answer.json["requestId"]) == (
                404,
                "not_found",
                "mine",
            )
            assert answer.headers["content-type"] == "application/json"
    assert edge.nothing_arrived()


async def test_a_facade_hears_no_claims_of_the_caller(edge: Edge, certificates: CertificateFiles) -> None:
    sent = {**CLAIMS, "authorization": "Bearer a-key", "x-api-key": "a-key", "x-request-id": "mine"}
    async with http1(edge.ports.public, certificates) as caller:
        answer = await caller.request("GET", "/api/v1/devices?from=%2B1555", headers=sent)
    [seen] = edge.facade.seen
    assert answer.headers["server"] == "infinireach"
    assert seen.path == "/api/v1/devices?from=%2B1555"
    assert not stranger_claims({**seen.headers})
    assert {*CLAIMS} & {*seen.headers} == KEPT
    assert "," not in seen.headers["x-forwarded-for"]
    assert seen.headers["x-forwarded-proto"] == "https"
    assert (seen.headers["authorization"], seen.headers["x-api-key"]) == ("Bearer a-key", "a-key")
    assert seen.headers["x-request-id"] == "mine"


async def test_a_core_hears_no_claims_and_no_service_credential(
    edge: Edge, certificates: CertificateFiles
) -> None:
    metadata = (*CLAIMS.items(), ("authorization", "Bearer credential"), ("x-api-key", "a-key"))
    async with channel(edge.ports.public, certificates) as opened:
        call = opened.unary_unary(CREATE_MESSAGE)(b"hello", metadata=metadata, timeout=20)
        assert await call == b"hello"
        answered = dict(await call.initial_metadata())
    [seen] = edge.core.seen
    assert not stranger_claims({**seen.headers})
    assert {*CLAIMS} & {*seen.headers} == KEPT
    assert "authorization" not in seen.headers
    assert seen.headers["x-api-key"] == "a-key"
    assert answered["x-request-id"] == seen.headers["x-request-id"]
    assert not edge.internal.seen


async def test_both_protocols_are_offered_on_the_public_port(
    edge: Edge, certificates: CertificateFiles
) -> None:
    for offered, agreed in ((("h2", "http/1.1"), "h2"), (("http/1.1",), "http/1.1")):
        async with http1(edge.ports.public, certificates, protocols=offered) as caller:
            assert caller.protocol == agreed


async def test_grpc_web_reaches_a_core(edge: Edge, certificates: CertificateFiles) -> None:
    headers = {"authorization": "Bearer credential", "x-api-key": "a-key"}
    async with http1(edge.ports.public, certificates) as caller:
        for content_type, body in (
            ("application/grpc-web+proto", WEB_FRAME),
            ("application/grpc-web-text", base64.b64encode(WEB_FRAME)),
        ):
            sent = {**headers, "content-type": content_type, "accept": content_type}
            answer = await caller.request("POST", GET_MESSAGE, headers=sent, body=body)
            received = answer.body
            if content_type.endswith("text"):  # each part is padded by itself
                received = b"".join(map(base64.b64decode, re.findall(rb"[^=]+=*", received)))
            assert received.startswith(WEB_FRAME)
            assert b"grpc-status:0" in received
            seen = edge.core.seen.pop()
            assert (seen.body, seen.headers["x-api-key"]) == (b"hello", "a-key")
            assert "authorization" not in seen.headers


async def test_a_method_that_is_not_public_is_unimplemented(
    edge: Edge, certificates: CertificateFiles
) -> None:
    async with channel(edge.ports.public, certificates) as opened:
        for path in NOT_PUBLIC_METHODS:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await opened.unary_unary(path)(b"", timeout=20)
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
            assert refused.value.details() == "The edge serves no such method."
    assert edge.nothing_arrived()


async def test_the_access_log_tells_what_happened_and_nothing_private(
    edge: Edge, certificates: CertificateFiles
) -> None:
    private = "15551230000"
    headers = {"x-api-key": f"irk_{private}", "authorization": f"Bearer {private}", "x-request-id": "mine"}
    async with http1(edge.ports.public, certificates) as caller:
        await caller.request("GET", f"/api/v1/messages?to=%2B{private}", headers=headers)
        await caller.request("GET", f"/{private}", headers=headers)
        await caller.request("POST", "/api/v1/messages", headers=headers, body=private.encode())
    async with channel(edge.ports.public, certificates) as opened:
        await opened.unary_unary(GET_MESSAGE)(
            private.encode(), timeout=20, metadata=(("x-api-key", private),)
        )
    await until(lambda: len(edge.envoy.access_entries()) == 4, "four lines")
    assert private not in edge.envoy.access_log.read_text(encoding="utf-8")
    lines = edge.envoy.access_entries()
    assert [line["route"] for line in lines] == ["rest_read", "none", "rest_write", "grpc_read"]
    first = lines[0]
    assert first["request_id"] == "mine"
    assert (first["status"], first["upstream"]) == (200, edge.facade.address)
    assert (first["client"], first["listener"], first["method"]) == ("127.0.0.1", "public", "GET")
    assert {"duration_ms", "upstream_ms", "flags", "detail", "attempts"} <= {*first}
