"""What the edge answers by itself: its limits, and what it says when one is reached."""

import asyncio
import contextlib
import ssl
from pathlib import Path

import grpc
import pytest

from rest_facade.errors import CODES
from tests.e2e.gateway import until
from tests.fakes import http2
from tests.fakes.certificate_files import CertificateFiles
from tests.fakes.edge import CALL_TIMEOUT_S, Answer, channel, http1, serving
from tests.fakes.edge_upstreams import FakeCore, FakeFacade, hang_up
from tests.integration.edge.conftest import Edge
from tools.engines import envoy_bootstrap as bootstrap
from tools.engines.envoy_bootstrap import Bootstrap, Upstreams

CREATE_MESSAGE = "/infinireach.v1.MessagesService/CreateMessage"
GET_MESSAGE = "/infinireach.v1.MessagesService/GetMessage"
POST_HEAD = "POST /api/v1/messages HTTP/1.1\r\nhost: edge.example\r\n"
GET_HEAD = "GET /api/v1/devices HTTP/1.1\r\nhost: edge.example\r\n"
REFUSED = {
    "large headers": (f"{GET_HEAD}x-long: {'a' * 9000}\r\n\r\n", "headers_too_large"),
    "many headers": (GET_HEAD + "x-one: a\r\n" * 70 + "\r\n", "headers_too_large"),
    "underscore in a name": (f"{GET_HEAD}x_tenant_id: a\r\n\r\n", "bad_request"),
    "escaped slash": ("GET /api/v1%2Fdevices HTTP/1.1\r\nhost: a\r\n\r\n", "bad_request"),
    "no host": ("GET /api/v1/devices HTTP/1.1\r\n\r\n", "bad_request"),
    "two lengths": (
        f"{POST_HEAD}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "bad_request",
    ),
    "upgrade": (f"{GET_HEAD}connection: upgrade\r\nupgrade: websocket\r\n\r\n", "bad_request"),
    "large body": (f"{POST_HEAD}content-length: 65537\r\n\r\n{'a' * 65537}", "payload_too_large"),
    "large body in chunks": (
        f"{POST_HEAD}transfer-encoding: chunked\r\n\r\n10001\r\n{'a' * 65537}\r\n0\r\n\r\n",
        "payload_too_large",
    ),
}
"""Requests that come no further than the edge, and the code that each is answered with."""


def assert_documented(answer: Answer, code: str) -> None:
    """The REST API's error body, its status, and Retry-After where it makes sense."""
    assert answer.headers["content-type"] == "application/json"
    assert answer.status == CODES[code].status
    body = answer.json
    assert body.keys() == {"success", "error", "message", "code", "requestId"}
    assert (body["success"], body["code"]) == (False, code)
    assert body["error"] == body["message"]
    assert body["requestId"] == answer.headers.get("x-request-id")
    assert ("retry-after" in answer.headers) is (answer.status in {429, 503})


def short_times(changed: Bootstrap) -> None:
    """Waits of production, in tenths of a second."""
    manager = bootstrap.connection_manager(changed, "public")
    manager["request_headers_timeout"] = "0.3s"
    manager["request_timeout"] = "0.5s"
    manager["delayed_close_timeout"] = "0.1s"
    [chain] = bootstrap.listener(changed, "public")["filter_chains"]
    chain["transport_socket_connect_timeout"] = "1s"
    for name in ("rest_write", "rest_read", "grpc_write", "grpc_read"):
        bootstrap.routes(changed, "public")[name]["route"]["timeout"] = "0.3s"


def three_requests(changed: Bootstrap) -> None:
    """An address may make three requests and then none for an hour."""
    limit = bootstrap.http_filter(changed, "public", "local_ratelimit")
    bucket = {"max_tokens": 3, "tokens_per_fill": 3, "fill_interval": "3600s"}
    limit["descriptors"][0]["token_bucket"] = bucket


async def test_what_breaks_a_limit_gets_the_documented_answer(
    edge: Edge, certificates: CertificateFiles
) -> None:
    for what, (request, code) in REFUSED.items():
        async with http1(edge.ports.public, certificates) as caller:
            await caller.send(request)
            answer = await caller.answer()
        assert answer.status == CODES[code].status, what
        assert_documented(answer, code)
    assert edge.nothing_arrived()


async def test_bodies_within_the_limits_arrive_whole(edge: Edge, certificates: CertificateFiles) -> None:
    async with http1(edge.ports.public, certificates) as caller:
        for path, length in (("/api/v1/messages", 65_536), ("/api/v1/messages/batch", 4_194_304)):
            answer = await caller.request("POST", path, body=b"a" * length)
            assert answer.status == 200
            assert len(edge.facade.seen.pop().body) == length


async def test_who_is_slow_is_not_waited_for(tmp_path: Path, certificates: CertificateFiles) -> None:
    async with (
        FakeFacade() as facade,
        FakeCore() as core,
        serving(
            tmp_path,
            certificates,
            Upstreams(facades=[facade.address], cores=[core.address], is_tls_to_cores=False),
            change=short_times,
        ) as envoy,
    ):
        port = envoy.place.ports.public
        for begun in (GET_HEAD, f"{POST_HEAD}content-length: 9\r\n\r\nhalf"):
            async with http1(port, certificates) as caller:
                await caller.send(begun)
                assert_documented(await caller.answer(), "request_timeout")
                assert await caller.ended() == b""
        async with channel(port, certificates) as opened:
            with pytest.raises(grpc.aio.AioRpcError) as late:
                await opened.stream_unary(CREATE_MESSAGE)(timeout=20)  # and no request follows
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert late.value.details() == "The request did not arrive in time."
        reader, writer = await asyncio.open_connection("127.0.0.1", port)  # and no handshake
        async with asyncio.timeout(CALL_TIMEOUT_S):
            assert await reader.read() == b""
        writer.close()
        assert facade.seen == []


async def test_an_address_that_asks_too_often_is_held_off_and_others_are_not(
    tmp_path: Path, certificates: CertificateFiles
) -> None:
    async with (
        FakeFacade() as facade,
        FakeCore() as core,
        serving(
            tmp_path,
            certificates,
            Upstreams(facades=[facade.address], cores=[core.address], is_tls_to_cores=False),
            change=three_requests,
        ) as envoy,
    ):
        port = envoy.place.ports.public
        async with http1(port, certificates) as caller:
            for _ in range(3):
                assert (await caller.request("GET", "/api/v1/devices")).status == 200
            refused = await caller.request("GET", "/api/v1/devices")
        assert_documented(refused, "rate_limited")
        async with channel(port, certificates) as opened:
            with pytest.raises(grpc.aio.AioRpcError) as exhausted:
                await opened.unary_unary(CREATE_MESSAGE)(b"", timeout=20)
        assert exhausted.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        async with http1(port, certificates, from_address="127.0.0.2") as other:
            assert (await other.request("GET", "/api/v1/devices")).status == 200
        assert core.seen == []


async def test_a_listener_has_only_so_many_connections(
    tmp_path: Path, certificates: CertificateFiles
) -> None:
    def one_connection(changed: Bootstrap) -> None:
        [chain] = bootstrap.listener(changed, "public")["filter_chains"]
        chain["filters"][0]["typed_config"]["max_connections"] = 1

    async with (
        FakeFacade() as facade,
        serving(tmp_path, certificates, Upstreams(facades=[facade.address]), change=one_connection) as envoy,
    ):
        async with http1(envoy.place.ports.public, certificates) as first:
            assert (await first.request("GET", "/docs")).status == 200
            with pytest.raises((ConnectionError, ssl.SSLError)):
                async with http1(envoy.place.ports.public, certificates):
                    pass
            assert (await first.request("GET", "/docs")).status == 200
        active = "connection_limit.public.active_connections"
        await until(lambda: envoy.stats("connection_limit")[active] == 0, "the first connection is gone")
        async with http1(envoy.place.ports.public, certificates) as next_one:
            assert (await next_one.request("GET", "/docs")).status == 200


async def test_without_upstreams_nothing_was_accepted(tmp_path: Path, certificates: CertificateFiles) -> None:
    async with serving(tmp_path, certificates, Upstreams()) as envoy:
        async with http1(envoy.place.ports.public, certificates) as caller:
            assert_documented(await caller.request("POST", "/api/v1/messages", body=b"{}"), "unavailable")
        async with channel(envoy.place.ports.public, certificates) as opened:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await opened.unary_unary(CREATE_MESSAGE)(b"", timeout=20)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_what_was_passed_on_and_lost_is_of_unknown_outcome_and_is_sent_once(
    edge: Edge, certificates: CertificateFiles
) -> None:
    edge.facade.behave = hang_up
    async with http1(edge.ports.public, certificates) as caller:
        lost = await caller.request("POST", "/api/v1/messages", body=b"{}")
        assert_documented(lost, "outcome_unknown")
        assert len(edge.facade.seen) == 1
        read = await caller.request("GET", "/api/v1/devices")
        assert_documented(read, "unavailable")
        assert len(edge.facade.seen) == 1 + 3


async def test_what_takes_too_long_is_of_unknown_outcome(
    tmp_path: Path, certificates: CertificateFiles
) -> None:
    async with (
        FakeFacade(held=asyncio.Event()) as facade,
        FakeCore(held=asyncio.Event()) as core,
        serving(
            tmp_path,
            certificates,
            Upstreams(facades=[facade.address], cores=[core.address], is_tls_to_cores=False),
            change=short_times,
        ) as envoy,
    ):
        async with http1(envoy.place.ports.public, certificates) as caller:
            late = await caller.request("POST", "/api/v1/messages", body=b"{}")
            assert_documented(late, "outcome_unknown")
            assert_documented(await caller.request("GET", "/api/v1/devices"), "unavailable")
        codes: list[grpc.StatusCode] = []
        async with channel(envoy.place.ports.public, certificates) as opened:
            for path in (CREATE_MESSAGE, GET_MESSAGE):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await opened.unary_unary(path)(b"", timeout=20)
                codes.append(refused.value.code())
        assert codes == [grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNAVAILABLE]
        assert [seen.path for seen in core.seen] == [CREATE_MESSAGE, GET_MESSAGE]


async def test_large_metadata_of_a_call_goes_no_further(edge: Edge, certificates: CertificateFiles) -> None:
    many = tuple((f"x-{number}", "a") for number in range(100))
    for metadata in ((("x-long", "a" * 9000),), many):
        async with channel(edge.ports.public, certificates) as opened:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await opened.unary_unary(CREATE_MESSAGE)(b"", metadata=metadata, timeout=20)
        assert refused.value.code() is grpc.StatusCode.INTERNAL  # the stream is reset
    assert edge.nothing_arrived()


async def test_an_edge_without_memory_takes_nothing_and_says_so(
    tmp_path: Path, certificates: CertificateFiles
) -> None:
    def no_memory(changed: Bootstrap) -> None:
        manager = changed["overload_manager"]
        [heap, _] = manager["resource_monitors"]
        heap["typed_config"]["max_heap_size_bytes"] = 1
        manager["actions"] = [
            action for action in manager["actions"] if action["name"].endswith("stop_accepting_requests")
        ]

    async with (
        FakeFacade() as facade,
        serving(tmp_path, certificates, Upstreams(facades=[facade.address]), change=no_memory) as envoy,
    ):
        active = "overload.envoy.overload_actions.stop_accepting_requests.active"
        await until(lambda: envoy.stats(active)[active] == 1, "the memory is watched")
        async with http1(envoy.place.ports.public, certificates) as caller:
            assert_documented(await caller.request("POST", "/api/v1/messages", body=b"{}"), "unavailable")
        assert facade.seen == []


async def test_who_opens_requests_only_to_reset_them_is_cut_off(
    edge: Edge, certificates: CertificateFiles
) -> None:
    edge.facade.held = asyncio.Event()
    get_docs = b"\x82\x87\x44\x05/docs\x41\x04edge"  # GET, https, path and authority (RFC 7541, appendix A)
    opened_and_reset = b"".join(
        http2.frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, stream, get_docs)
        + http2.frame(http2.RST_STREAM, 0, stream, (8).to_bytes(4, "big"))
        for stream in range(1, 2001, 2)
    )
    async with http1(edge.ports.public, certificates, protocols=("h2",)) as caller:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await caller.send(http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0) + opened_and_reset)
            await caller.ended()
    resets = "http.public.downstream_rq_too_many_premature_resets"
    await until(lambda: edge.envoy.stats(resets)[resets] == 1, "the connection was closed for its resets")
    async with http1(edge.ports.public, certificates) as other:
        assert (await other.request("GET", "/nothing")).status == 404
