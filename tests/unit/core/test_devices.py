"""Drivers come and go: epochs, journals, who owns a number, and what becomes of devices."""

from collections.abc import Generator

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.dispatch import ReadyDevice, claim
from core.driver_sessions import JournalRolledBack, OpenedSession
from core.message_state import Evidence
from core.store.rows import AddressRow, DeviceRow, DriverRow
from tests.core_fixtures import (
    JOURNAL,
    LEASE_MS,
    NOW_MS,
    NUMBER,
    OTHER_NUMBER,
    accept_one,
    claim_for,
    claimed_command,
    connect,
    device_of,
    event_types,
    events_of,
    message_of,
    offered_device,
    settle,
    state_of,
    without_numbers,
)
from tests.fakes.database import TENANT_A, TENANT_B, memory_session

pytestmark = pytest.mark.usefixtures("database")


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


def owners(session: Session) -> dict[str, str]:
    """The key of the device that has each number."""
    table = AddressRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
    rows = session.execute(select(table.c.number, table.c.device_id))
    return {number: device(session, device_id).key for number, device_id in rows}


def claimed_ids(session: Session, opened: OpenedSession, key: str) -> list[str]:
    ready = ReadyDevice(device_of(opened, key), opened.driver_id, opened.epoch, 100)
    return [command.message_id for command in claim(session, [ready], NOW_MS).commands]


# A session


def test_a_first_hello_makes_the_driver_and_its_devices(session: Session) -> None:
    opened = connect(session, offered_device("modem-1", NUMBER, OTHER_NUMBER, window=2), now_ms=NOW_MS)
    assert (opened.epoch, opened.resume_after, opened.journal_lost, opened.facts_missing) == (1, 0, False, 0)
    assert (opened.drop_commands, opened.refusals) == ([], [])
    row = driver(session, opened)
    assert (row.tenant_id, row.name, row.kind, row.journal_id, row.connected, row.lease_until_ms) == (
        TENANT_A,
        "driver-1",
        "simulated",
        JOURNAL,
        True,
        NOW_MS + LEASE_MS,
    )
    (device_id,) = opened.keys
    assert (opened.keys[device_id], opened.windows[device_id]) == ("modem-1", 2)
    made = device(session, device_id)
    assert (made.tenant_id, made.name, made.state, made.window) == (TENANT_A, "Device modem-1", "online", 2)
    assert owners(session) == {NUMBER: "modem-1", OTHER_NUMBER: "modem-1"}
    assert event_types(session) == ["device.online"]


def test_every_session_of_a_driver_has_a_higher_epoch_and_the_same_devices(session: Session) -> None:
    sessions = [connect(session) for _ in range(4)]
    assert [opened.epoch for opened in sessions] == [1, 2, 3, 4]
    assert len({opened.driver_id for opened in sessions}) == 1
    assert len({device_of(opened) for opened in sessions}) == 1
    assert event_types(session) == ["device.online"]


def test_drivers_of_one_name_in_two_tenants_are_two(session: Session) -> None:
    ours = connect(session)
    theirs = connect(session, offered_device("modem-1", OTHER_NUMBER), tenant_id=TENANT_B)
    assert ours.driver_id != theirs.driver_id
    assert (ours.epoch, theirs.epoch) == (1, 1)
    assert device(session, device_of(theirs)).tenant_id == TENANT_B


def test_a_name_that_a_tenant_gave_a_device_survives_a_reconnect(session: Session) -> None:
    opened = connect(session)
    row = device(session, device_of(opened))
    row.name, row.enabled = "Front desk", False
    session.add(row)
    session.flush()
    connect(session)
    row = device(session, device_of(opened))
    assert (row.name, row.enabled) == ("Front desk", False)


# Its journal


def test_a_session_goes_on_after_the_last_applied_fact(session: Session) -> None:
    opened = connect(session)
    settle(session, opened, claimed_command(session, opened), Evidence.SUBMITTED, Evidence.DELIVERED)
    again = connect(session, first_unacknowledged=2, last_sequence=4)
    assert (again.resume_after, again.facts_missing, again.journal_lost) == (2, 0, False)


def test_facts_that_the_driver_no_longer_has_are_counted_as_missing(session: Session) -> None:
    connect(session)
    again = connect(session, first_unacknowledged=6, last_sequence=9)
    assert (again.resume_after, again.facts_missing) == (5, 5)


def test_a_new_journal_starts_where_its_driver_says(session: Session) -> None:
    opened = connect(session)
    settle(session, opened, claimed_command(session, opened), Evidence.SUBMITTED)
    again = connect(session, journal_id="journal-2", first_unacknowledged=1, last_sequence=0)
    assert (again.resume_after, again.journal_lost, again.facts_missing) == (0, True, 0)
    adopted = connect(session, journal_id="journal-3", first_unacknowledged=8, last_sequence=9)
    assert (adopted.resume_after, adopted.journal_lost) == (7, True)


def test_a_journal_that_was_rolled_back_is_refused_and_nothing_changes(session: Session) -> None:
    opened = connect(session)
    settle(session, opened, claimed_command(session, opened), Evidence.SUBMITTED, Evidence.DELIVERED)
    with pytest.raises(JournalRolledBack, match="ends at fact 1, but fact 2 was applied"):
        connect(session, last_sequence=1)
    assert driver(session, opened).epoch == 1
    assert connect(session, last_sequence=2, first_unacknowledged=3).epoch == 2


# Its numbers


def test_a_number_that_another_device_has_is_refused_and_the_rest_is_accepted(session: Session) -> None:
    connect(session)
    other = connect(session, offered_device("modem-2", OTHER_NUMBER, NUMBER), driver_name="driver-2")
    assert [(refusal.device_key, refusal.number) for refusal in other.refusals] == [("modem-2", NUMBER)]
    assert "has the sms number" in other.refusals[0].detail
    assert owners(session) == {NUMBER: "modem-1", OTHER_NUMBER: "modem-2"}
    assert set(other.keys.values()) == {"modem-2"}


@pytest.mark.parametrize("state", ["online", "offline"])
def test_a_number_never_moves_between_tenants(session: Session, state: str) -> None:
    ours = connect(session, offered_device("modem-1", state=state))
    message_id = accept_one(session)
    theirs = connect(session, offered_device("modem-2", NUMBER), driver_name="driver-2", tenant_id=TENANT_B)
    assert [refusal.number for refusal in theirs.refusals] == [NUMBER]
    assert TENANT_A not in theirs.refusals[0].detail
    assert device_of(ours) not in theirs.refusals[0].detail
    assert owners(session) == {NUMBER: "modem-1"}
    assert message_of(session, message_id).device_id == device_of(ours)
    assert claim_for(session, theirs).commands == []


@pytest.mark.parametrize(("state", "moves"), [("offline", True), ("attention", False), ("degraded", False)])
def test_a_number_moves_from_another_drivers_device_only_if_that_is_away(
    session: Session, state: str, *, moves: bool
) -> None:
    connect(session, offered_device("modem-1", state=state))
    waiting = accept_one(session)
    other = connect(session, offered_device("modem-2"), driver_name="driver-2")
    assert owners(session) == {NUMBER: "modem-2" if moves else "modem-1"}
    assert claimed_ids(session, other, "modem-2") == ([waiting] if moves else [])
    assert bool(other.refusals) is not moves


def test_a_number_of_a_channel_is_not_that_of_another(session: Session) -> None:
    connect(session)
    other = connect(session, offered_device("phone", NUMBER, channel="whatsapp"), driver_name="driver-2")
    assert other.refusals == []


@pytest.mark.parametrize("order", [("modem-1", "modem-2"), ("modem-2", "modem-1")])
def test_waiting_messages_move_with_a_sim_in_whatever_order_the_devices_are_listed(
    session: Session, order: tuple[str, str]
) -> None:
    before = {"modem-1": offered_device("modem-1"), "modem-2": without_numbers(offered_device("modem-2"))}
    after = {"modem-1": without_numbers(offered_device("modem-1")), "modem-2": offered_device("modem-2")}
    opened = connect(session, *(before[key] for key in order))
    queued, held = accept_one(session), accept_one(session)
    message = message_of(session, held)
    message.state, message.hold_until_ms = "scheduled", NOW_MS + 1
    session.flush()
    again = connect(session, *(after[key] for key in order))
    assert again.refusals == []
    assert owners(session) == {NUMBER: "modem-2"}
    assert claimed_ids(session, again, "modem-1") == []
    assert claimed_ids(session, again, "modem-2") == [queued]
    assert message_of(session, held).device_id == device_of(opened, "modem-2")


def test_two_sims_that_change_places_take_their_messages_along(session: Session) -> None:
    connect(session, offered_device("modem-1", NUMBER), offered_device("modem-2", OTHER_NUMBER))
    first, second = accept_one(session, sender=NUMBER), accept_one(session, sender=OTHER_NUMBER)
    again = connect(session, offered_device("modem-1", OTHER_NUMBER), offered_device("modem-2", NUMBER))
    assert owners(session) == {NUMBER: "modem-2", OTHER_NUMBER: "modem-1"}
    assert claimed_ids(session, again, "modem-1") == [second]
    assert claimed_ids(session, again, "modem-2") == [first]


def test_only_messages_of_the_moved_number_move(session: Session) -> None:
    connect(session, offered_device("modem-1", NUMBER, OTHER_NUMBER))
    moved, stays = accept_one(session, sender=NUMBER), accept_one(session, sender=OTHER_NUMBER)
    again = connect(session, offered_device("modem-1", OTHER_NUMBER), offered_device("modem-2", NUMBER))
    assert claimed_ids(session, again, "modem-1") == [stays]
    assert claimed_ids(session, again, "modem-2") == [moved]


def test_a_number_that_nobody_had_for_a_while_brings_its_messages_along(session: Session) -> None:
    modem = offered_device("modem-1", NUMBER, OTHER_NUMBER)
    opened = connect(session, modem)
    moved, stays = accept_one(session, sender=NUMBER), accept_one(session, sender=OTHER_NUMBER)
    connect(session, offered_device("modem-1", OTHER_NUMBER))
    there = connect(session, offered_device("modem-2", NUMBER), driver_name="driver-2")
    assert claimed_ids(session, there, "modem-2") == [moved]
    assert message_of(session, stays).device_id == device_of(opened)


def test_a_number_that_another_tenant_takes_brings_no_messages(session: Session) -> None:
    connect(session)
    ours = accept_one(session)
    connect(session, without_numbers(offered_device()))
    theirs = connect(session, tenant_id=TENANT_B, driver_name="theirs")
    assert claimed_ids(session, theirs, "modem-1") == []
    assert state_of(session, ours) == "queued"


def test_a_message_that_a_driver_has_does_not_move(session: Session) -> None:
    opened = connect(session, offered_device("modem-1"), without_numbers(offered_device("modem-2")))
    message_id = accept_one(session)
    claimed_ids(session, opened, "modem-1")
    connect(session, without_numbers(offered_device("modem-1")), offered_device("modem-2"))
    assert message_of(session, message_id).device_id == device_of(opened, "modem-1")


def test_a_number_that_is_offered_no_more_is_free(session: Session) -> None:
    connect(session, offered_device("modem-1", NUMBER, OTHER_NUMBER))
    connect(session, offered_device("modem-1", NUMBER))
    assert owners(session) == {NUMBER: "modem-1"}
    theirs = connect(
        session, offered_device("modem-9", OTHER_NUMBER), driver_name="theirs", tenant_id=TENANT_B
    )
    assert theirs.refusals == []


def test_the_slot_and_readiness_of_a_number_are_as_last_said(session: Session) -> None:
    connect(session, offered_device("modem-1", NUMBER, OTHER_NUMBER))
    connect(session, offered_device("modem-1", OTHER_NUMBER, NUMBER))
    row = session.get_one(AddressRow, ("sms", NUMBER))
    assert (row.slot, row.ready) == (2, True)


# Its devices


def test_a_device_that_is_offered_no_more_is_offline_and_keeps_its_number(session: Session) -> None:
    opened = connect(session, offered_device(), offered_device("modem-2", OTHER_NUMBER))
    again = connect(session, offered_device("modem-2", OTHER_NUMBER))
    assert set(again.keys.values()) == {"modem-2"}
    assert device(session, device_of(opened)).state == "offline"
    assert owners(session) == {NUMBER: "modem-1", OTHER_NUMBER: "modem-2"}
    kind, data = events_of(session)[-1]
    assert (kind, data["deviceId"], data["phoneNumbers"]) == ("device.offline", device_of(opened), [NUMBER])
    connect(session, offered_device("modem-2", OTHER_NUMBER))
    assert event_types(session).count("device.offline") == 1


def test_a_device_that_comes_back_is_the_same_one(session: Session) -> None:
    opened = connect(session, offered_device(), offered_device("modem-2", OTHER_NUMBER))
    connect(session, offered_device("modem-2", OTHER_NUMBER))
    again = connect(session, offered_device(), offered_device("modem-2", OTHER_NUMBER))
    assert device_of(again) == device_of(opened)
    assert device(session, device_of(opened)).state == "online"
    assert event_types(session)[-1] == "device.online"


def test_a_deleted_device_that_is_offered_again_is_back(session: Session) -> None:
    opened = connect(session)
    row = device(session, device_of(opened))
    row.deleted_ms, row.state = NOW_MS, "offline"
    session.add(row)
    session.flush()
    assert device_of(connect(session)) == device_of(opened)
    row = device(session, device_of(opened))
    assert (row.deleted_ms, row.state) == (None, "online")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("online", "online", None),
        ("online", "offline", "device.offline"),
        ("online", "attention", "device.attention"),
        ("attention", "online", "device.online"),
        ("offline", "degraded", "device.online"),
        ("degraded", "online", None),
    ],
)
def test_a_reconnect_tells_of_a_device_that_is_in_another_state_now(
    session: Session, before: str, after: str, told: str | None
) -> None:
    connect(session, offered_device(state=before))
    count = len(event_types(session))
    connect(session, offered_device(state=after))
    assert event_types(session)[count:] == ([told] if told else [])


def test_a_state_that_a_reconnect_ends_leaves_no_remedy_behind(session: Session) -> None:
    opened = connect(session, offered_device(state="attention"))
    row = device(session, device_of(opened))
    row.remedy = row.state_reason = row.pairing_payload = "x"
    session.add(row)
    session.flush()
    connect(session)
    row = device(session, device_of(opened))
    assert (row.remedy, row.state_reason, row.pairing_payload) == ("", "", "")
