"""A driver that is told to stop does stop, whatever its journal and its stream are waiting for."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.runtime import Context, JournalUnwritable, main
from drivers.runtime.client import Client
from drivers.runtime.clock import SystemClock
from drivers.runtime.commands import SendingLimits
from drivers.runtime.core_address import CoreAddress
from drivers.runtime.engine import Engine
from drivers.runtime.journal import Journal
from drivers.runtime.protocol import DriverProtocol
from drivers.runtime.records import Batch, Committed
from drivers.runtime.session import Identity
from tests.contract.drivers.running import ScriptedDriver
from tests.fakes.core_stub import TOKEN, StubCore

WAIT_S = 20.0
"""How long an end may take before the test is given up."""


class SlowJournal(Journal):
    """A journal on a disk that takes its time, and then may fail as no disk should."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, horizon_s=1e6, settled_commands_max=10**6)
        self.has_begun = threading.Event()
        self.may_end = threading.Event()
        self.error: Exception | None = None

    def commit(self, batch: Batch, *, now_s: float | None = None) -> Committed:
        self.has_begun.set()
        self.may_end.wait(WAIT_S)
        if self.error is not None:
            raise self.error
        return super().commit(batch, now_s=now_s)


class WatchedEngine(Engine):
    """Tells when somebody waits for its journal."""

    def __init__(self, driver: ScriptedDriver, journal: SlowJournal) -> None:
        protocol = DriverProtocol(
            Identity("scripted", driver.kind, "1", "instance", ()),
            journal.state(),
            limits=SendingLimits(1, 1),
            clock=SystemClock(),
        )
        super().__init__(driver, protocol, journal)
        self.journal = journal
        self.is_waited_for = asyncio.Event()

    async def journal_idle(self) -> None:
        self.is_waited_for.set()
        await super().journal_idle()


class EndlessClient(Client):
    """Its stream does not end when it should."""

    async def run(self) -> None:
        await asyncio.Event().wait()


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[WatchedEngine]:
    """An engine whose journal is in the middle of a transaction."""
    driver = ScriptedDriver()
    engine = WatchedEngine(driver, SlowJournal(tmp_path / "journal.db"))
    await engine.start(lambda host: Context(host, settings={}, var_folder=tmp_path, clock=SystemClock()))
    writing = asyncio.create_task(driver.context.store.write({"key": b"value"}))
    assert await asyncio.to_thread(engine.journal.has_begun.wait, WAIT_S)
    yield engine
    engine.journal.may_end.set()
    writing.cancel()
    await asyncio.wait_for(engine.close(), WAIT_S)


def client_of(core: StubCore, engine: Engine, *, client_class: type[Client] = Client) -> Client:
    address = CoreAddress((core.address,), token=lambda: TOKEN, is_tls=False, ca_file=None)
    return client_class(address, engine, chance=random.Random(1))


async def test_client_that_leaves_while_it_waits_for_the_journal_opens_no_stream(
    core: StubCore, engine: WatchedEngine
) -> None:
    client = client_of(core, engine)
    stream = asyncio.create_task(client.run())
    await engine.is_waited_for.wait()
    await client.leave("test", flush_s=1.0)
    engine.journal.may_end.set()
    await asyncio.wait_for(stream, WAIT_S)
    assert core.hellos == []


async def test_stop_does_not_wait_for_a_journal_whose_task_has_failed(
    core: StubCore, engine: WatchedEngine
) -> None:
    client = client_of(core, engine)
    working = asyncio.create_task(main.work(client, engine, asyncio.Event(), grace_s=0.0))
    await engine.is_waited_for.wait()
    engine.journal.error = RuntimeError("a fault of the code")
    engine.journal.may_end.set()
    with pytest.raises(JournalUnwritable):
        await asyncio.wait_for(working, WAIT_S)
    assert core.hellos == []


async def test_engine_whose_journal_fails_while_it_closes_is_closed(engine: WatchedEngine) -> None:
    closing = asyncio.create_task(engine.close())
    await asyncio.sleep(0)
    engine.journal.error = RuntimeError("a fault of the code")
    engine.journal.may_end.set()
    await asyncio.wait_for(closing, WAIT_S)
    assert isinstance(engine.journal_task.exception(), RuntimeError)


async def test_stream_that_does_not_end_is_cut_off(
    core: StubCore, engine: WatchedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "STREAM_END_S", 0.0)
    engine.journal.may_end.set()
    client = client_of(core, engine, client_class=EndlessClient)
    stop = asyncio.Event()
    stop.set()
    working = main.work(client, engine, stop, grace_s=0.0)
    assert await asyncio.wait_for(working, WAIT_S) == main.EXIT_CLEAN
