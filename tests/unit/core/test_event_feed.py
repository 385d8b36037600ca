"""The feed of events: pages, types, and where to go on."""

from collections.abc import Generator

import pytest
from sqlalchemy.orm import Session

from core import event_feed, events
from core.event_feed import FeedRequest
from core.store.rows import EventRow
from tests.fakes.database import TENANT_A, TENANT_B, memory_session
from tests.fakes.set_clock import START_MS

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def session() -> Generator[Session]:
    with memory_session() as session:
        yield session


def publish(session: Session, *types: str, tenant_id: str = TENANT_A) -> list[str]:
    """Ids of new events of these types, published in this order."""
    made = [events.new_event(name, tenant_id=tenant_id, at_ms=START_MS, data={}) for name in types]
    events.append(session, made)
    ids = [event["id"] for event in made]
    events.mark_published(session, ids)
    return ids


def feed(
    session: Session, position: int = 0, *types: str, limit: int = 100, tenant_id: str = TENANT_A
) -> tuple[list[str], int]:
    rows, position = event_feed.read_feed(session, tenant_id, FeedRequest(position, types, limit))
    return [row.id for row in rows], position


def test_the_feed_goes_on_where_it_ended(session: Session) -> None:
    assert feed(session) == ([], 0)
    first = publish(session, "message.sent", "message.delivered")
    ids, position = feed(session)
    assert ids == first
    assert feed(session, position) == ([], position)
    second = publish(session, "message.failed")
    assert feed(session, position) == (second, position + 1)


def test_the_feed_comes_in_pages(session: Session) -> None:
    ids = publish(session, *["message.sent"] * 5)
    seen: list[str] = []
    position = 0
    for expected in (2, 2, 1, 0):
        page, position = feed(session, position, limit=2)
        assert len(page) == expected
        seen += page
    assert seen == ids


def test_an_answer_holds_as_many_events_as_fit_and_at_least_one(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = publish(session, *["message.sent"] * 3)
    size = len(session.get_one(EventRow, ids[0]).body)
    monkeypatch.setattr(event_feed, "BYTES_MAX", 2 * size)
    assert feed(session) == (ids[:2], 2)
    assert feed(session, 0, "message.sent") == (ids[:2], 2)
    assert feed(session, 2) == (ids[2:], 3)
    monkeypatch.setattr(event_feed, "BYTES_MAX", size - 1)
    assert feed(session) == (ids[:1], 1)


def test_the_feed_holds_no_event_before_it_is_published(session: Session) -> None:
    events.append(session, [events.new_event("message.sent", tenant_id=TENANT_A, at_ms=START_MS, data={})])
    assert feed(session) == ([], 0)


def test_the_feed_can_be_limited_to_types_also_by_the_other_name(session: Session) -> None:
    sent, inbound, failed = publish(session, "message.sent", "message.inbound", "message.failed")
    assert feed(session, 0, "message.failed", "message.sent")[0] == [sent, failed]
    assert feed(session, 0, "message.received")[0] == [inbound]


def test_the_feed_moves_past_events_of_other_types(session: Session) -> None:
    publish(session, "message.sent", "message.sent", "device.online", "message.sent")
    ids, position = feed(session, 0, "device.online")
    assert (len(ids), position) == (1, 4)
    assert feed(session, 0, "device.offline") == ([], 4)
    assert feed(session, 0, "message.sent", limit=1)[1] == 1


def test_one_call_looks_at_a_bounded_number_of_events(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "SCAN_MAX", 3)
    *_, last = publish(session, *["message.sent"] * 6, "device.online")
    assert feed(session, 0, "device.online") == ([], 3)
    assert feed(session, 3, "device.online") == ([], 6)
    assert feed(session, 6, "device.online") == ([last], 7)


def test_the_feed_shows_a_tenant_only_its_own_events(session: Session) -> None:
    own = publish(session, "message.sent")
    publish(session, "message.sent", tenant_id=TENANT_B)
    assert feed(session) == (own, 1)
    assert feed(session, 0, "message.sent") == (own, 1)
