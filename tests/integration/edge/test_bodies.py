"""Bodies of batches, which the edge hands on as they come: what is held of them, and how their callers are answered."""

import asyncio
import json
from pathlib import Path

from aiohttp import web

from tests.e2e.gateway import until
from tests.fakes.certificate_files import CertificateFiles
from tests.fakes.edge import Answer, http1, serving
from tests.fakes.edge_upstreams import FakeFacade
from tests.integration.edge.conftest import Edge
from tests.integration.edge.test_answers import assert_documented
from tests.integration.edge.test_failures import no_checks
from tools.engines.envoy import Envoy
from tools.engines.envoy_bootstrap import Upstreams

BATCH = "/api/v1/messages/batch"
BATCH_BYTES = 4_194_304
RECEIVED = "http.public.downstream_cx_rx_bytes_total"
CALLERS = 40
HELD_BYTES_MAX = 48 * 1024 * 1024
"""Of all these callers, who send 160 MiB: a good megabyte each."""


def allocated_bytes(envoy: Envoy) -> int:
    """What Envoy holds of its heap."""
    return int(json.loads(envoy.admin("/memory"))["allocated"])


def refuse(_: web.Request) -> web.StreamResponse:
    """What a facade answers without a key."""
    return web.json_response({"code": "unauthorized"}, status=401)


async def send_batch(port: int, certificates: CertificateFiles, body: bytes) -> Answer:
    """A batch on a connection of its own."""
    async with http1(port, certificates) as caller:
        return await caller.request("POST", BATCH, body=body)


async def test_the_edge_does_not_gather_the_batches_of_callers_whom_nobody_has_looked_at(
    edge: Edge, certificates: CertificateFiles
) -> None:
    edge.facade.held, edge.facade.is_reading = asyncio.Event(), False
    before_bytes = allocated_bytes(edge.envoy)
    received: list[int] = []

    def is_no_more_taken() -> bool:
        """Whether the edge has read nothing for ten looks; or it holds too much already."""
        received.append(edge.envoy.stats(RECEIVED)[RECEIVED])
        is_settled = received[-1] > CALLERS and received[-10:].count(received[-1]) == 10
        return is_settled or allocated_bytes(edge.envoy) - before_bytes > HELD_BYTES_MAX

    callers = [
        asyncio.create_task(send_batch(edge.ports.public, certificates, bytes(BATCH_BYTES)))
        for _ in range(CALLERS)
    ]
    await until(is_no_more_taken, "every caller waits until somebody takes its body")
    assert allocated_bytes(edge.envoy) - before_bytes < HELD_BYTES_MAX
    edge.facade.held.set()
    assert {answer.status for answer in await asyncio.gather(*callers)} == {200}


async def test_a_caller_without_a_key_is_told_so_while_it_still_sends(
    edge: Edge, certificates: CertificateFiles
) -> None:
    edge.facade.behave, edge.facade.is_reading = refuse, False
    answer = await send_batch(edge.ports.public, certificates, bytes(BATCH_BYTES))
    assert (answer.status, answer.json) == (401, {"code": "unauthorized"})
    assert answer.headers["connection"] == "close"


async def test_a_batch_is_tried_elsewhere_only_if_all_that_was_sent_of_it_is_still_there(
    tmp_path: Path, certificates: CertificateFiles
) -> None:
    async with FakeFacade("one") as one, FakeFacade("two") as two:
        upstreams = Upstreams(facades=[one.address, two.address])
        async with serving(tmp_path, certificates, upstreams, change=no_checks) as envoy:
            await one.stop()
            port = envoy.place.ports.public
            for _ in range(10):
                large = await send_batch(port, certificates, bytes(BATCH_BYTES))
                if large.status != 200:
                    assert_documented(large, "unavailable")
                assert (await send_batch(port, certificates, b"{}")).json == {"from": "two"}
        assert {len(seen.body) for seen in two.seen} <= {BATCH_BYTES, len(b"{}")}
