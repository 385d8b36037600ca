"""What callers notice of facades and cores that stop, crash or are replaced, and of an edge that is."""

import asyncio
from pathlib import Path

import grpc
import pytest

from tests.e2e.gateway import until
from tests.fakes.certificate_files import CertificateFiles
from tests.fakes.edge import channel, http1, serving
from tests.fakes.edge_upstreams import NOT_SERVING, SERVING, FakeCore, FakeFacade, hang_up
from tools.engines import envoy_bootstrap as bootstrap
from tools.engines.envoy import Envoy
from tools.engines.envoy_bootstrap import Bootstrap, Upstreams

CONNECT = "/infinireach.driver.v1.DriverService/Connect"
CREATE_MESSAGE = "/infinireach.v1.MessagesService/CreateMessage"
TOKEN_ID = "65f0aa000000000000000001"


def fast_checks(changed: Bootstrap) -> None:
    """Look after upstreams ten times a second."""
    for name in ("rest_facade", "core_public", "core_internal"):
        [check] = bootstrap.cluster(changed, name)["health_checks"]
        check.update(interval="0.1s", no_traffic_interval="0.1s")


def no_checks(changed: Bootstrap) -> None:
    """Look after upstreams once, at the start."""
    for name in ("rest_facade", "core_public", "core_internal"):
        [check] = bootstrap.cluster(changed, name)["health_checks"]
        check.update(interval="3600s", no_traffic_interval="3600s")


async def until_healthy(envoy: Envoy, cluster: str, count: int) -> None:
    """Wait until so many of a cluster's members are believed to be well."""
    name = f"cluster.{cluster}.membership_healthy"
    await until(lambda: envoy.stats(name)[name] == count, f"{count} healthy members of {cluster}")


async def test_a_facade_that_dies_is_hidden_from_callers_and_then_left_alone(
    tmp_path: Path, certificates: CertificateFiles
) -> None:
    async with FakeFacade("one") as one, FakeFacade("two") as two:
        upstreams = Upstreams(facades=[one.address, two.address])
        async with (
            serving(tmp_path, certificates, upstreams, change=no_checks) as envoy,
            http1(envoy.place.ports.public, certificates) as caller,
        ):
            await one.stop()
            for _ in range(30):
                answer = await caller.request("POST", "/api/v1/messages", body=b"{}")
                assert answer.json == {"from": "two"}
            ejected = "cluster.rest_facade.outlier_detection.ejections_active"
            assert envoy.stats(ejected)[ejected] == 1
            retried = "cluster.rest_facade.upstream_rq_retry_success"
            assert envoy.stats(f"{retried}$")[retried] > 0


async def test_a_read_that_one_facade_loses_another_answers(
    tmp_path: Path, certificates: CertificateFiles
) -> None:
    async with FakeFacade("one", behave=hang_up) as one, FakeFacade("two") as two:
        upstreams = Upstreams(facades=[one.address, two.address])
        async with (
            serving(tmp_path, certificates, upstreams) as envoy,
            http1(envoy.place.ports.public, certificates) as caller,
        ):
            for _ in range(20):
                answer = await caller.request("GET", "/api/v1/devices")
                assert answer.json == {"from": "two"}
        assert one.seen


async def test_a_facade_that_is_not_ready_gets_nothing_until_it_is(
    tmp_path: Path, certificates: CertificateFiles
) -> None:
    async with FakeFacade("one") as one, FakeFacade("two") as two:
        upstreams = Upstreams(facades=[one.address, two.address])
        async with (
            serving(tmp_path, certificates, upstreams, change=fast_checks) as envoy,
            http1(envoy.place.ports.public, certificates) as caller,
        ):
            one.is_ready = False
            await until_healthy(envoy, "rest_facade", 1)
            for _ in range(10):
                assert (await caller.request("GET", "/docs")).json == {"from": "two"}
            one.is_ready = True
            await until_healthy(envoy, "rest_facade", 2)
            two.is_ready = False
            await until_healthy(envoy, "rest_facade", 1)
            assert (await caller.request("GET", "/docs")).json == {"from": "one"}
            one.is_ready = False  # a facade says by itself, in its own words, that its core is away
            await until_healthy(envoy, "rest_facade", 0)
            assert (await caller.request("GET", "/docs")).status == 200


async def test_a_core_that_is_about_to_stop_gets_no_new_calls(
    tmp_path: Path, certificates: CertificateFiles
) -> None:
    async with FakeCore("one") as one, FakeCore("two") as two:
        upstreams = Upstreams(cores=[one.address, two.address], is_tls_to_cores=False)
        async with (
            serving(tmp_path, certificates, upstreams, change=fast_checks) as envoy,
            channel(envoy.place.ports.public, certificates) as opened,
        ):
            call = opened.unary_unary(CREATE_MESSAGE)
            await one.say(NOT_SERVING)
            await until_healthy(envoy, "core_public", 1)
            for _ in range(10):
                assert await call(b"hello", timeout=20) == b"hello"
            assert (len(one.seen), len(two.seen)) == (0, 10)
            await two.say(NOT_SERVING)
            await until_healthy(envoy, "core_public", 0)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(b"hello", timeout=20)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            await one.say(SERVING)
            await until_healthy(envoy, "core_public", 1)
            assert await call(b"hello", timeout=20) == b"hello"
            assert (len(one.seen), len(two.seen)) == (1, 10)


async def test_a_drivers_stream_stays_with_a_core_that_is_about_to_stop_and_the_next_goes_elsewhere(
    tmp_path: Path, certificates: CertificateFiles
) -> None:
    client = certificates.driver("driver", TOKEN_ID)
    async with FakeCore("one") as one, FakeCore("two") as two:
        upstreams = Upstreams(cores_internal=[one.address, two.address], is_tls_to_cores=False)
        async with (
            serving(tmp_path, certificates, upstreams, change=fast_checks) as envoy,
            channel(envoy.place.ports.driver, certificates, client=client) as opened,
        ):
            first = opened.stream_stream(CONNECT)(timeout=20)
            await first.write(b"hello")
            assert await first.read() == b"hello"
            [mine, other] = sorted((one, two), key=lambda core: len(core.seen), reverse=True)
            await mine.say(NOT_SERVING)
            await until_healthy(envoy, "core_internal", 1)
            await first.write(b"still here")
            assert await first.read() == b"still here"
            second = opened.stream_stream(CONNECT)(timeout=20)
            await second.write(b"hello")
            assert await second.read() == b"hello"
            assert (len(mine.seen), len(other.seen)) == (1, 1)
            await mine.stop()
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await first.read()
            assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
            second.cancel()


async def test_an_edge_that_stops_lets_running_requests_end(
    tmp_path: Path, certificates: CertificateFiles
) -> None:
    async with (
        FakeFacade(held=asyncio.Event()) as facade,
        serving(tmp_path, certificates, Upstreams(facades=[facade.address]), drain_s=30) as envoy,
        http1(envoy.place.ports.public, certificates) as caller,
    ):
        running = asyncio.create_task(caller.request("POST", "/api/v1/messages", body=b"{}"))
        await until(lambda: facade.seen, "the facade has the request")
        await asyncio.to_thread(envoy.drain)
        stopping = asyncio.create_task(asyncio.to_thread(envoy.stop))
        assert facade.held is not None
        facade.held.set()
        answer = await running
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        await stopping
        with pytest.raises(ConnectionError):
            async with http1(envoy.place.ports.public, certificates):
                pass
