"""A driver that knows several cores, and one that comes in by a certificate."""

from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from drivers.runtime import client as runtime_client
from infinireach.driver.v1.driver_service_pb2 import ConnectRequest, ConnectResponse
from tests.contract.drivers.running import command, running, settled
from tests.fakes.certs_folder import CertsFolder
from tests.fakes.core_stub import StubCore


@pytest.fixture
def no_pause_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that waits before it comes back would wait for longer than any test."""
    monkeypatch.setattr(runtime_client.Backoff, "next_delay_s", lambda *_, **__: 1e6)


@pytest.mark.usefixtures("no_pause_ends")
async def test_a_driver_whose_core_dies_is_with_the_next_one_at_once(tmp_path: Path) -> None:
    first, second, third = cores = (StubCore(), StubCore(), StubCore())
    for core in cores:
        await core.start()
    async with running(first, tmp_path, others=(second, third)):
        await first.until(lambda: first.is_connected)
        await second.stop()
        await first.stop()
        await third.until(lambda: third.is_connected)
        third.offer([command("a")])
        assert await settled(third) == {"a": "submitted"}
    await third.stop()


@pytest.mark.usefixtures("no_pause_ends")
async def test_a_driver_finds_the_one_core_that_is_there(tmp_path: Path) -> None:
    cores = [StubCore(), StubCore(), StubCore()]
    for core in cores:
        await core.start()
    for core in cores[:2]:
        await core.stop()
    async with running(cores[0], tmp_path, others=cores[1:]):
        await cores[2].until(lambda: cores[2].is_connected)
    await cores[2].stop()


class CertifiedCore(StubCore):
    """Keeps what drivers show."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[list[bytes]] = []

    async def Connect(  # noqa: N802 - the service's name for it
        self, request_iterator: object, context: grpc.aio.ServicerContext[ConnectRequest, ConnectResponse]
    ) -> None:
        self.shown.append(list(context.auth_context().get("peer_uri", ())))
        await super().Connect(request_iterator, context)


async def test_a_driver_shows_the_certificate_that_lies_there_when_it_connects(tmp_path: Path) -> None:
    certs = CertsFolder.make(tmp_path / "certs")
    served, trusted = certs.pair("core"), certs.file("ca.pem").read_bytes()
    credentials = grpc.ssl_server_credentials(
        [(served.key, served.certificate)], trusted, require_client_auth=True
    )
    core = CertifiedCore()
    await core.start(credentials)
    certs.write("driver", certs.driver("aaaaaaaa"))
    async with running(
        core,
        tmp_path,
        ca_file=certs.file("ca.pem"),
        cert_file=certs.file("driver.pem"),
        key_file=certs.file("driver.key"),
    ):
        await core.until(lambda: core.is_connected)
        certs.write("driver", certs.driver("bbbbbbbb"))
        core.break_stream()
        await core.until(lambda: len(core.hellos) == 2)
    assert core.shown == [[f"urn:infinireach:driver-token:{8 * letter}".encode()] for letter in "ab"]
    await core.stop()


class FullCore(StubCore):
    """Turns its first callers away until their turn comes, as the core does."""

    def __init__(self, delays_s: list[int]) -> None:
        super().__init__()
        self.delays_s = delays_s

    async def Connect(  # noqa: N802 - the service's name for it
        self, request_iterator: object, context: grpc.aio.ServicerContext[ConnectRequest, ConnectResponse]
    ) -> None:
        if self.delays_s:
            status = Status(code=code_pb2.UNAVAILABLE, message="full")
            status.details.add().Pack(ErrorInfo(reason="TOO_MANY_OPENING", domain="infinireach"))
            status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=self.delays_s.pop(0))))
            rich = rpc_status.to_status(status)
            await context.abort(rich.code, rich.details, rich.trailing_metadata)
        await super().Connect(request_iterator, context)


async def test_a_driver_comes_again_when_a_full_core_told_it_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused_s: list[float] = []

    async def note(_: runtime_client.Client, delay_s: float) -> None:
        paused_s.append(delay_s)

    monkeypatch.setattr(runtime_client.Client, "_pause", note)
    core = FullCore([3, 40])
    await core.start()
    async with running(core, tmp_path):
        await core.until(lambda: core.is_connected)
        core.break_stream()
        await core.until(lambda: len(core.hellos) == 2)
    assert paused_s[:2] == [3, 40]
    assert paused_s[2] < 1
    await core.stop()
