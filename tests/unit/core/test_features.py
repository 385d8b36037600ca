"""What devices can: said by their drivers, asked about only when it matters, and refused early."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from core import contents
from core.contents import Features, Media, Template
from core.devices import OfferedDevice
from core.dispatch import Holdings, Reconciled, reconcile
from core.driver_sessions import OpenedSession
from core.errors import DeviceNotFound, ExternalIdConflict, InfiniReachError, InvalidArgument
from core.messages import Accepted, accept, owner_of
from core.store.rows import DeviceRow, MessageRow
from tests.core_fixtures import (
    NOW_MS,
    NUMBER,
    OTHER_NUMBER,
    TTL_MS,
    accept_one,
    claim_for,
    connect,
    device_of,
    event_types,
    message_of,
    new_message,
    offered_device,
    steps_of,
)
from tests.fakes.database import TENANT_B, memory_session

pytestmark = pytest.mark.usefixtures("database")

GROUP = "120363021234567890@g.us"
ALL = Features(templates=True, media=contents.MEDIA_TYPES, groups=True, read_reports=True)
TEMPLATE = Template("order_ready", "en_US", '[{"type": "body"}]')
MEDIA = Media("document", "https://example.com/a.pdf", "a.pdf")


@pytest.fixture
def session() -> Generator[Session]:
    with memory_session() as session:
        yield session


def phone(can: Features | None, *, number: str = NUMBER, key: str = "phone") -> OfferedDevice:
    """A WhatsApp device that can so much."""
    device = offered_device(key, number, channel="whatsapp")
    return replace(device, features=contents.write_features(can))


def accepted(session: Session, *items: dict[str, Any]) -> list[Accepted | InfiniReachError]:
    new = [new_message(**{"channel": "whatsapp"} | item) for item in items]
    return accept(session, new, NOW_MS, TTL_MS)


def faults(result: object) -> list[str]:
    assert isinstance(result, InvalidArgument), result
    return [violation.field for violation in result.violations]


def features_of(session: Session, opened: OpenedSession) -> Features | None:
    session.expire_all()
    return contents.read_features(session.get_one(DeviceRow, device_of(opened, "phone")).features)


def stored(session: Session) -> int:
    return session.execute(select(func.count()).select_from(MessageRow)).scalar_one()


# What a driver says


def test_a_device_can_what_its_driver_says_last(session: Session) -> None:
    assert features_of(session, connect(session, phone(ALL))) == ALL
    assert features_of(session, connect(session, phone(Features(groups=True)))) == Features(groups=True)
    assert features_of(session, connect(session, phone(Features(groups=True)))) == Features(groups=True)
    assert features_of(session, connect(session, phone(None))) is None


# Sending


def test_what_the_device_can_no_more_fails_at_the_claim_and_the_rest_goes_out(session: Session) -> None:
    connect(session, phone(ALL))
    beyond: list[dict[str, Any]] = [
        {"text": "", "content": TEMPLATE},
        {"text": "See here", "content": MEDIA},
        {"to": GROUP},
        {"text": "x" * 161},
    ]
    within: list[dict[str, Any]] = [
        {},
        {"text": "x" * 160},
        {"text": "", "content": Media("image", "https://example.com/a.png")},
    ]
    lost = [accept_one(session, channel="whatsapp", **item) for item in beyond]
    kept = [accept_one(session, channel="whatsapp", **item) for item in within]
    opened = connect(session, phone(Features(media=("image",), text_characters_max=160)))
    claimed = claim_for(session, opened, free=9)
    assert [command.message_id for command in claimed.commands] == kept
    assert claimed.failed == len(lost)
    for message_id in lost:
        message = message_of(session, message_id)
        assert (message.state, message.failure_reason) == ("failed", "content_unsupported")
        assert message.attempt == 0
        assert message.failure_detail is not None
        assert event_types(session, message_id) == ["message.failed"]
        assert steps_of(session, message_id) == [("failed", {"reason": "content_unsupported"})]
    assert "the device cannot send templates" in (message_of(session, lost[0]).failure_detail or "")


def test_a_device_with_room_is_asked_again_after_messages_that_failed(session: Session) -> None:
    connect(session, phone(ALL))
    for _ in range(2):
        accept_one(session, channel="whatsapp", text="", content=TEMPLATE)
    plain = accept_one(session, channel="whatsapp")
    opened = connect(session, phone(Features()))
    first = claim_for(session, opened, free=2)
    assert (first.commands, first.failed, first.drained) == ([], 2, set())
    assert [command.message_id for command in claim_for(session, opened, free=2).commands] == [plain]


def test_what_never_reached_a_driver_is_not_offered_again_to_a_device_that_can_it_no_more(
    session: Session,
) -> None:
    opened = connect(session, phone(ALL))
    template = accept_one(session, channel="whatsapp", text="", content=TEMPLATE)
    in_the_journal = accept_one(session, channel="whatsapp", text="", content=TEMPLATE)
    plain = accept_one(session, channel="whatsapp")
    assert len(claim_for(session, opened, free=9).commands) == 3
    opened = connect(session, phone(Features()))
    holdings = Holdings(opened.driver_id, opened.epoch, {f"{in_the_journal}-1"}, set(opened.keys))
    (answer,) = reconcile(session, [holdings], NOW_MS)
    assert isinstance(answer, Reconciled)
    assert [command.message_id for command in answer.offer] == [plain]
    assert answer.failed == [template]
    assert answer.held == {device_of(opened, "phone"): [f"{in_the_journal}-1", f"{plain}-1"]}
    message = message_of(session, template)
    assert (message.state, message.failure_reason) == ("failed", "content_unsupported")
    assert event_types(session, template) == ["message.failed"]
    assert message_of(session, in_the_journal).state == "sending"


def test_plain_texts_cost_a_claim_and_a_reconcile_no_look_at_their_device(session: Session) -> None:
    opened = connect(session, phone(Features()))
    accept_one(session, channel="whatsapp")
    statements: list[str] = []
    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    claim_for(session, opened)
    assert len([each for each in statements if "FROM device" in each]) == 1
    statements.clear()
    reconcile(session, [Holdings(opened.driver_id, opened.epoch, set(), set(opened.keys))], NOW_MS)
    assert [each for each in statements if "device.features" in each] == []


# Accepting


def test_a_device_gets_what_it_can(session: Session) -> None:
    opened = connect(session, phone(ALL))
    results = accepted(
        session,
        {"text": "", "content": TEMPLATE},
        {"text": "See here", "content": MEDIA},
        {"to": GROUP},
        {"text": "x" * 4096},
    )
    ids = [result.message_id for result in results if isinstance(result, Accepted)]
    assert len(ids) == 4
    assert [contents.read(message_of(session, each).content) for each in ids] == [TEMPLATE, MEDIA, None, None]
    commands = claim_for(session, opened, free=9).commands
    assert [(each.body[:9], each.content) for each in commands] == [
        ("", TEMPLATE),
        ("See here", MEDIA),
        ("Hello", None),
        ("x" * 9, None),
    ]
    assert {(each.encoding, each.segments) for each in commands} == {("none", 1)}


def test_what_the_device_cannot_is_refused_and_the_rest_stands(session: Session) -> None:
    connect(session, phone(Features(media=("image",))))
    results = accepted(
        session,
        {"text": "", "content": TEMPLATE},
        {"text": "one"},
        {"text": "", "content": MEDIA, "to": GROUP},
        {"text": "two"},
    )
    assert faults(results[0]) == ["template"]
    assert faults(results[2]) == ["media", "to"]
    assert [type(result) for result in results[1::2]] == [Accepted, Accepted]
    assert stored(session) == 2


def test_a_device_of_a_driver_that_says_nothing_takes_text_and_groups(session: Session) -> None:
    connect(session, phone(None))
    results = accepted(
        session,
        {"text": "x" * 1600},
        {"text": "x" * 1601},
        {"to": GROUP},
        {"text": "", "content": TEMPLATE},
        {"text": "", "content": MEDIA},
    )
    assert isinstance(results[0], Accepted)
    assert faults(results[1]) == ["text"]
    assert isinstance(results[2], Accepted)
    assert [faults(result) for result in results[3:]] == [["template"], ["media"]]


def test_each_message_is_measured_by_its_own_device(session: Session) -> None:
    connect(session, phone(ALL), phone(Features(), number=OTHER_NUMBER, key="poor"))
    rich, poor = accepted(
        session, {"text": "", "content": MEDIA}, {"text": "", "content": MEDIA, "sender": OTHER_NUMBER}
    )
    assert isinstance(rich, Accepted)
    assert faults(poor) == ["media"]


def test_a_short_text_is_taken_whatever_else_is_in_the_batch(session: Session) -> None:
    connect(session, phone(Features(text_characters_max=10)))
    short, long = accepted(session, {"text": "x" * 160}, {"text": "x" * 161})
    assert isinstance(short, Accepted)
    assert faults(long) == ["text"]


def test_a_number_of_nobody_or_of_others_is_told_before_what_its_device_can(session: Session) -> None:
    connect(session, phone(Features()), tenant_id=TENANT_B)
    for sender in (NUMBER, OTHER_NUMBER):
        (result,) = accepted(session, {"text": "", "content": MEDIA, "sender": sender})
        assert isinstance(result, DeviceNotFound)
        with pytest.raises(DeviceNotFound):
            owner_of(session, new_message("", channel="whatsapp", content=MEDIA, sender=sender))


def test_a_preview_refuses_what_accepting_would(session: Session) -> None:
    opened = connect(session, phone(Features(templates=True)))
    template = new_message("", channel="whatsapp", content=TEMPLATE)
    assert owner_of(session, template) == device_of(opened, "phone")
    with pytest.raises(InvalidArgument) as refused:
        owner_of(session, replace(template, content=MEDIA))
    assert faults(refused.value) == ["media"]


@pytest.mark.parametrize(
    ("item", "statements"),
    [({}, 2), ({"text": "x" * 160}, 2), ({"text": "", "content": MEDIA}, 3), ({"to": GROUP}, 3)],
)
def test_only_messages_that_need_it_cost_a_look_at_the_device(
    session: Session, item: dict[str, Any], statements: int
) -> None:
    connect(session, phone(ALL))
    executed: list[str] = []
    event.listen(
        session.connection(), "before_cursor_execute", lambda *arguments: executed.append(arguments[2])
    )
    accepted(session, *[item] * 20)
    assert len(executed) == statements


# External ids


@pytest.mark.parametrize("same_batch", [False, True])
@pytest.mark.parametrize(
    ("first", "second", "is_conflict"),
    [
        (TEMPLATE, TEMPLATE, False),
        (TEMPLATE, Template("order_ready", "en_US", '[{"type":"body"}]'), False),
        (TEMPLATE, Template("order_ready", "de", '[{"type": "body"}]'), True),
        (TEMPLATE, Template("order_ready", "en_US"), True),
        (MEDIA, MEDIA, False),
        (MEDIA, replace(MEDIA, filename="b.pdf"), True),
        (MEDIA, None, True),
        (None, MEDIA, True),
    ],
)
def test_the_same_external_id_compares_what_a_message_carries(
    session: Session,
    first: contents.Content | None,
    second: contents.Content | None,
    *,
    is_conflict: bool,
    same_batch: bool,
) -> None:
    connect(session, phone(ALL))
    items: list[dict[str, Any]] = [
        {"external_id": "order-1", "content": content} for content in (first, second)
    ]
    if same_batch:
        _, again = accepted(session, *items)
    else:
        accept_one(session, channel="whatsapp", **items[0])
        (again,) = accepted(session, items[1])
    assert isinstance(again, ExternalIdConflict if is_conflict else Accepted)
    assert stored(session) == 1


def test_a_repeat_answers_the_first_message_though_the_device_can_no_longer(session: Session) -> None:
    connect(session, phone(ALL))
    item = {"text": "", "external_id": "order-1", "content": MEDIA}
    (first,) = accepted(session, item)
    connect(session, phone(Features()))
    (again,) = accepted(session, item)
    assert isinstance(first, Accepted)
    assert again == replace(first, created=False)
