"""External ids: one message for each, within a tenant, however often it is posted."""

from collections.abc import Generator
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.driver_sessions import OpenedSession
from core.errors import DeviceNotFound, ExternalIdConflict
from core.message_state import Evidence
from core.messages import Accepted, accept
from core.store.rows import MessageRow
from tests.core_fixtures import (
    NOW_MS,
    NUMBER,
    OTHER_NUMBER,
    TTL_MS,
    accept_one,
    claimed_command,
    connect,
    device_of,
    new_message,
    offered_device,
    settle,
)
from tests.fakes.database import TENANT_B, memory_session

pytestmark = pytest.mark.usefixtures("database")


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


def test_a_repeated_external_id_answers_the_first_message(session: Session, opened: OpenedSession) -> None:
    first = accept_one(session, external_id="order-1")
    (again,) = accepted_all(session, {"external_id": "order-1"})
    assert again == Accepted(first, created=False, device_id=device_of(opened))
    assert stored(session) == 1


def test_a_repeat_within_one_batch_answers_the_first_of_it(session: Session, opened: OpenedSession) -> None:
    results = accepted_all(session, *[{"external_id": "order-1"}] * 100)
    assert all(isinstance(result, Accepted) for result in results)
    ids = {result.message_id for result in results if isinstance(result, Accepted)}
    created = [result.created for result in results if isinstance(result, Accepted)]
    assert (len(ids), created) == (1, [True, *[False] * 99])
    assert stored(session) == 1


@pytest.mark.parametrize("changes", [{"text": "other"}, {"to": NUMBER}, {"sender": OTHER_NUMBER}])
@pytest.mark.parametrize("same_batch", [False, True])
def test_the_same_external_id_with_other_content_is_a_conflict(
    session: Session, changes: dict[str, Any], *, same_batch: bool
) -> None:
    connect(session, offered_device("modem-1", NUMBER, OTHER_NUMBER))
    first: dict[str, Any] = {"external_id": "order-1"}
    if same_batch:
        _, second = accepted_all(session, first, {**first, **changes})
    else:
        accepted_all(session, first)
        (second,) = accepted_all(session, {**first, **changes})
    assert isinstance(second, ExternalIdConflict)
    assert stored(session) == 1


def test_an_external_id_is_its_tenants(session: Session, opened: OpenedSession) -> None:
    connect(session, offered_device("theirs", OTHER_NUMBER), tenant_id=TENANT_B)
    ours, theirs, again = accepted_all(
        session,
        {"external_id": "order-1"},
        {"external_id": "order-1", "tenant_id": TENANT_B, "sender": OTHER_NUMBER, "text": "other"},
        {"external_id": "order-1"},
    )
    assert isinstance(ours, Accepted)
    assert isinstance(theirs, Accepted)
    assert isinstance(again, Accepted)
    assert (theirs.created, again.created) == (True, False)
    assert ours.message_id == again.message_id != theirs.message_id


def test_a_refused_message_does_not_use_its_external_id_up(session: Session, opened: OpenedSession) -> None:
    refused, accepted = accepted_all(
        session, {"external_id": "order-1", "sender": OTHER_NUMBER}, {"external_id": "order-1"}
    )
    assert isinstance(refused, DeviceNotFound)
    assert isinstance(accepted, Accepted)
    assert accepted.created


@pytest.mark.parametrize("external_id", ["x" * 255, "Bestellung Nr. 5 ä", "漢字", "%_'\"", "0"])
def test_an_external_id_is_compared_as_it_is(
    session: Session, opened: OpenedSession, external_id: str
) -> None:
    first = accept_one(session, external_id=external_id)
    (again,) = accepted_all(session, {"external_id": external_id})
    assert isinstance(again, Accepted)
    assert again.message_id == first
    for other in (external_id.upper() + "X", external_id[:-1] + "\u0131", "e\u0301"):
        assert accept_one(session, external_id=other) != first


def test_a_repeat_answers_the_first_message_whatever_became_of_it(
    session: Session, opened: OpenedSession
) -> None:
    command = claimed_command(session, opened, external_id="order-1")
    settle(session, opened, command, Evidence.FAILED)
    connect(session, offered_device("modem-1", OTHER_NUMBER), last_sequence=1)  # the number is gone, too
    (again,) = accepted_all(session, {"external_id": "order-1"})
    assert again == Accepted(command.message_id, created=False, device_id=command.device_id)


def test_no_external_id_is_no_repeat(session: Session, opened: OpenedSession) -> None:
    assert accept_one(session) != accept_one(session)
