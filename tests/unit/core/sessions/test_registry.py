"""Who is connected here: the newest session of a driver, and no other."""

import pytest

from core.errors import SessionSuperseded
from core.sessions.registry import Registry
from tests.fakes.driver_stream import FakeSession


def session(driver_id: str = "driver-1", epoch: int = 1, *device_ids: str) -> FakeSession:
    return FakeSession(driver_id, epoch, dict.fromkeys(device_ids or ("device-1",), 1))


def test_an_empty_registry_knows_nobody() -> None:
    registry = Registry()
    assert len(registry) == 0
    assert registry.empty.is_set()
    assert registry.of_device("device-1") is None
    assert registry.of_driver("driver-1") is None
    assert registry.sessions() == []


def test_a_session_is_found_by_its_driver_and_its_devices() -> None:
    registry = Registry()
    one, two = session("driver-1", 1, "device-1", "device-2"), session("driver-2", 1, "device-3")
    registry.add(one)
    registry.add(two)
    assert registry.of_driver("driver-1") is registry.of_device("device-2") is one
    assert registry.of_device("device-3") is two
    assert (registry.sessions(), len(registry), registry.empty.is_set()) == ([one, two], 2, False)


def test_a_newer_session_takes_the_older_ones_place() -> None:
    registry = Registry()
    older, newer = session("driver-1", 1, "device-1", "device-2"), session("driver-1", 2, "device-2")
    registry.add(older)
    registry.add(newer)
    assert isinstance(older.closed_with, SessionSuperseded)
    assert newer.closed_with is None
    assert registry.of_driver("driver-1") is registry.of_device("device-2") is newer
    assert registry.of_device("device-1") is None


def test_an_older_session_that_comes_late_does_not_take_the_newer_ones_place() -> None:
    registry = Registry()
    older, newer = session(epoch=1), session(epoch=2)
    registry.add(newer)
    registry.add(older)
    assert isinstance(older.closed_with, SessionSuperseded)
    assert newer.closed_with is None
    assert registry.of_device("device-1") is newer


def test_removing_a_session_forgets_it_and_its_devices() -> None:
    registry = Registry()
    only = session()
    registry.add(only)
    registry.remove(only)
    registry.remove(only)
    assert (len(registry), registry.of_device("device-1"), registry.empty.is_set()) == (0, None, True)
    assert only.closed_with is None


def test_removing_a_session_that_was_superseded_leaves_the_newer_one() -> None:
    registry = Registry()
    older, newer = session(epoch=1), session(epoch=2)
    registry.add(older)
    registry.add(newer)
    registry.remove(older)
    assert registry.of_device("device-1") is newer
    assert not registry.empty.is_set()


def test_a_session_that_the_database_no_longer_knows_is_closed() -> None:
    registry = Registry()
    stale, other = session("driver-1", 1), session("driver-2", 1, "device-2")
    registry.add(stale)
    registry.add(other)
    registry.supersede({("driver-1", 1), ("driver-9", 1)})
    assert isinstance(stale.closed_with, SessionSuperseded)
    assert other.closed_with is None
    assert registry.sessions() == [other]


@pytest.mark.parametrize("epoch", [1, 2])
def test_news_of_an_older_session_does_not_close_the_newer_one(epoch: int) -> None:
    registry = Registry()
    newer = session(epoch=3)
    registry.add(newer)
    registry.supersede({("driver-1", epoch)})
    assert newer.closed_with is None
    assert registry.of_driver("driver-1") is newer
