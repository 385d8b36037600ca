"""Fan-out, claims, settlements and changes of one endpoint that meet, as only PostgreSQL lets them."""

import asyncio
import contextlib
import random
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from core import webhooks
from core.delivery.backlogs import settle_switched
from core.delivery.claims import Want, claim
from core.delivery.fanout import fan_out
from core.delivery.settlement import Attempt, settle
from core.eventlog.embedded import EmbeddedLog
from core.events import PublishedEvent
from core.store.engine import Store
from tests.fakes import delivery_rows
from tests.fakes.database import TENANT_A, Database, chosen, file_store
from tests.fakes.set_clock import START_MS, SetClock

NOW_MS = START_MS


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    with chosen(Database.POSTGRESQL), file_store(tmp_path) as store:
        yield store


class SlowFanOut:
    """A fan-out whose transaction stays open after its work until it is told to commit."""

    def __init__(self) -> None:
        self._is_done, self._may_commit = threading.Event(), threading.Event()

    def __call__(self, session: Session, events: Sequence[PublishedEvent], now_ms: int) -> dict[str, bool]:
        found = fan_out(session, events, now_ms)
        self._is_done.set()
        assert self._may_commit.wait(30)
        return found

    @contextlib.asynccontextmanager
    async def open(self, log: EmbeddedLog, events: Sequence[PublishedEvent]) -> AsyncGenerator[None]:
        """Have `log` publish; its transaction is open while the block runs and committed at its end."""
        publishing = asyncio.create_task(log.publish(events))
        assert await asyncio.to_thread(self._is_done.wait, 30)
        try:
            yield
            assert not publishing.done()
        finally:
            self._may_commit.set()
            await publishing


def nobody(_webhook_ids: Iterable[str]) -> None:
    pass


async def add_events(store: Store) -> list[PublishedEvent]:
    return await store.run(lambda session: delivery_rows.add_events(session, NOW_MS))


async def add_webhook(store: Store, **values: Any) -> str:
    return await store.run(lambda session: delivery_rows.add_webhook(session, **values))


async def states(store: Store) -> list[str]:
    return [row.state for row in await store.read(delivery_rows.deliveries)]


def claim_one(session: Session, webhook_id: str) -> list[str]:
    claimed = claim(session, [Want(webhook_id, first=1, again=0)], NOW_MS, worker="w1")
    return [one.delivery_id for one in claimed.deliveries]


def failed(delivery_id: str, webhook_id: str) -> Attempt:
    return Attempt(
        delivery_id=delivery_id,
        webhook_id=webhook_id,
        ordered=False,
        at_ms=NOW_MS,
        duration_ms=1,
        status=500,
        error="",
        response="",
        control=None,
        retry_after_s=None,
    )


async def test_a_fan_out_keeps_nobody_from_its_endpoint(store: Store) -> None:
    webhook_id = await add_webhook(store, failures=1, failing_since_ms=NOW_MS)
    await store.run(delivery_rows.add_deliveries, NOW_MS)
    slow = SlowFanOut()
    log = EmbeddedLog(store, SetClock(), fan_out=slow, on_due=nobody)
    async with slow.open(log, await add_events(store)):
        (delivery_id,) = await store.run(claim_one, webhook_id)
        settling = partial(settle, worker="w1", rng=random.Random(0))
        settled = await store.run(settling, [failed(delivery_id, webhook_id)], NOW_MS)
        assert settled.states == {"pending": 1}
        await store.run(webhooks.enable_webhook, TENANT_A, webhook_id, NOW_MS)
        await store.run(webhooks.delete_webhook, TENANT_A, webhook_id)


async def test_what_is_fanned_out_while_its_endpoint_is_switched_on_becomes_due(store: Store) -> None:
    await switched_meanwhile(
        store, lambda s, webhook_id: webhooks.enable_webhook(s, TENANT_A, webhook_id, NOW_MS)
    )
    assert await states(store) == ["pending"]


async def test_what_is_fanned_out_while_its_endpoint_is_removed_is_skipped(store: Store) -> None:
    await switched_meanwhile(store, lambda s, webhook_id: webhooks.delete_webhook(s, TENANT_A, webhook_id))
    assert await states(store) == ["skipped"]


async def switched_meanwhile(store: Store, switch: Callable[[Session, str], object]) -> None:
    """An endpoint that is off, and changed while a delivery is made for it."""
    webhook_id = await add_webhook(store, enabled=False)
    slow, clock, woken = SlowFanOut(), SetClock(), list[str]()
    on_paused = partial(settle_switched, store, clock, woken.extend)
    log = EmbeddedLog(store, clock, fan_out=slow, on_due=nobody, on_paused=on_paused)
    async with slow.open(log, await add_events(store)):
        await store.run(switch, webhook_id)
        assert not await store.run(webhooks.settle_backlog, webhook_id, NOW_MS)
    assert woken == [webhook_id]
