"""What fails inside the client is seen: in the log, and by a stream or a process that begins anew."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from drivers.runtime import client, main
from infinireach.driver.v1.driver_service_pb2 import ConnectRequest
from tests.contract.drivers.running import command, running, settled
from tests.fakes.core_stub import StubCore

WAIT_S = 20.0
"""How long an end may take before the test is given up."""


class PlantedError(Exception):
    """A fault of the code."""


def fail() -> None:
    raise PlantedError


@pytest.fixture(autouse=True)
def quick_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TICK_MAX_S", 0.01)


async def test_ticker_that_fails_is_logged_and_ends_the_client(
    core: StubCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture_logs() as events:
        async with running(core, tmp_path) as it:
            await core.until(lambda: core.is_connected)
            monkeypatch.setattr(it.engine.protocol, "tick", fail)
            await asyncio.wait([it.stream], timeout=WAIT_S)
            assert it.stream.done()
            assert isinstance(it.stream.exception(), PlantedError)
            await core.until(lambda: not core.is_connected)
    (failure,) = [event for event in events if event["event"] == "stream.task_failed"]
    assert (failure["task"], failure["error"]) == ("ticker", "PlantedError")


async def test_ticker_that_fails_ends_the_process_with_an_error(
    core: StubCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(core, tmp_path) as it:
        it.stream.cancel()
        await asyncio.wait([it.stream])
        monkeypatch.setattr(it.engine.protocol, "tick", fail)
        working = main.work(it.client, it.engine, asyncio.Event(), grace_s=0.0)
        with pytest.raises(PlantedError):
            await asyncio.wait_for(working, WAIT_S)


async def test_writer_that_fails_is_logged_and_the_stream_is_opened_anew(
    core: StubCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture_logs() as events:
        async with running(core, tmp_path) as it:
            await core.until(lambda: core.is_connected)
            next_frame = it.engine.protocol.next_frame

            def fail_once() -> ConnectRequest | None:
                monkeypatch.setattr(it.engine.protocol, "next_frame", next_frame)
                raise PlantedError

            monkeypatch.setattr(it.engine.protocol, "next_frame", fail_once)
            await core.until(lambda: len(core.hellos) == 2)
            core.offer([command("a")])
            assert await settled(core) == {"a": "submitted"}
            assert not it.stream.done()
    (failure,) = [event for event in events if event["event"] == "stream.task_failed"]
    assert (failure["task"], failure["error"]) == ("stream writer", "PlantedError")
