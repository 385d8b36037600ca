"""What tests put into an outbox, and what they look for behind its fan-out."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine, Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.events import append, new_event
from core.store.engine import Store
from core.store.rows import DeliveryRow, EventRow, WebhookRow
from tests.core_fixtures import NOW_MS
from tests.fakes.database import TENANT_A
from tests.fakes.driver_stream import WAIT_S_MAX, until

_event = EventRow.__table__  # pyright: ignore[reportAttributeAccessIssue]
_delivery = DeliveryRow.__table__  # pyright: ignore[reportAttributeAccessIssue]


class Due:
    """Notes which endpoints were said to have something due."""

    def __init__(self) -> None:
        self.endpoints: set[str] = set()

    def __call__(self, webhook_ids: Iterable[str]) -> None:
        self.endpoints.update(webhook_ids)


@contextlib.asynccontextmanager
async def in_background(loop: Coroutine[Any, Any, None]) -> AsyncGenerator[asyncio.Task[None]]:
    """Run what runs for ever while the block does."""
    task = asyncio.create_task(loop)
    try:
        yield task
        assert not task.done(), f"it ended: {task}"
    except BaseException as error:
        if task.done():
            error.add_note(f"it ended: {task}")
        raise
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def add_webhook(session: Session, webhook_id: str, tenant_id: str, events: str = "message.sent") -> None:
    session.add(
        WebhookRow(
            id=webhook_id,
            tenant_id=tenant_id,
            url="https://example.com/hook",
            events=events,
            timeout_s=10,
            ordered=False,
            secret=b"",
            created_ms=NOW_MS,
            updated_ms=NOW_MS,
        )
    )


def add_events(session: Session, count: int, tenant_id: str = TENANT_A, device: str = "device") -> list[str]:
    rows = [
        new_event("message.sent", tenant_id=tenant_id, at_ms=NOW_MS, data={"n": n}, device_id=device)
        for n in range(count)
    ]
    append(session, rows)
    return [row["id"] for row in rows]


async def feed(store: Store, after: int = 0) -> list[tuple[int, str]]:
    """Positions and ids of what was published behind a position."""
    query = (
        select(_event.c.position, _event.c.id).where(_event.c.position > after).order_by(_event.c.position)
    )
    return await store.read(lambda session: [(row[0], row[1]) for row in session.execute(query)])


async def published(store: Store, count: int, *, within_s: float = WAIT_S_MAX) -> list[str]:
    """The ids in the order of their positions, as soon as there are so many."""
    found = await until(lambda: feed(store), lambda found: len(found) >= count, within_s=within_s)
    return [each for _, each in found]


async def deliveries(store: Store) -> list[tuple[str, str]]:
    """Endpoint and event of each delivery."""
    query = select(_delivery.c.webhook_id, _delivery.c.event_id).order_by(_delivery.c.id)
    return await store.read(lambda session: [(row[0], row[1]) for row in session.execute(query)])
