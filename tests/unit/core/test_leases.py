"""Leases of driver sessions, and when a device counts as away."""

from collections.abc import Generator

import pytest
from sqlalchemy.orm import Session

from core.devices import AWAY_MAX, mark_away, mark_replaced
from core.driver_sessions import OpenedSession, close_sessions, renew_leases, revoked_tokens
from core.errors import Unauthenticated
from core.store.rows import DeviceRow, DriverRow, DriverTokenRow
from tests.core_fixtures import (
    LEASE_MS,
    NOW_MS,
    NUMBER,
    OTHER_NUMBER,
    connect,
    device_of,
    event_types,
    events_of,
    hello,
    offered_device,
)
from tests.fakes.database import TENANT_A, memory_session

pytestmark = pytest.mark.usefixtures("database")

PATIENCE_MS = 25_000


@pytest.fixture
def session() -> Generator[Session]:
    with memory_session() as session:
        yield session


def driver(session: Session, opened: OpenedSession) -> DriverRow:
    session.expire_all()
    return session.get_one(DriverRow, opened.driver_id)


def device(session: Session, device_id: str) -> DeviceRow:
    session.expire_all()
    return session.get_one(DeviceRow, device_id)


def test_closing_a_session_notes_it_unless_a_newer_one_is_live(session: Session) -> None:
    opened = connect(session)
    newer = connect(session)
    close_sessions(session, [(opened.driver_id, opened.epoch)], NOW_MS + 1)
    assert driver(session, opened).connected
    close_sessions(session, [(newer.driver_id, newer.epoch)], NOW_MS + 2)
    row = driver(session, opened)
    assert (row.connected, row.seen_ms, row.lease_until_ms) == (False, NOW_MS + 2, NOW_MS + 2)


def test_leases_are_renewed_for_live_sessions_only(session: Session) -> None:
    old = connect(session)
    new = connect(session)
    other = connect(session, offered_device("modem-2", OTHER_NUMBER), driver_name="driver-2")
    live = [(old.driver_id, old.epoch), (other.driver_id, other.epoch), ("nobody", 1)]
    superseded = renew_leases(session, live, NOW_MS + 10, LEASE_MS)
    assert superseded == {(old.driver_id, old.epoch), ("nobody", 1)}
    assert driver(session, other).lease_until_ms == NOW_MS + 10 + LEASE_MS
    assert driver(session, new).lease_until_ms == NOW_MS + LEASE_MS
    assert renew_leases(session, [(new.driver_id, new.epoch)], NOW_MS + 10, LEASE_MS) == set()
    assert driver(session, new).lease_until_ms == NOW_MS + 10 + LEASE_MS


def test_devices_of_a_driver_that_left_are_away_after_a_while(session: Session) -> None:
    opened = connect(session)
    close_sessions(session, [(opened.driver_id, opened.epoch)], NOW_MS)
    assert mark_away(session, NOW_MS + PATIENCE_MS - 1, PATIENCE_MS) == 0
    assert mark_away(session, NOW_MS + PATIENCE_MS, PATIENCE_MS) == 1
    assert device(session, device_of(opened)).state == "offline"
    kind, data = events_of(session)[-1]
    assert (kind, data["status"], data["phoneNumbers"]) == ("device.offline", "offline", [NUMBER])
    assert mark_away(session, NOW_MS + PATIENCE_MS, PATIENCE_MS) == 0


def test_devices_of_a_driver_whose_core_died_are_away_after_its_lease(session: Session) -> None:
    opened = connect(session)
    assert mark_away(session, NOW_MS + LEASE_MS + PATIENCE_MS - 1, PATIENCE_MS) == 0
    assert mark_away(session, NOW_MS + LEASE_MS + PATIENCE_MS, PATIENCE_MS) == 1
    assert device(session, device_of(opened)).state == "offline"


def test_a_driver_that_came_back_in_time_leaves_no_trace(session: Session) -> None:
    opened = connect(session)
    close_sessions(session, [(opened.driver_id, opened.epoch)], NOW_MS)
    connect(session, now_ms=NOW_MS + PATIENCE_MS - 1)
    assert mark_away(session, NOW_MS + PATIENCE_MS, PATIENCE_MS) == 0
    assert event_types(session) == ["device.online"]


def test_a_driver_that_is_replaced_gives_its_number_to_the_one_that_comes(session: Session) -> None:
    replaced = connect(session, driver_name="simulated")
    bystander = connect(session, offered_device("modem-2", OTHER_NUMBER), driver_name="driver-2")
    assert mark_replaced(session, TENANT_A, ["simulated", "unheard-of"], NOW_MS) == 1
    assert mark_replaced(session, TENANT_A, ["simulated"], NOW_MS) == 0
    assert device(session, device_of(replaced)).state == "offline"
    assert device(session, device_of(bystander, "modem-2")).state == "online"
    assert event_types(session)[-1] == "device.offline"
    assert connect(session, offered_device("emulated", NUMBER), driver_name="modem").refusals == []


def test_a_sweep_of_devices_that_are_away_is_bounded(session: Session) -> None:
    devices = [offered_device(f"m{n}", f"+1555{n:07d}") for n in range(AWAY_MAX + 1)]
    opened = connect(session, *devices)
    close_sessions(session, [(opened.driver_id, opened.epoch)], NOW_MS)
    assert mark_away(session, NOW_MS + PATIENCE_MS, PATIENCE_MS) == AWAY_MAX
    assert mark_away(session, NOW_MS + PATIENCE_MS, PATIENCE_MS) == 1


def add_token(session: Session, token_id: str, revoked_ms: int | None) -> None:
    session.add(
        DriverTokenRow(
            id=token_id,
            tenant_id=TENANT_A,
            name="t",
            secret_sha256=b"",
            created_ms=1,
            revoked_ms=revoked_ms,
        )
    )
    session.flush()


def test_a_token_that_was_revoked_before_the_hello_opens_no_session(session: Session) -> None:
    opened = connect(session)
    add_token(session, hello().token_id, revoked_ms=NOW_MS)
    with pytest.raises(Unauthenticated):
        connect(session)
    assert session.get_one(DriverRow, opened.driver_id).epoch == opened.epoch


def test_revoked_and_missing_tokens_are_named(session: Session) -> None:
    add_token(session, "good", None)
    add_token(session, "bad", NOW_MS)
    assert revoked_tokens(session, ["good", "bad", "gone"]) == {"bad", "gone"}
