"""What lives long is out of the garbage collector's sight, and what is garbage goes all the same."""

import gc
import weakref
from collections.abc import Generator

import pytest

from core.sessions import heap as heap_module
from core.sessions.heap import Heap
from core.sessions.registry import Registry
from tests.fakes.driver_stream import FakeSession


class Ring:
    """Refers to itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed() -> Generator[None]:
    """The heap of the tests is not left frozen."""
    yield
    gc.unfreeze()


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setattr(heap_module, "OPENED_MIN", 3)
    monkeypatch.setattr(heap_module, "ENDED_MAX", 4)
    return Registry()


def open_some(registry: Registry, count: int) -> list[FakeSession]:
    sessions = [FakeSession(f"driver-{n}", 1, {}) for n in range(count)]
    for session in sessions:
        registry.add(session)
    return sessions


def test_the_heap_is_frozen_after_some_sessions_opened(registry: Registry) -> None:
    heap = Heap(registry)
    open_some(registry, 2)
    before = gc.get_freeze_count()
    heap.look()
    assert gc.get_freeze_count() == before
    open_some(registry, 5)
    heap.look()
    assert gc.get_freeze_count() > before


def test_what_is_frozen_goes_when_nothing_refers_to_it(registry: Registry) -> None:
    session, *others = open_some(registry, 3)
    Heap(registry).look()
    gone = weakref.ref(session)
    registry.remove(session)
    del session
    assert gone() is None
    assert len(registry) == len(others)


def test_cycles_that_were_frozen_go_after_many_sessions_ended(registry: Registry) -> None:
    heap, ring = Heap(registry), Ring()
    sessions = open_some(registry, 4)
    heap.look()
    gone = weakref.ref(ring)
    del ring
    heap.look()
    gc.collect()
    assert gone() is not None
    for session in sessions:
        registry.remove(session)
    heap.look()
    assert gone() is None
