"""Who gets which message: claims under an epoch, and what a reconnect makes of what was open."""

from collections.abc import Generator

import pytest
from sqlalchemy.orm import Session

from core.deadlines import expire_due, release_held
from core.dispatch import Command, Holdings, ReadyDevice, Reconciled, claim, reconcile, settled_elsewhere
from core.driver_sessions import OpenedSession
from core.errors import SessionSuperseded
from core.message_state import Evidence, retry_delay_s
from core.store.rows import DeviceRow
from tests.core_fixtures import (
    NOW_MS,
    NUMBER,
    OTHER_NUMBER,
    RECIPIENT,
    TTL_MS,
    accept_one,
    claim_for,
    claimed_command,
    connect,
    device_of,
    event_types,
    message_of,
    offered_device,
    settle,
    state_of,
    steps_of,
)
from tests.fakes.database import memory_session

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def session() -> Generator[Session]:
    with memory_session() as session:
        yield session


@pytest.fixture
def opened(session: Session) -> OpenedSession:
    return connect(session)


def change_device(session: Session, opened: OpenedSession, **changes: object) -> None:
    device = session.get_one(DeviceRow, device_of(opened))
    for name, value in changes.items():
        setattr(device, name, value)
    session.add(device)
    session.flush()


def settled(session: Session, opened: OpenedSession, held: list[str]) -> list[str]:
    """Those of its open commands that a driver must forget."""
    return settled_elsewhere(session, {opened.driver_id: held})[opened.driver_id]


def reconciled(session: Session, opened: OpenedSession, *open_commands: str) -> Reconciled:
    holdings = Holdings(
        driver_id=opened.driver_id,
        epoch=opened.epoch,
        open_commands=set(open_commands),
        device_ids=set(opened.keys),
    )
    (answer,) = reconcile(session, [holdings], NOW_MS)
    if isinstance(answer, SessionSuperseded):
        raise answer
    return answer


# Claim


def test_a_claim_gives_all_that_a_driver_must_know(session: Session, opened: OpenedSession) -> None:
    message_id = accept_one(session, text="€" * 80, traceparent="00-ab-cd-01")
    (command,) = claim_for(session, opened).commands
    assert command == Command(
        command_id=f"{message_id}-1",
        message_id=message_id,
        driver_id=opened.driver_id,
        device_id=device_of(opened),
        channel="sms",
        source=NUMBER,
        destination=RECIPIENT,
        body="€" * 80,
        encoding="gsm7",
        segments=1,
        not_after_ms=NOW_MS + TTL_MS,
        traceparent="00-ab-cd-01",
    )


def test_a_claimed_message_says_who_has_it(session: Session, opened: OpenedSession) -> None:
    message_id = accept_one(session)
    claim_for(session, opened, now_ms=NOW_MS + 9)
    message = message_of(session, message_id)
    assert (message.state, message.attempt, message.driver_id, message.epoch, message.claimed_ms) == (
        "sending",
        1,
        opened.driver_id,
        opened.epoch,
        NOW_MS + 9,
    )
    expected = {"attempt": "1", "device": device_of(opened), "epoch": str(opened.epoch)}
    assert steps_of(session, message_id) == [("claimed", expected)]
    assert event_types(session, message_id) == []


def test_the_oldest_come_first_and_never_more_than_fit(session: Session, opened: OpenedSession) -> None:
    ids = [accept_one(session, text=str(number)) for number in range(7)]
    first = claim_for(session, opened, free=3)
    assert [command.message_id for command in first.commands] == ids[:3]
    assert first.drained == set()
    second = claim_for(session, opened, free=3)
    assert [command.message_id for command in second.commands] == ids[3:6]
    third = claim_for(session, opened, free=3)
    assert [command.message_id for command in third.commands] == ids[6:]
    assert third.drained == {device_of(opened)}
    assert claim_for(session, opened, free=3).commands == []


def test_one_transaction_serves_many_devices(session: Session) -> None:
    numbers = [f"+1555000{n:04d}" for n in range(20)]
    opened = connect(session, *(offered_device(f"modem-{number}", number) for number in numbers))
    for number in numbers:
        accept_one(session, sender=number)
        accept_one(session, sender=number)
    claimed = claim_for(session, opened, free=1)
    assert sorted(command.source for command in claimed.commands) == numbers
    assert all(opened.keys[command.device_id] == f"modem-{command.source}" for command in claimed.commands)
    assert claimed.drained == set()


def test_a_device_gives_only_its_own_messages(session: Session, opened: OpenedSession) -> None:
    other = connect(session, offered_device("modem-2", OTHER_NUMBER), driver_name="driver-2")
    accept_one(session, sender=OTHER_NUMBER)
    assert claim_for(session, opened).commands == []
    (command,) = claim_for(session, other).commands
    assert (command.driver_id, command.source) == (other.driver_id, OTHER_NUMBER)


def test_a_stale_epoch_claims_nothing(session: Session, opened: OpenedSession) -> None:
    accept_one(session)
    newer = connect(session)
    stale = claim_for(session, opened)
    assert (stale.commands, stale.drained) == ([], set())
    assert stale.superseded == {(opened.driver_id, opened.epoch)}
    fresh = claim_for(session, newer)
    assert (len(fresh.commands), fresh.superseded) == (1, set())


def test_a_driver_that_nobody_knows_claims_nothing(session: Session, opened: OpenedSession) -> None:
    accept_one(session)
    claimed = claim(session, [ReadyDevice(device_of(opened), "nobody", 1, 3)], NOW_MS)
    assert (claimed.commands, claimed.superseded) == ([], {("nobody", 1)})


@pytest.mark.parametrize("changes", [{"enabled": False}, {"deleted_ms": NOW_MS}])
def test_a_device_that_is_disabled_or_deleted_gets_nothing(
    session: Session, opened: OpenedSession, changes: dict[str, object]
) -> None:
    message_id = accept_one(session)
    change_device(session, opened, **changes)
    claimed = claim_for(session, opened)
    off = {device_of(opened)}
    assert (claimed.commands, claimed.drained, claimed.disabled) == ([], off, off)
    assert state_of(session, message_id) == "queued"
    change_device(session, opened, enabled=True, deleted_ms=None)
    assert len(claim_for(session, opened).commands) == 1


def test_a_message_past_its_deadline_is_not_claimed(session: Session, opened: OpenedSession) -> None:
    late = accept_one(session, ttl_ms=1000)
    good = accept_one(session, ttl_ms=1001)
    claimed = claim_for(session, opened, now_ms=NOW_MS + 1000)
    assert [command.message_id for command in claimed.commands] == [good]
    assert expire_due(session, NOW_MS + 1000) == 1
    assert state_of(session, late) == "expired"


def test_only_queued_messages_are_claimed(session: Session, opened: OpenedSession) -> None:
    command = claimed_command(session, opened)
    assert claim_for(session, opened).commands == []
    settle(session, opened, command, Evidence.SUBMITTED)
    assert claim_for(session, opened).commands == []


def test_capping_a_device_changes_its_room_only() -> None:
    device = ReadyDevice("device", "driver", 7, 1000)
    assert device.capped(5) == ReadyDevice("device", "driver", 7, 5)


# Reconcile


def test_what_the_driver_does_not_hold_is_offered_again_under_the_same_id(
    session: Session, opened: OpenedSession
) -> None:
    command = claimed_command(session, opened)
    again = connect(session)
    result = reconciled(session, again)
    assert result == Reconciled([command], {command.device_id: [command.command_id]})
    assert state_of(session, command.message_id) == "sending"
    assert steps_of(session, command.message_id)[-1][1]["offered"] == "again"


def test_what_is_offered_again_keeps_its_order(session: Session, opened: OpenedSession) -> None:
    ids = [accept_one(session) for _ in range(5)]
    claim_for(session, opened, free=5)
    assert [command.message_id for command in reconciled(session, connect(session)).offer] == ids


def test_what_the_driver_holds_is_left_with_it(session: Session, opened: OpenedSession) -> None:
    command = claimed_command(session, opened)
    again = connect(session, open_commands=[command.command_id])
    assert again.drop_commands == []
    result = reconciled(session, again, command.command_id)
    assert result == Reconciled([], {command.device_id: [command.command_id]})
    assert state_of(session, command.message_id) == "sending"


def test_what_is_settled_here_is_dropped_there(session: Session, opened: OpenedSession) -> None:
    command = claimed_command(session, opened)
    settle(session, opened, command, Evidence.SUBMITTED)
    again = connect(session, open_commands=[command.command_id], last_sequence=1)
    assert again.drop_commands == [command.command_id]
    assert reconciled(session, again, command.command_id) == Reconciled([], {})


def test_only_what_is_open_here_may_stay_there(session: Session, opened: OpenedSession) -> None:
    command = claimed_command(session, opened)
    settle(session, opened, command, Evidence.FAILED)
    other = claimed_command(session, opened)
    held = [command.command_id, f"{other.message_id}-2", "nonsense", "f" * 24 + "-1", other.command_id]
    assert settled(session, opened, held) == held[:-1]


def test_another_drivers_command_is_dropped_there(session: Session, opened: OpenedSession) -> None:
    command = claimed_command(session, opened)
    other = connect(session, offered_device("modem-2", OTHER_NUMBER), driver_name="driver-2")
    assert settled(session, other, [command.command_id]) == [command.command_id]


def test_a_hundred_thousand_open_commands_can_be_asked_about(session: Session, opened: OpenedSession) -> None:
    command = claimed_command(session, opened)
    held = [f"{n:024x}-1" for n in range(100_000)]
    assert settled(session, opened, [*held, command.command_id]) == held


def test_a_lost_journal_makes_every_open_command_unknown(session: Session, opened: OpenedSession) -> None:
    ids = [accept_one(session) for _ in range(3)]
    waiting = [accept_one(session) for _ in range(2)]
    claim_for(session, opened, free=3)
    assert connect(session, journal_id="journal-2").journal_lost
    for message_id in ids:
        message = message_of(session, message_id)
        assert (message.state, message.failure_reason) == ("unknown", "outcome_unknown")
        assert event_types(session, message_id) == ["message.failed"]
    assert [state_of(session, message_id) for message_id in waiting] == ["queued", "queued"]


def test_what_a_lost_journal_took_is_not_offered_by_the_session_after_the_next_either(
    session: Session, opened: OpenedSession
) -> None:
    command = claimed_command(session, opened)
    connect(session, journal_id="journal-2")  # and its stream breaks before it comes to reconcile
    again = connect(session, journal_id="journal-2")
    assert not again.journal_lost
    assert reconciled(session, again) == Reconciled([], {})
    assert state_of(session, command.message_id) == "unknown"


def test_what_a_device_that_left_never_got_waits_for_it(session: Session) -> None:
    opened = connect(session, offered_device(), offered_device("modem-2", OTHER_NUMBER))
    message_id = accept_one(session)
    claim_for(session, opened)
    again = connect(session, offered_device("modem-2", OTHER_NUMBER))
    assert reconciled(session, again) == Reconciled([], {})
    message = message_of(session, message_id)
    until_ms = NOW_MS + retry_delay_s(1) * 1000
    assert (message.state, message.hold_reason, message.hold_until_ms) == (
        "scheduled",
        "device_away",
        until_ms,
    )
    assert event_types(session, message_id) == []

    release_held(session, until_ms)
    back = connect(session, offered_device(), offered_device("modem-2", OTHER_NUMBER))
    (command,) = claim_for(session, back).commands
    assert command.command_id == f"{message_id}-2"


def test_what_a_driver_holds_for_a_device_that_left_stays_with_it(session: Session) -> None:
    opened = connect(session, offered_device(), offered_device("modem-2", OTHER_NUMBER))
    message_id = accept_one(session)
    (command,) = claim_for(session, opened).commands
    again = connect(session, offered_device("modem-2", OTHER_NUMBER), open_commands=[command.command_id])
    assert again.drop_commands == []
    result = reconciled(session, again, command.command_id)
    assert result.held == {command.device_id: [command.command_id]}
    assert state_of(session, message_id) == "sending"


def test_another_drivers_commands_are_left_alone(session: Session, opened: OpenedSession) -> None:
    command = claimed_command(session, opened)
    other = connect(session, offered_device("modem-2", OTHER_NUMBER), driver_name="driver-2")
    assert reconciled(session, other) == Reconciled([], {})
    assert state_of(session, command.message_id) == "sending"


def test_a_lost_journal_leaves_another_drivers_commands_alone(
    session: Session, opened: OpenedSession
) -> None:
    command = claimed_command(session, opened)
    other = offered_device("modem-2", OTHER_NUMBER)
    connect(session, other, driver_name="driver-2")
    assert connect(session, other, driver_name="driver-2", journal_id="journal-2").journal_lost
    assert state_of(session, command.message_id) == "sending"


def test_a_session_that_was_superseded_reconciles_nothing(session: Session, opened: OpenedSession) -> None:
    newer = connect(session)
    accept_one(session)
    (command,) = claim_for(session, newer).commands
    steps = steps_of(session, command.message_id)
    with pytest.raises(SessionSuperseded):
        reconciled(session, opened)
    assert state_of(session, command.message_id) == "sending"
    assert steps_of(session, command.message_id) == steps
