"""Messages as callers see them: accepted once, shown and cancelled within their tenant only."""

from collections.abc import Generator
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.driver_sessions import OpenedSession
from core.errors import DeviceNotFound, NotCancellable, NotFound
from core.ids import IdSource, is_id
from core.message_state import Evidence
from core.messages import (
    BATCH_MAX,
    Accepted,
    MessageFilter,
    accept,
    cancel,
    count,
    fail_waiting,
    get,
    list_messages,
    owner_of,
)
from core.store.rows import DeviceRow, MessageRow
from tests.core_fixtures import (
    NOW_MS,
    NUMBER,
    OTHER_NUMBER,
    RECIPIENT,
    TTL_MS,
    accept_one,
    apply,
    claim_for,
    claimed_command,
    connect,
    device_of,
    event_types,
    events_of,
    message_of,
    new_message,
    next_sequence,
    offered_device,
    report,
    settle,
    state_of,
    step_names,
)
from tests.fakes.database import TENANT_A, TENANT_B, memory_session

pytestmark = pytest.mark.usefixtures("database")

GROUP = "120363021234567890@g.us"


@pytest.fixture
def session() -> Generator[Session]:
    with memory_session() as session:
        yield session


@pytest.fixture
def opened(session: Session) -> OpenedSession:
    return connect(session)


def stored(session: Session) -> int:
    return session.execute(select(func.count()).select_from(MessageRow)).scalar_one()


def accepted_all(session: Session, *items: dict[str, Any]) -> list[object]:
    return list(accept(session, [new_message(**item) for item in items], NOW_MS, TTL_MS))


# Accept


def test_an_accepted_message_is_queued_for_the_device_that_has_its_number(
    session: Session, opened: OpenedSession
) -> None:
    item = new_message("Grüße, 漢", external_id="order-1", traceparent="00-ab-cd-01")
    (accepted,) = accept(session, [item], NOW_MS, TTL_MS)
    assert isinstance(accepted, Accepted)
    assert (accepted.created, accepted.device_id, is_id(accepted.message_id)) == (
        True,
        device_of(opened),
        True,
    )
    message = message_of(session, accepted.message_id)
    assert (message.tenant_id, message.direction, message.state, message.channel) == (
        TENANT_A,
        "outbound",
        "queued",
        "sms",
    )
    assert (message.source, message.destination, message.body) == (NUMBER, RECIPIENT, "Grüße, 漢")
    assert (message.external_id, message.traceparent) == ("order-1", "00-ab-cd-01")
    assert (message.encoding, message.segments, message.attempt, message.group_id) == ("ucs2", 1, 0, None)
    assert (message.created_ms, message.not_after_ms) == (NOW_MS, NOW_MS + TTL_MS)
    assert event_types(session, message.id) == []


def test_a_message_to_a_group_names_it(session: Session) -> None:
    connect(session, offered_device("phone", NUMBER, channel="whatsapp"))
    message = message_of(session, accept_one(session, channel="whatsapp", to=GROUP, text="x" * 1600))
    assert (message.group_id, message.encoding, message.segments) == (GROUP, "none", 1)


def test_a_batch_has_one_result_each_in_its_order(session: Session, opened: OpenedSession) -> None:
    results = accepted_all(session, {"text": "one"}, {"sender": OTHER_NUMBER}, {"text": "three"})
    assert [type(result) for result in results] == [Accepted, DeviceNotFound, Accepted]
    bodies = [message_of(session, r.message_id).body for r in results if isinstance(r, Accepted)]
    assert bodies == ["one", "three"]
    assert stored(session) == 2


def test_messages_of_one_batch_are_sent_in_its_order(session: Session, opened: OpenedSession) -> None:
    accept(session, [new_message(str(n)) for n in range(BATCH_MAX)], NOW_MS, TTL_MS)
    commands = claim_for(session, opened, free=BATCH_MAX).commands
    assert [command.body for command in commands] == [str(n) for n in range(BATCH_MAX)]


def test_an_empty_batch_is_nothing(session: Session) -> None:
    assert accept(session, [], NOW_MS, TTL_MS) == []


@pytest.mark.parametrize(
    "text",
    [
        "漢" * 1600,
        "\N{GRINNING FACE}" * 1600,
        "e\u0301",
        "\u202e\u200b",
        "x\ty\r\n",
        "'; DROP TABLE message;--",
    ],
)
def test_any_text_is_kept_as_it_is(session: Session, opened: OpenedSession, text: str) -> None:
    assert message_of(session, accept_one(session, text=text)).body == text
    (command,) = claim_for(session, opened).commands
    assert command.body == text


# Whose number


@pytest.mark.parametrize(
    "changes",
    [
        {"sender": OTHER_NUMBER},
        {"channel": "whatsapp"},
        {"tenant_id": TENANT_B},
        {"device_id": "no-such-device"},
        {"sender": ""},
    ],
)
def test_a_number_that_is_not_the_callers_is_not_found(
    session: Session, opened: OpenedSession, changes: dict[str, Any]
) -> None:
    (refused,) = accepted_all(session, changes)
    assert isinstance(refused, DeviceNotFound)
    sender = changes.get("sender", NUMBER)
    assert refused.message == f"No device found with phone number {sender} for your account."
    with pytest.raises(DeviceNotFound):
        owner_of(session, new_message(**changes))
    assert stored(session) == 0


def test_another_tenants_number_looks_like_one_that_nobody_has(session: Session) -> None:
    connect(session, offered_device("theirs", OTHER_NUMBER), tenant_id=TENANT_B)
    nobodys = "+15550000003"
    theirs, none = accepted_all(session, {"sender": OTHER_NUMBER}, {"sender": nobodys})
    assert str(theirs).replace(OTHER_NUMBER, nobodys) == str(none)


def test_a_device_hint_must_be_the_owner(session: Session) -> None:
    opened = connect(session, offered_device(), offered_device("modem-2", OTHER_NUMBER))
    right, wrong = accepted_all(
        session, {"device_id": device_of(opened)}, {"device_id": device_of(opened, "modem-2")}
    )
    assert isinstance(right, Accepted)
    assert isinstance(wrong, DeviceNotFound)
    assert owner_of(session, new_message(device_id=device_of(opened))) == device_of(opened)


def test_tenants_in_one_batch_get_their_own_devices(session: Session, opened: OpenedSession) -> None:
    theirs = connect(session, offered_device("theirs", OTHER_NUMBER), tenant_id=TENANT_B)
    results = accepted_all(
        session,
        {},
        {"tenant_id": TENANT_B},
        {"tenant_id": TENANT_B, "sender": OTHER_NUMBER},
        {"sender": OTHER_NUMBER},
    )
    devices = [result.device_id if isinstance(result, Accepted) else None for result in results]
    assert devices == [device_of(opened), None, device_of(theirs, "theirs"), None]


def test_an_offline_device_accepts_messages(session: Session) -> None:
    connect(session, offered_device(state="offline", window=0))
    assert state_of(session, accept_one(session)) == "queued"


# Count


def test_a_channel_without_segments_counts_code_points() -> None:
    counted = count("whatsapp", "\N{GRINNING FACE}" * 500)
    assert (counted.encoding, counted.segments, counted.units) == ("none", 1, 500)
    assert count("sms", "a" * 161).segments == 2


# Look at


def test_a_tenant_sees_its_own_messages_only(session: Session, opened: OpenedSession) -> None:
    message_id = accept_one(session)
    assert get(session, TENANT_A, message_id).id == message_id
    for tenant_id, wanted in ((TENANT_B, message_id), (TENANT_A, "0" * 24)):
        with pytest.raises(NotFound, match="There is no such message"):
            get(session, tenant_id, wanted)
    assert list_messages(session, TENANT_B, MessageFilter(), 10) == ([], "")


def test_a_list_is_newest_first_and_goes_on_below_an_id(session: Session, opened: OpenedSession) -> None:
    ids = [accept_one(session) for _ in range(5)]
    first, before_id = list_messages(session, TENANT_A, MessageFilter(), 2)
    assert [row.id for row in first] == ids[:-3:-1]
    rest, end = list_messages(session, TENANT_A, MessageFilter(before_id=before_id), 10)
    assert [row.id for row in rest] == ids[-3::-1]
    assert end == ""


def test_a_list_looks_at_a_bounded_number_of_messages(
    session: Session, opened: OpenedSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.messages.SCAN_MAX", 2)
    ids = [accept_one(session) for _ in range(5)]
    cancel(session, TENANT_A, ids[0], NOW_MS)
    found, steps, before_id = [], 0, ""
    while steps == 0 or before_id:
        rows, before_id = list_messages(
            session, TENANT_A, MessageFilter(state="cancelled", before_id=before_id), 10
        )
        found += [row.id for row in rows]
        steps += 1
    assert (found, steps) == ([ids[0]], 3)


def test_a_filter_names_what_to_list(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "core.messages.new_id", IdSource().new
    )  # ids of this test's time, not of the process's
    connect(session, offered_device("modem-1", NUMBER, OTHER_NUMBER))
    connect(session, offered_device("phone", NUMBER, channel="whatsapp"), driver_name="phones")
    old = accept_one(session)
    other = accept_one(session, sender=OTHER_NUMBER, to=NUMBER, now_ms=NOW_MS + 1000)
    chat = accept_one(session, channel="whatsapp", now_ms=NOW_MS + 2000)
    cancel(session, TENANT_A, other, NOW_MS)
    expected = {
        MessageFilter(state="cancelled"): [other],
        MessageFilter(state="queued", channel="sms"): [old],
        MessageFilter(channel="whatsapp"): [chat],
        MessageFilter(sender=OTHER_NUMBER): [other],
        MessageFilter(recipient=RECIPIENT): [chat, old],
        MessageFilter(direction="inbound"): [],
        MessageFilter(since_ms=NOW_MS + 1000): [chat, other],
        MessageFilter(until_ms=NOW_MS + 1000): [old],
        MessageFilter(since_ms=NOW_MS + 1, until_ms=NOW_MS + 2000): [other],
    }
    for wanted, ids in expected.items():
        assert [row.id for row in list_messages(session, TENANT_A, wanted, 10)[0]] == ids, wanted


# Cancel


def test_a_queued_message_can_be_cancelled(session: Session, opened: OpenedSession) -> None:
    message_id = accept_one(session)
    row = cancel(session, TENANT_A, message_id, NOW_MS + 3)
    assert (row.state, row.failure_reason, row.failed_ms) == ("cancelled", "cancelled", NOW_MS + 3)
    assert state_of(session, message_id) == "cancelled"
    ((kind, data),) = events_of(session, message_id)
    assert (kind, data["status"], data["reason"]) == ("message.failed", "cancelled", "cancelled")
    assert step_names(session, message_id) == ["cancelled"]
    assert claim_for(session, opened).commands == []
    with pytest.raises(NotCancellable, match="is cancelled"):
        cancel(session, TENANT_A, message_id, NOW_MS)


def test_a_held_message_can_be_cancelled(session: Session, opened: OpenedSession) -> None:
    command = claimed_command(session, opened)
    sequence = next_sequence(session, opened)
    apply(session, opened, report(sequence, command.command_id, Evidence.FAILED, reason="no_service"))
    row = cancel(session, TENANT_A, command.message_id, NOW_MS)
    assert (row.state, row.hold_reason, row.hold_until_ms) == ("cancelled", None, None)


@pytest.mark.parametrize("outcome", [None, Evidence.SUBMITTED, Evidence.DELIVERED, Evidence.UNKNOWN])
def test_a_message_that_a_driver_has_cannot_be_cancelled(
    session: Session, opened: OpenedSession, outcome: Evidence | None
) -> None:
    command = claimed_command(session, opened)
    if outcome:
        settle(session, opened, command, outcome)
    before = state_of(session, command.message_id)
    with pytest.raises(NotCancellable):
        cancel(session, TENANT_A, command.message_id, NOW_MS)
    assert state_of(session, command.message_id) == before


def test_another_tenants_message_cannot_be_cancelled(session: Session, opened: OpenedSession) -> None:
    message_id = accept_one(session)
    for tenant_id, wanted in ((TENANT_B, message_id), (TENANT_A, "0" * 24)):
        with pytest.raises(NotFound):
            cancel(session, tenant_id, wanted, NOW_MS)
    assert state_of(session, message_id) == "queued"


# A device that is removed


def test_what_waits_for_a_device_that_came_back_is_left(session: Session) -> None:
    opened = connect(session)
    waiting = accept_one(session)
    assert fail_waiting(session, device_of(opened), NOW_MS) == 0
    assert state_of(session, waiting) == "queued"


def test_what_waits_for_a_removed_device_fails_and_the_rest_is_left(session: Session) -> None:
    opened = connect(session, offered_device(), offered_device("modem-2", OTHER_NUMBER))
    taken = claimed_command(session, opened)
    waiting, elsewhere = accept_one(session), accept_one(session, sender=OTHER_NUMBER)
    session.get_one(DeviceRow, device_of(opened)).deleted_ms = NOW_MS
    session.flush()
    assert fail_waiting(session, device_of(opened), NOW_MS) == 1
    states = [state_of(session, each) for each in (taken.message_id, waiting, elsewhere)]
    assert states == ["sending", "failed", "queued"]
    ((kind, data),) = events_of(session, waiting)
    assert (kind, data["status"], data["reason"]) == ("message.failed", "failed", "device_removed")
    assert fail_waiting(session, device_of(opened), NOW_MS) == 0
