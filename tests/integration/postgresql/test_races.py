"""Transactions that run at once, as only PostgreSQL lets them."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from sqlmodel import col

from core import contents
from core.delivery.claims import Claimed, Want, claim
from core.delivery.fanout import fan_out
from core.delivery_log import redeliver
from core.devices import mark_away
from core.driver_sessions import OpenedSession
from core.errors import InvalidArgument
from core.events import read_outbox
from core.message_state import Evidence
from core.messages import Accepted, accept
from core.store.engine import Store
from core.store.rows import DeliveryRow, DeviceRow, DriverRow, WebhookRow
from tests.core_fixtures import (
    NOW_MS,
    NUMBER,
    TTL_MS,
    accept_one,
    apply,
    claim_for,
    claimed_command,
    connect,
    device_of,
    event_types,
    message_of,
    new_message,
    offered_device,
    report,
)
from tests.fakes.database import TENANT_A, Database, chosen, file_store
from tests.fakes.outbox import add_events, add_webhook


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    with chosen(Database.POSTGRESQL), file_store(tmp_path) as store:
        yield store


@contextlib.asynccontextmanager
async def kept_open(store: Store, work: Callable[[Session], object]) -> AsyncGenerator[None]:
    """While the block runs, the transaction of `work` has done it and is not committed."""
    done, may_commit = threading.Event(), threading.Event()

    def slowly(session: Session) -> None:
        work(session)
        done.set()
        assert may_commit.wait(30)

    working = asyncio.create_task(store.run(slowly))
    assert await asyncio.to_thread(done.wait, 30)
    try:
        yield
        assert not working.done()
    finally:
        may_commit.set()
        await working


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


async def test_claims_go_on_while_more_deliveries_of_an_endpoint_are_made(store: Store) -> None:
    await store.run(add_webhook, WEBHOOK, TENANT_A)
    await store.run(fan_out_new, 2)
    async with kept_open(store, lambda session: fan_out_new(session, 3)):
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
    async with kept_open(store, lambda session: fan_out_new(session, 3)):
        meanwhile = await store.run(claim_some)
    assert (meanwhile.deliveries, meanwhile.unfinished) == ([], {WEBHOOK})
    assert len((await store.run(claim_some)).deliveries) == 5


async def test_what_stands_behind_an_ordered_endpoints_head_does_not_pass_it_while_it_is_redelivered(
    store: Store,
) -> None:
    def begin(session: Session) -> list[str]:
        add_webhook(session, WEBHOOK, TENANT_A)
        session.flush()
        session.get_one(WebhookRow, WEBHOOK).ordered = True
        fan_out_new(session, 2)
        return list(session.execute(select(col(DeliveryRow.id)).order_by(col(DeliveryRow.id))).scalars())

    ids = await store.run(begin)
    async with kept_open(store, lambda session: redeliver(session, TENANT_A, ids[0], NOW_MS)):
        claiming = asyncio.create_task(store.run(claim_some))
        async with asyncio.timeout(30):
            while not await store.read(waiting_for_a_lock):
                assert not claiming.done()
    assert [each.delivery_id for each in (await claiming).deliveries] == ids


async def test_a_driver_is_given_messages_while_its_facts_are_applied(store: Store) -> None:
    def begin(session: Session) -> tuple[OpenedSession, str]:
        opened = connect(session, offered_device("modem", NUMBER))
        command = claimed_command(session, opened)
        accept_one(session)
        return opened, command.command_id

    opened, command_id = await store.run(begin)
    submitted = report(1, command_id, Evidence.SUBMITTED)
    async with kept_open(store, lambda session: apply(session, opened, submitted)):
        assert len((await store.run(claim_for, opened)).commands) == 1


async def test_a_session_that_opens_waits_for_a_claim_of_the_one_before(store: Store) -> None:
    def begin(session: Session) -> OpenedSession:
        opened = connect(session, offered_device("modem", NUMBER))
        accept_one(session)
        return opened

    opened = await store.run(begin)
    async with kept_open(store, lambda session: claim_for(session, opened)):
        opening = asyncio.create_task(
            store.run(lambda session: connect(session, offered_device("modem", NUMBER)))
        )
        async with asyncio.timeout(30):
            while not await store.read(waiting_for_a_lock):
                assert not opening.done()
    assert (await opening).epoch == 2
    assert (await store.run(claim_for, opened)).superseded == {(opened.driver_id, 1)}


async def test_a_driver_comes_back_while_a_message_is_accepted_for_its_number(store: Store) -> None:
    await store.run(lambda session: connect(session, offered_device("modem", NUMBER)))
    async with kept_open(store, accept_one):
        opened = await store.run(lambda session: connect(session, offered_device("modem", NUMBER)))
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


async def test_a_report_of_reading_waits_for_one_of_delivery_and_both_count_once(store: Store) -> None:
    opened = await store.run(connect)
    command = await store.run(lambda session: claimed_command(session, opened))
    delivered = report(1, command.command_id, Evidence.DELIVERED)
    read = report(2, command.command_id, Evidence.DELIVERED, is_read=True)
    again = [report(1, command.command_id, Evidence.DELIVERED), read]
    async with kept_open(store, lambda session: apply(session, opened, delivered)):
        reading = asyncio.create_task(store.run(lambda session: apply(session, opened, *again)))
        async with asyncio.timeout(30):
            while not await store.read(waiting_for_a_lock):
                assert not reading.done()
    assert (await reading).acknowledged == 2
    message = await store.read(lambda session: message_of(session, command.message_id))
    assert (message.state, message.read_ms, message.events) == ("delivered", NOW_MS, 3)
    types = await store.read(lambda session: event_types(session, command.message_id))
    assert types == ["message.sent", "message.delivered", "message.read"]


async def test_a_message_is_accepted_while_its_device_says_what_it_can_now(store: Store) -> None:
    can = contents.write_features(contents.Features(templates=True))
    device = replace(offered_device("phone", NUMBER, channel="whatsapp"), features=can)
    await store.run(lambda session: connect(session, device))
    template = contents.Template("order_ready", "en_US")
    new = new_message("", channel="whatsapp", content=template)
    poorer = replace(device, features=contents.write_features(contents.Features()))
    async with kept_open(store, lambda session: connect(session, poorer)):
        (before,) = await store.run(accept, [new], NOW_MS, TTL_MS)
    (after,) = await store.run(accept, [new], NOW_MS, TTL_MS)
    assert isinstance(before, Accepted)
    assert isinstance(after, InvalidArgument)
