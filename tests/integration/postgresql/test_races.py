"""Transactions that run at once, as only PostgreSQL lets them."""

import asyncio
import threading
from collections.abc import Generator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.messages import Accepted, accept
from core.store.engine import Store
from tests.core_fixtures import (
    NOW_MS,
    NUMBER,
    TTL_MS,
    connect,
    device_of,
    message_of,
    new_message,
    offered_device,
)
from tests.fakes.database import Database, chosen, file_store


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    with chosen(Database.POSTGRESQL), file_store(tmp_path) as store:
        yield store


def waiting_for_a_lock(session: Session) -> int:
    """How many transactions of this database wait for another one."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return session.execute(text(query)).scalar_one()


async def test_a_number_that_moves_takes_a_message_along_that_is_just_accepted(store: Store) -> None:
    await store.run(lambda session: connect(session, offered_device("old", NUMBER)))
    accepted, may_commit = threading.Event(), threading.Event()

    def accept_slowly(session: Session) -> str:
        (result,) = accept(session, [new_message()], NOW_MS, TTL_MS)
        assert isinstance(result, Accepted)
        accepted.set()
        assert may_commit.wait(30)
        return result.message_id

    accepting = asyncio.create_task(store.run(accept_slowly))
    await asyncio.to_thread(accepted.wait, 30)
    moving = asyncio.create_task(
        store.run(lambda session: device_of(connect(session, offered_device("new", NUMBER)), "new"))
    )
    async with asyncio.timeout(30):
        while not await store.read(waiting_for_a_lock):
            assert not moving.done()
    may_commit.set()
    message_id, device_id = await accepting, await moving
    assert (await store.read(lambda session: message_of(session, message_id).device_id)) == device_id
