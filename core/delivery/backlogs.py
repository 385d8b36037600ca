"""Backlogs that were left halfway: paused deliveries behind an endpoint that is on, or gone.

Whoever switches an endpoint on or removes it also moves its backlog, in many transactions. If that process dies in
between, some stay paused and nobody would look at them again. Likewise what is fanned out at that very moment: who fans
out looks once more after its commit.
"""

from collections.abc import Callable, Collection, Iterable

import structlog

from core.clock import Clock
from core.errors import InfiniReachError
from core.store.deliveries import endpoints_off, stranded_endpoints
from core.store.engine import Store
from core.webhooks import settle_backlog

log = structlog.get_logger()

Wake = Callable[[Iterable[str]], None]


async def settle_stranded(store: Store, clock: Clock, wake: Wake) -> None:
    """Finish every backlog that was left halfway; `wake` is told of each endpoint of which something was moved."""
    await _settle(store, clock, wake, await store.read(stranded_endpoints))


async def settle_switched(store: Store, clock: Clock, wake: Wake, webhook_ids: Collection[str]) -> None:
    """Finish the backlogs of these endpoints, which got paused deliveries, unless they are off as they were then.

    What the database refuses is left to `settle_stranded`.
    """
    try:
        off = await store.read(endpoints_off, webhook_ids)
        await _settle(store, clock, wake, [each for each in webhook_ids if each not in off])
    except InfiniReachError as error:
        log.warning("delivery.backlogs_failed", reason=error.reason, detail=error.message)


async def _settle(store: Store, clock: Clock, wake: Wake, webhook_ids: Iterable[str]) -> None:
    for webhook_id in webhook_ids:
        try:
            while await store.run(settle_backlog, webhook_id, clock.now_ms()):
                pass
        finally:
            wake([webhook_id])
