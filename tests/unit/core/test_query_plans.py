"""Hot statements find their rows by an index: none of them reads the whole of a table that only grows."""

from collections.abc import Generator
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from core.driver_sessions import OpenedSession
from core.message_state import Evidence
from core.messages import MessageFilter, accept, list_messages
from tests.core_fixtures import (
    NOW_MS,
    TTL_MS,
    accept_one,
    apply,
    claim_for,
    connect,
    new_message,
    offered_device,
    report,
    without_numbers,
)
from tests.fakes.database import TENANT_A, memory_session
from tests.hot_statements import USE_CASES, an_inbound, open_world

GROWING = (
    "message", "timeline", "event", "delivery", "delivery_attempt", "rejected_fact", "address", "device", "driver",
)  # fmt: skip
EXPLAINED = ("SELECT", "UPDATE", "DELETE", "WITH")


@pytest.fixture
def session() -> Generator[Session]:
    with memory_session() as session:
        yield session


@pytest.fixture
def opened(session: Session) -> OpenedSession:
    """A database in which every state has some messages."""
    return open_world(session)


class Plans:
    """What SQLite would do for each statement that ran since."""

    def __init__(self, session: Session) -> None:
        self._connection = session.connection()
        self._statements: dict[str, Any] = {}
        event.listen(self._connection, "before_cursor_execute", self._note)

    def _note(self, *arguments: Any) -> None:
        _, _, statement, parameters, _, executemany = arguments
        if statement.lstrip().startswith(EXPLAINED):
            self._statements[statement] = parameters[0] if executemany else parameters

    def steps(self) -> list[str]:
        """Every step, of every statement."""
        event.remove(self._connection, "before_cursor_execute", self._note)
        return [
            row[3]
            for statement, parameters in self._statements.items()
            for row in self._connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]

    def scans(self) -> list[str]:
        """The steps that read a whole table that only grows."""
        return [
            step
            for step in self.steps()
            if step.startswith("SCAN") and step.split()[1] in GROWING and "USING" not in step
        ]


PARTIAL_INDEXES = {
    "claim": "message_queued",
    "poll": "message_queued",
    "reconcile": "message_sending",
    "release": "message_held",
    "expire": "message_deadline",
    "give up": "message_deadline",
    "remove a device": "message_held_for",
    "outbox": "event_unpublished",
}


@pytest.mark.parametrize("name", USE_CASES)
def test_no_statement_reads_a_whole_table(session: Session, opened: OpenedSession, name: str) -> None:
    plans = Plans(session)
    USE_CASES[name](session, opened)
    assert plans.scans() == []


@pytest.mark.parametrize("name", PARTIAL_INDEXES)
def test_work_is_found_by_the_index_of_those_that_wait(
    session: Session, opened: OpenedSession, name: str
) -> None:
    plans = Plans(session)
    USE_CASES[name](session, opened)
    steps = plans.steps()
    assert any(f"INDEX {PARTIAL_INDEXES[name]}" in step for step in steps), steps
    assert not any("TEMP B-TREE" in step for step in steps), steps


def test_messages_of_a_moved_number_are_found_by_the_index_of_those_that_wait(
    session: Session, opened: OpenedSession
) -> None:
    accept_one(session)
    plans = Plans(session)
    again = connect(session, without_numbers(offered_device()), offered_device("modem-2"), last_sequence=5)
    steps = plans.steps()
    assert any("message_deadline" in step or "message_queued" in step for step in steps)
    assert len(claim_for(session, again, free=100).commands) == 2


def test_a_scan_would_be_noticed(session: Session, opened: OpenedSession) -> None:
    plans = Plans(session)
    list_messages(session, TENANT_A, MessageFilter(), 1)
    session.connection().exec_driver_sql("SELECT id FROM message WHERE body = 'x'")
    session.connection().exec_driver_sql("UPDATE event SET body = x'' WHERE type = 'x'")
    assert plans.scans() == ["SCAN message", "SCAN event"]


@pytest.mark.parametrize("count", [1, 50])
def test_the_number_of_statements_does_not_grow_with_the_batch(
    session: Session, opened: OpenedSession, count: int
) -> None:
    executed: list[str] = []
    connection = session.connection()
    event.listen(connection, "before_cursor_execute", lambda *arguments: executed.append(arguments[2]))
    accept(session, [new_message(external_id=f"e{n}") for n in range(count)], NOW_MS, TTL_MS)
    assert len(executed) == 3
    executed.clear()
    commands = claim_for(session, opened, free=100).commands
    assert len(executed) <= 6
    executed.clear()
    reports = [report(6 + n, each.command_id, Evidence.SUBMITTED) for n, each in enumerate(commands)]
    apply(session, opened, *reports, *(an_inbound(6 + len(reports) + n) for n in range(count)))
    assert len(executed) <= 9
