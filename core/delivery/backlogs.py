"""Backlogs that were left halfway: paused deliveries behind an endpoint that is on, or gone.

Whoever switches an endpoint on or removes it also moves its backlog, in many transactions. If that process dies in
between, or a delivery is fanned out at that very moment, some stay paused and nobody would look at them again.
"""

from collections.abc import Callable, Iterable

from core.clock import Clock
from core.store.deliveries import stranded_endpoints
from core.store.engine import Store
from core.webhooks import settle_backlog


async def settle_stranded(store: Store, clock: Clock, wake: Callable[[Iterable[str]], None]) -> None:
    """Finish every backlog that was left halfway; `wake` is told of each endpoint of which something was moved."""
    for webhook_id in await store.read(stranded_endpoints):
        try:
            while await store.run(settle_backlog, webhook_id, clock.now_ms()):
                pass
        finally:
            wake([webhook_id])
