"""Transactions that run at once, as only PostgreSQL lets them."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.delivery.claims import Claimed, Want, claim
from core.delivery.fanout import fan_out
from core.devices import mark_away
from core.events import read_outbox
from core.messages import Accepted, accept
from core.store.engine import Store
from core.store.rows import DeviceRow, DriverRow, WebhookRow
from tests.core_fixtures import (
    NOW_MS,
    NUMBER,
    TTL_MS,
    accept_one,
    connect,
    device_of,
    message_of,
    new_message,
    offered_device,
)
from tests.fakes.database import TENANT_A, Database, chosen, file_store
from tests.fakes.outbox import add_events, add_webhook


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


WEBHOOK = "hook"


def fan_out_new(session: Session, count: int) -> None:
    """Append events and make the deliveries of all that were not published."""
    add_events(session, count)
    fan_out(session, read_outbox(session, frozenset(), 100).events, NOW_MS)


def claim_some(session: Session) -> Claimed:
    """What a worker gets that wants more than there is."""
    return claim(session, [Want(WEBHOOK, 10, 10)], NOW_MS, worker="worker")


@contextlib.asynccontextmanager
async def deliveries_being_made(store: Store, count: int) -> AsyncGenerator[None]:
    """While the block runs, deliveries of the endpoint are made and not committed."""
    made, may_commit = threading.Event(), threading.Event()

    def make_slowly(session: Session) -> None:
        fan_out_new(session, count)
        made.set()
        assert may_commit.wait(30)

    making = asyncio.create_task(store.run(make_slowly))
    await asyncio.to_thread(made.wait, 30)
    try:
        yield
    finally:
        may_commit.set()
        await making


async def test_claims_go_on_while_more_deliveries_of_an_endpoint_are_made(store: Store) -> None:
    await store.run(add_webhook, WEBHOOK, TENANT_A)
    await store.run(fan_out_new, 2)
    async with deliveries_being_made(store, 3):
        claimed = await store.run(claim_some)
    assert (len(claimed.deliveries), claimed.unfinished) == (2, set())


async def test_nothing_of_an_ordered_endpoint_is_claimed_while_something_earlier_may_appear(
    store: Store,
) -> None:
    def add_ordered(session: Session) -> None:
        add_webhook(session, WEBHOOK, TENANT_A)
        session.flush()
        session.get_one(WebhookRow, WEBHOOK).ordered = True

    await store.run(add_ordered)
    await store.run(fan_out_new, 2)
    async with deliveries_being_made(store, 3):
        meanwhile = await store.run(claim_some)
    assert (meanwhile.deliveries, meanwhile.unfinished) == ([], {WEBHOOK})
    assert len((await store.run(claim_some)).deliveries) == 5


async def test_a_driver_comes_back_while_a_message_is_accepted_for_its_number(store: Store) -> None:
    await store.run(lambda session: connect(session, offered_device("modem", NUMBER)))
    accepted, may_commit = threading.Event(), threading.Event()

    def accept_slowly(session: Session) -> None:
        accept_one(session)
        accepted.set()
        assert may_commit.wait(30)

    accepting = asyncio.create_task(store.run(accept_slowly))
    assert await asyncio.to_thread(accepted.wait, 30)
    try:
        opened = await store.run(lambda session: connect(session, offered_device("modem", NUMBER)))
        assert not accepting.done()
    finally:
        may_commit.set()
        await accepting
    assert (opened.epoch, opened.refusals) == (2, [])


async def test_a_driver_that_comes_back_while_its_devices_are_marked_offline_is_online(store: Store) -> None:
    def leave(session: Session) -> str:
        opened = connect(session, offered_device("modem", NUMBER))
        session.get_one(DriverRow, opened.driver_id).connected = False
        return device_of(opened, "modem")

    device_id = await store.run(leave)
    back, may_commit = threading.Event(), threading.Event()

    def come_back_slowly(session: Session) -> None:
        connect(session, offered_device("modem", NUMBER))
        back.set()
        assert may_commit.wait(30)

    coming_back = asyncio.create_task(store.run(come_back_slowly))
    await asyncio.to_thread(back.wait, 30)
    marking = asyncio.create_task(store.run(mark_away, NOW_MS + 60_000, 10_000))
    async with asyncio.timeout(30):
        while not (marking.done() or await store.read(waiting_for_a_lock)):
            pass
    may_commit.set()
    await coming_back
    assert await marking == 0
    assert (await store.read(lambda session: session.get_one(DeviceRow, device_id).state)) == "online"
