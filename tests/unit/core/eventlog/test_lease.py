"""The relay's lease on a database that is slow to answer, in virtual time."""

import asyncio
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry

from core.errors import Unavailable
from core.eventlog.lease import LEASE_S, RelayLease
from core.eventlog.metrics import RelayMetrics
from core.store.engine import Store
from core.store.leases import take
from tests.simulation.virtual_time import virtual_loop

SLOW_S = LEASE_S + 0.1


class SlowStore(Store):
    """Grants the lease after a while, as often as it is told to; then it is away."""

    def __init__(self, grants: int) -> None:
        self._grants = grants
        self.answered_s: list[float] = []

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Grant it."""
        await asyncio.sleep(SLOW_S)
        if function is not take or len(self.answered_s) == self._grants:
            raise Unavailable("The database is away.")
        self.answered_s.append(asyncio.get_running_loop().time())
        return True

    async def read(self, function: Callable[..., Any], *args: Any) -> Any:
        """As a write."""
        return await self.run(function, *args)

    def close(self) -> None:
        """Nothing to close."""


async def held_s(store: SlowStore, seconds: float, step_s: float = 0.05) -> list[float]:
    """At which moments the lease was held, looked at in steps."""
    now_s = asyncio.get_running_loop().time
    lease = RelayLease(store, RelayMetrics(CollectorRegistry()))
    keeping = asyncio.create_task(lease.keep())
    held: list[float] = []
    while now_s() < seconds:
        await asyncio.sleep(step_s)
        if lease.is_held:
            held.append(now_s())
    keeping.cancel()
    await asyncio.wait([keeping])
    return held


def test_a_lease_is_held_though_every_answer_takes_longer_than_it_lasts() -> None:
    store = SlowStore(grants=10)
    with virtual_loop() as loop:
        held = loop.run_until_complete(held_s(store, 30.0))
    assert len(store.answered_s) >= 7
    for answered_s in store.answered_s[:-1]:
        assert any(answered_s < moment_s < answered_s + LEASE_S for moment_s in held)


def test_a_lease_that_is_not_renewed_ends() -> None:
    store = SlowStore(grants=1)
    with virtual_loop() as loop:
        held = loop.run_until_complete(held_s(store, 30.0))
    (answered_s,) = store.answered_s
    assert answered_s < min(held)
    assert max(held) < answered_s + LEASE_S
