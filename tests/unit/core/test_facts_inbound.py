"""Messages that come in and devices that change, as drivers report them."""

from collections.abc import Generator
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.contents import Media, read, write
from core.device_events import device_event_type
from core.driver_sessions import OpenedSession
from core.facts import DeviceChange, DriverFacts, Inbound, apply_facts
from core.store.rows import DEVICE_STATES, DeviceRow, MessageRow
from tests.core_fixtures import (
    NOW_MS,
    NUMBER,
    OTHER_NUMBER,
    RECIPIENT,
    apply,
    claimed_command,
    connect,
    device_of,
    event_types,
    events_of,
    next_sequence,
    offered_device,
    steps_of,
)
from tests.fakes.database import TENANT_A, TENANT_B, memory_session

pytestmark = pytest.mark.usefixtures("database")

# What each change of a device's state is told as; anything else is told as nothing.
TOLD = {
    ("online", "offline"): "device.offline",
    ("degraded", "offline"): "device.offline",
    ("attention", "offline"): "device.offline",
    ("online", "attention"): "device.attention",
    ("degraded", "attention"): "device.attention",
    ("offline", "attention"): "device.attention",
    ("offline", "online"): "device.online",
    ("attention", "online"): "device.online",
    ("offline", "degraded"): "device.online",
    ("attention", "degraded"): "device.online",
}


@pytest.fixture
def session() -> Generator[Session]:
    with memory_session() as session:
        yield session


@pytest.fixture
def opened(session: Session) -> OpenedSession:
    return connect(session)


def inbound(sequence: int, text: str = "Hi", **changes: Any) -> Inbound:
    values: dict[str, Any] = {
        "sequence": sequence,
        "device_key": "modem-1",
        "channel": "sms",
        "source": RECIPIENT,
        "destination": NUMBER,
        "text": text,
        "segments": 1,
        "group_id": "",
        "network_ms": NOW_MS - 2000,
    }
    return Inbound(**values | changes)


def change(sequence: int, state: str = "online", **changes: Any) -> DeviceChange:
    values: dict[str, Any] = {
        "sequence": sequence,
        "device_key": "modem-1",
        "state": state,
        "reason": "",
        "remedy": "",
        "window": 3,
        "signal_percent": 70,
        "battery_percent": -1,
        "pairing_payload": "",
    }
    return DeviceChange(**values | changes)


def messages(session: Session) -> list[MessageRow]:
    session.expire_all()
    return list(session.execute(select(MessageRow).order_by(MessageRow.id)).scalars())


def device(session: Session, opened: OpenedSession) -> DeviceRow:
    session.expire_all()
    return session.get_one(DeviceRow, device_of(opened))


def told(session: Session, opened: OpenedSession, *facts: DeviceChange) -> list[str]:
    before = len(event_types(session))
    assert not apply(session, opened, *facts).rejected
    return event_types(session)[before:]


# Inbound


def test_an_inbound_message_is_stored_and_told(session: Session, opened: OpenedSession) -> None:
    applied = apply(session, opened, inbound(1, "Grüße 漢", segments=2))
    assert (applied.acknowledged, applied.rejected) == (1, [])
    (row,) = messages(session)
    assert (row.tenant_id, row.direction, row.state, row.channel) == (TENANT_A, "inbound", "delivered", "sms")
    assert (row.source, row.destination, row.body) == (RECIPIENT, NUMBER, "Grüße 漢")
    assert (row.device_id, row.segments, row.encoding) == (device_of(opened), 2, "ucs2")
    assert (row.sent_ms, row.delivered_ms, row.events) == (NOW_MS - 2000, NOW_MS, 1)
    assert steps_of(session, row.id) == [("received", {"device": row.device_id, "segments": "2"})]
    kind, data = events_of(session, row.id)[-1]
    assert (kind, data["from"], data["to"], data["body"], data["sequence"]) == (
        "message.inbound",
        RECIPIENT,
        NUMBER,
        "Grüße 漢",
        1,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"network_ms": None},
        {"text": ""},
        {"source": "INFO-SMS"},
        {"source": "80800", "segments": 255},
        {"channel": "whatsapp", "group_id": "120363021234567890@g.us"},
        {"text": "x" * 20_000},
        {"text": '\u2028"\\\x01'},
        {"destination": OTHER_NUMBER},
    ],
)
def test_every_form_of_inbound_message_is_stored(
    session: Session, opened: OpenedSession, changes: dict[str, Any]
) -> None:
    fact = inbound(1, **changes)
    apply(session, opened, fact)
    (row,) = messages(session)
    assert (row.body, row.source, row.group_id or "") == (fact.text, fact.source, fact.group_id)
    kind, data = events_of(session, row.id)[-1]
    assert (kind, data["body"], data.get("groupId", "")) == ("message.inbound", fact.text, fact.group_id)


def test_the_same_text_twice_is_two_messages(session: Session, opened: OpenedSession) -> None:
    apply(session, opened, inbound(1), inbound(2))
    assert len(messages(session)) == 2
    assert event_types(session).count("message.inbound") == 2


def test_an_inbound_fact_that_is_replayed_is_one_message(session: Session, opened: OpenedSession) -> None:
    apply(session, opened, inbound(1))
    apply(session, opened, inbound(1), inbound(2, "new"))
    apply(session, connect(session, last_sequence=2), inbound(1), inbound(2))
    assert [row.body for row in messages(session)] == ["Hi", "new"]
    assert event_types(session).count("message.inbound") == 2


def test_a_journal_that_came_back_brings_no_message_a_second_time(session: Session) -> None:
    apply(session, connect(session, journal_id="first"), inbound(1), inbound(2))
    apply(session, connect(session, journal_id="second"), inbound(1, "of the second journal"))
    again = connect(session, journal_id="first", last_sequence=3)
    assert again.resume_after == 0
    applied = apply(session, again, inbound(1), inbound(2), inbound(3, "third"))
    assert (applied.acknowledged, applied.rejected) == (3, [])
    assert [row.body for row in messages(session)] == ["Hi", "Hi", "of the second journal", "third"]
    assert event_types(session).count("message.inbound") == 4


def test_an_inbound_message_for_a_device_that_nobody_has_is_kept_aside(
    session: Session, opened: OpenedSession
) -> None:
    applied = apply(session, opened, inbound(1, device_key=OTHER_NUMBER), inbound(2))
    assert [(each.sequence, each.reason) for each in applied.rejected] == [(1, "UNKNOWN_DEVICE")]
    assert OTHER_NUMBER not in applied.rejected[0].detail  # it is logged
    assert applied.acknowledged == 2
    assert len(messages(session)) == 1


def test_a_device_key_is_a_drivers_own(session: Session, opened: OpenedSession) -> None:
    other = connect(
        session, offered_device("modem-1", OTHER_NUMBER), driver_name="driver-2", tenant_id=TENANT_B
    )
    facts = [
        DriverFacts(opened.driver_id, opened.epoch, [inbound(1, "for A")]),
        DriverFacts(other.driver_id, other.epoch, [inbound(1, "for B")]),
    ]
    apply_facts(session, facts, NOW_MS)
    found = {row.body: (row.tenant_id, row.device_id) for row in messages(session)}
    assert found == {"for A": (TENANT_A, device_of(opened)), "for B": (TENANT_B, device_of(other))}


def test_thousands_of_inbound_messages_fit_one_transaction(session: Session, opened: OpenedSession) -> None:
    assert apply(session, opened, *(inbound(n) for n in range(1, 5001))).acknowledged == 5000
    assert event_types(session).count("message.inbound") == 5000


# What comes with it


def test_a_file_is_kept_and_told_of_with_its_caption(session: Session, opened: OpenedSession) -> None:
    media = Media("image", mime_type="image/jpeg", network_id="1037543291543636")
    apply(session, opened, inbound(1, "See here", channel="whatsapp", content=write(media)), inbound(2))
    with_file, plain = messages(session)
    assert (with_file.body, read(with_file.content)) == ("See here", media)
    assert (plain.content, plain.reply_to_id, plain.sender_name) == (None, None, None)
    first, second = (data for kind, data in events_of(session) if kind == "message.inbound")
    assert first["media"] == {"type": "image", "mimeType": "image/jpeg", "networkId": "1037543291543636"}
    assert not {"media", "replyTo", "senderName"} & second.keys()


def test_a_sender_who_hides_the_number_can_have_a_long_id_and_a_name(
    session: Session, opened: OpenedSession
) -> None:
    source = "US." + "1" * 128
    apply(session, opened, inbound(1, source=source, sender_name="Ana 漢"))
    (message,) = messages(session)
    assert (message.source, message.sender_name) == (source, "Ana 漢")
    (data,) = (data for kind, data in events_of(session) if kind == "message.inbound")
    assert (data["from"], data["senderName"]) == (source, "Ana 漢")


def test_an_answer_names_the_message_that_it_answers(session: Session, opened: OpenedSession) -> None:
    command = claimed_command(session, opened)
    apply(session, opened, inbound(1, reply_to_command_id=command.command_id), inbound(2))
    answer, other = (row for row in messages(session) if row.direction == "inbound")
    assert (answer.reply_to_id, other.reply_to_id) == (command.message_id, None)
    told = [data.get("replyTo") for kind, data in events_of(session) if kind == "message.inbound"]
    assert told == [command.message_id, None]


@pytest.mark.parametrize("named", ["nonsense", f"{'0' * 24}-1", "x" * 5000, "\x00"])
def test_an_answer_to_nothing_that_is_known_is_a_message_like_any_other(
    session: Session, opened: OpenedSession, named: str
) -> None:
    applied = apply(session, opened, inbound(1, reply_to_command_id=named))
    assert (applied.acknowledged, applied.rejected) == (1, [])
    assert [row.reply_to_id for row in messages(session)] == [None]


def test_an_answer_never_names_a_message_that_came_in(session: Session, opened: OpenedSession) -> None:
    apply(session, opened, inbound(1))
    (first,) = messages(session)
    apply(session, opened, inbound(2, reply_to_command_id=f"{first.id}-1"))
    assert [row.reply_to_id for row in messages(session)] == [None, None]


def test_an_answer_never_names_another_tenants_message(session: Session, opened: OpenedSession) -> None:
    ours = claimed_command(session, opened)
    theirs = connect(
        session, offered_device("modem-1", OTHER_NUMBER), driver_name="driver-2", tenant_id=TENANT_B
    )
    facts = [
        DriverFacts(theirs.driver_id, theirs.epoch, [inbound(1, "B", reply_to_command_id=ours.command_id)]),
        DriverFacts(opened.driver_id, opened.epoch, [inbound(1, "A", reply_to_command_id=ours.command_id)]),
    ]
    apply_facts(session, facts, NOW_MS)
    found = {row.body: row.reply_to_id for row in messages(session) if row.direction == "inbound"}
    assert found == {"A": ours.message_id, "B": None}


# Devices


def test_a_device_is_as_its_driver_says(session: Session, opened: OpenedSession) -> None:
    fact = change(
        1,
        "degraded",
        reason="weak_signal",
        remedy="Move the antenna.",
        window=1,
        signal_percent=9,
        battery_percent=40,
        pairing_payload="2@x",
    )
    apply(session, opened, fact, now_ms=NOW_MS + 7)
    row = device(session, opened)
    assert (row.state, row.state_reason, row.remedy, row.window) == (
        "degraded",
        "weak_signal",
        "Move the antenna.",
        1,
    )
    assert (row.signal_percent, row.battery_percent, row.pairing_payload, row.seen_ms) == (
        9,
        40,
        "2@x",
        NOW_MS + 7,
    )


@pytest.mark.parametrize("before", DEVICE_STATES)
@pytest.mark.parametrize("after", DEVICE_STATES)
def test_a_change_of_state_is_told_once(
    session: Session, opened: OpenedSession, before: str, after: str
) -> None:
    apply(session, opened, change(1, before))
    expected = TOLD.get((before, after))
    assert device_event_type(before, after) == expected
    assert told(session, opened, change(2, after), change(3, after)) == ([expected] if expected else [])


def test_a_new_pairing_code_asks_for_attention_again(session: Session, opened: OpenedSession) -> None:
    assert told(session, opened, change(1, "attention", pairing_payload="one")) == ["device.attention"]
    assert told(session, opened, change(2, "attention", pairing_payload="one")) == []
    assert told(session, opened, change(3, "attention", pairing_payload="two")) == ["device.attention"]
    _, data = events_of(session)[-1]
    assert (data["status"], data["pairingPayload"], data["phoneNumbers"]) == ("attention", "two", [NUMBER])


def test_what_was_before_the_hello_does_not_undo_it(session: Session, opened: OpenedSession) -> None:
    paused = change(1, "degraded", window=0, is_replayed=True)
    gone = change(2, "offline", is_replayed=True)
    assert told(session, opened, paused, gone) == []
    row = device(session, opened)
    assert (row.state, row.window, row.signal_percent) == ("online", 3, -1)


def test_what_was_before_the_hello_explains_it(session: Session) -> None:
    opened = connect(session, offered_device(state="attention", window=0))
    before = change(1, "attention", window=0, remedy="Scan it.", pairing_payload="2@abc", is_replayed=True)
    told(session, opened, before)
    row = device(session, opened)
    assert (row.state, row.window, row.remedy, row.pairing_payload) == ("attention", 0, "Scan it.", "2@abc")


def test_a_change_of_a_device_that_nobody_has_is_kept_aside(session: Session, opened: OpenedSession) -> None:
    applied = apply(session, opened, change(1, device_key="other"))
    assert [rejection.reason for rejection in applied.rejected] == ["UNKNOWN_DEVICE"]
    assert next_sequence(session, opened) == 2


def test_another_drivers_device_of_the_same_key_stays_as_it_is(
    session: Session, opened: OpenedSession
) -> None:
    other = connect(session, offered_device("modem-1", OTHER_NUMBER), driver_name="driver-2")
    apply(session, other, change(1, "attention"))
    assert device(session, opened).state == "online"
    assert device(session, other).state == "attention"


def test_a_device_that_its_owner_removed_does_not_come_back_by_a_change(
    session: Session, opened: OpenedSession
) -> None:
    row = device(session, opened)
    row.deleted_ms, row.state = NOW_MS, "offline"
    session.add(row)
    session.flush()
    assert told(session, opened, change(1, "online")) == []
    assert device(session, opened).state == "offline"
