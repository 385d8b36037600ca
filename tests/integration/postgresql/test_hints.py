"""Hints between cores on one PostgreSQL."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Generator, Iterable

import pytest

from core.store import hints as hints_module
from core.store.databases import open_store
from core.store.hints import Hints, Subject
from tests.fakes.driver_stream import eventually
from tests.fakes.postgresql import Cluster


class Core:
    """What one core tells and hears."""

    def __init__(self, hints: Hints) -> None:
        self.hints = hints
        self.heard: list[str] = []
        self.notes = 0
        self.events = 0
        self.due: list[str] = []
        self.changed: list[str] = []

    def hear(self, device_ids: Iterable[str]) -> None:
        self.heard += device_ids
        self.notes += 1

    def hear_events(self, _words: Iterable[str]) -> None:
        self.events += 1

    async def is_listening(self) -> None:
        """Return when what is told now is heard."""
        while "probe" not in self.heard:
            self.hints.tell_queued(["probe"])
            await asyncio.sleep(0.01)
        self.heard.clear()


@pytest.fixture(scope="module")
def cluster() -> Generator[Cluster]:
    cluster = Cluster(is_durable=False)
    yield cluster
    cluster.remove()


@contextlib.asynccontextmanager
async def core_on(url: str) -> AsyncGenerator[Core]:
    store = open_store(url)
    core = Core(Hints(store, url))
    heard = {
        Subject.QUEUED: core.hear,
        Subject.EVENTS: core.hear_events,
        Subject.DUE: core.due.extend,
        Subject.CHANGED: core.changed.extend,
    }
    task = asyncio.create_task(core.hints.run(heard))
    try:
        await core.is_listening()
        yield core
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(store.close)


async def test_one_core_hears_what_another_tells(cluster: Cluster) -> None:
    url = cluster.create_database("hints")
    async with core_on(url) as one, core_on(url) as other:
        one.hints.tell_queued(["a", "b"])
        await eventually(lambda: {"a", "b"} <= set(other.heard))


async def test_many_hints_are_few_notes(cluster: Cluster) -> None:
    devices = [f"{n:036d}" for n in range(1000)]
    async with core_on(cluster.create_database("hints")) as core:
        core.notes = 0
        for device in devices:
            core.hints.tell_queued([device, devices[0]])
        await eventually(lambda: set(devices) <= set(core.heard))
        assert core.notes <= 1000 // hints_module.WORDS_PER_NOTE + 2


async def test_hints_go_on_after_a_restart_of_the_server(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints_module, "RETRY_S", 0.05)
    async with core_on(cluster.create_database("hints")) as core:
        await asyncio.to_thread(cluster.stop, "fast")
        core.hints.tell_queued(["lost"])
        await asyncio.to_thread(cluster.start)
        await core.is_listening()
        core.hints.tell_queued(["found"])
        await eventually(lambda: "found" in core.heard)


async def test_new_events_are_told_too_and_many_at_once_are_one_note(cluster: Cluster) -> None:
    url = cluster.create_database("hints")
    async with core_on(url) as one, core_on(url) as other:
        for _ in range(100):
            one.hints.tell_events()
        await eventually(lambda: one.events and other.events)
        one.hints.tell_queued(["after"])
        await eventually(lambda: "after" in other.heard)
        assert other.events == 1


async def test_endpoints_are_told_of_by_what_became_of_them(cluster: Cluster) -> None:
    url = cluster.url("postgres")
    async with core_on(url) as one, core_on(url) as other:
        one.hints.tell_due(["a", "b"])
        one.hints.tell_changed(["c"])
        await eventually(lambda: other.due == ["a", "b"] and other.changed == ["c"])
