"""Callers that do not read their answers: what they hold up, and whom it does not concern."""

import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.e2e.gateway import until
from tests.fakes import http2
from tests.fakes.certificate_files import CertificateFiles
from tests.fakes.edge import CALL_TIMEOUT_S, channel, http1
from tests.integration.edge.conftest import Edge
from tools.engines import envoy_bootstrap as bootstrap

COMMITTED = bootstrap.committed()
GET_MESSAGE = "/infinireach.v1.MessagesService/GetMessage"
TEST_WEBHOOK = "/infinireach.v1.WebhooksService/TestWebhook"
"""What the edge waits longest for: longer than this module's callers wait for theirs."""
CONNECT = "/infinireach.driver.v1.DriverService/Connect"
TOKEN_ID = "juK3g9Yn"
ANSWER_BYTES = 200_000
"""More than a stream's window and all that is read ahead of it."""
ANSWERS_READ = 100
"""Of others: more than the window of a connection to a core holds beside all that is unread."""


@asynccontextmanager
async def unread(
    port: int,
    certificates: CertificateFiles,
    path: str,
    *,
    calls: int,
    client: tuple[Path, Path] | None = None,
) -> AsyncGenerator[None]:
    """One connection with so many calls whose caller takes not one byte of the answers."""
    async with http1(port, certificates, client=client, protocols=("h2",)) as caller:
        is_whole = path != CONNECT
        begun = b"".join(http2.grpc_call(2 * number + 1, path, is_whole=is_whole) for number in range(calls))
        await caller.send(http2.PREFACE + http2.setting(http2.INITIAL_WINDOW_SIZE, 0) + begun)
        yield


@asynccontextmanager
async def all_but_one_unread(
    edge: Edge,
    certificates: CertificateFiles,
    path: str,
    *,
    cluster: str,
    listener: str,
    client: tuple[Path, Path] | None = None,
) -> AsyncGenerator[None]:
    """A connection to a core on which only one more call has room, and nobody reads what the others were answered."""
    left = bootstrap.http2_options(COMMITTED, cluster)["max_concurrent_streams"] - 1
    manager = bootstrap.connection_manager(COMMITTED, listener)
    of_one = manager["http2_protocol_options"]["max_concurrent_streams"]
    paused = f"cluster.{cluster}.upstream_flow_control_paused_reading_total"
    async with contextlib.AsyncExitStack() as callers:
        wanted = left
        while left:
            calls = min(left, of_one)
            await callers.enter_async_context(
                unread(getattr(edge.ports, listener), certificates, path, calls=calls, client=client)
            )
            left -= calls
        await until(lambda: edge.envoy.stats(paused)[paused] >= wanted, "every answer waits for its caller")
        yield
        connections = f"cluster.{cluster}.upstream_cx_active"
        assert edge.envoy.stats(connections)[connections] == 1


async def test_calls_whose_answers_nobody_reads_hold_up_no_other_caller(
    edge: Edge, certificates: CertificateFiles
) -> None:
    edge.core.padding_bytes = ANSWER_BYTES
    async with (
        all_but_one_unread(edge, certificates, TEST_WEBHOOK, cluster="core_public", listener="public"),
        channel(edge.ports.public, certificates) as opened,
    ):
        call = opened.unary_unary(GET_MESSAGE)
        for _ in range(ANSWERS_READ):
            assert len(await call(b"", timeout=CALL_TIMEOUT_S)) == ANSWER_BYTES


async def test_drivers_that_do_not_read_hold_up_no_other_driver(
    edge: Edge, certificates: CertificateFiles
) -> None:
    edge.internal.padding_bytes = ANSWER_BYTES
    client = certificates.driver("driver", TOKEN_ID)
    async with (
        all_but_one_unread(
            edge, certificates, CONNECT, cluster="core_internal", listener="driver", client=client
        ),
        channel(edge.ports.driver, certificates, client=client) as opened,
    ):
        stream: Any = opened.stream_stream(CONNECT)(timeout=CALL_TIMEOUT_S)
        for _ in range(ANSWERS_READ):
            await stream.write(b"heartbeat")
            assert len(await stream.read()) == ANSWER_BYTES + len(b"heartbeat")
        stream.cancel()
