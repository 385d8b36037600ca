"""Backlogs that a process left halfway when it died: the deliverer finishes them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from core import webhooks
from core.delivery import deliverer
from core.errors import Unavailable
from core.store.deliveries import stranded_endpoints
from tests.fakes import delivery_rows
from tests.fakes.webhook_receiver import WebhookReceiver
from tests.integration.delivery.stage import Stage


async def add_backlog(stage: Stage, count: int, **values: Any) -> str:
    """An endpoint that was off while `count` deliveries came."""
    endpoint = await stage.add_webhook(enabled=False, **values)
    await stage.add_deliveries(count)
    return endpoint


async def test_a_backlog_left_behind_an_endpoint_that_is_on_is_delivered(
    stage: Stage, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "BACKLOG_STEP_MAX", 2)
    endpoint = await add_backlog(stage, 5, url=receiver.url)
    await stage.change(delivery_rows.change_webhook, endpoint, enabled=True)
    async with stage.delivering(stage.deliverer(poll_s=60.0)):
        await stage.until_states(delivered=5)


async def test_a_backlog_left_behind_an_endpoint_that_is_gone_is_skipped(stage: Stage) -> None:
    endpoint = await add_backlog(stage, 2)
    await stage.change(delivery_rows.delete_webhook, endpoint)
    async with stage.delivering():
        await stage.until_states(skipped=2)


async def test_the_backlog_of_an_endpoint_that_is_off_stays(stage: Stage, receiver: WebhookReceiver) -> None:
    off = await add_backlog(stage, 2)
    await stage.change(
        delivery_rows.change_webhook, await add_backlog(stage, 1, url=receiver.url), enabled=True
    )
    async with stage.delivering():
        await stage.until(lambda s: delivery_rows.deliveries(s, state="delivered"))
    assert {row.state for row in await stage.deliveries(webhook_id=off)} == {"paused"}


async def test_a_backlog_left_while_a_deliverer_runs_is_found_though_the_database_once_refused(
    stage: Stage, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliverer, "BACKLOGS_S", 0.02)
    store = _RefusesOnce(stage.store)
    async with stage.delivering(stage.deliverer(store=store)):
        await store.refused.wait()
        endpoint = await add_backlog(stage, 3, url=receiver.url)
        await stage.change(delivery_rows.change_webhook, endpoint, enabled=True)
        await stage.until_states(delivered=3)


class _RefusesOnce:
    """A store that once refuses to look for backlogs."""

    def __init__(self, store: Any) -> None:
        self.run = store.run
        self._read = store.read
        self.refused = asyncio.Event()

    async def read(self, function: Callable[[Session], Any]) -> Any:
        if function is stranded_endpoints and not self.refused.is_set():
            self.refused.set()
            raise Unavailable("The database is away.")
        return await self._read(function)
