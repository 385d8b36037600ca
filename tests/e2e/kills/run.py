"""One run: start, load, kills, healing, accounting. Seeded: the same seed makes the same choices.

python -m tests.e2e.kills --kills 1000 --seed 7
"""

import asyncio
import contextlib
import random
import statistics
import time
from dataclasses import dataclass, field

from tests.e2e.kills.accounting import Accounts, account
from tests.e2e.kills.gateway import Harmed
from tests.e2e.kills.load import Api, Load, MoodyReceiver
from tests.fakes.webhook_receiver import WebhookReceiver

PAUSE_S = (0.2, 2.0)
"""Between two kills."""

QUIET_S_MAX = 150.0
"""After the last kill everything must have settled: late reports, retried webhooks."""

EVENTS = ["message.inbound", "message.sent", "message.delivered", "message.failed"]

LEFT = """
SELECT (SELECT count(*) FROM message WHERE state IN ('queued', 'scheduled', 'sending')),
       (SELECT count(*) FROM event WHERE position IS NULL),
       (SELECT count(*) FROM delivery WHERE state = 'pending'),
       (SELECT count(*) FROM event)
"""


@dataclass(slots=True)
class Run:
    """A finished run."""

    seed: int
    kills: dict[str, int] = field(default_factory=dict[str, int])
    recovery_s: list[float] = field(default_factory=list[float])
    """From the last of the kills that left clients without answers to the next 2xx."""
    harmed_at_s: float = 0.0
    accounts: Accounts = field(default_factory=Accounts)

    def __str__(self) -> str:
        recovery = "none"
        if self.recovery_s:
            recovery = (
                f"median {statistics.median(self.recovery_s):.2f} s, longest {max(self.recovery_s):.2f} s"
            )
        return (
            f"seed {self.seed}; {self.kills}; from the last kill to the next 2xx: {recovery}\n{self.accounts}"
        )


async def run(gateway: Harmed, *, kills: int, seed: int) -> Run:
    """Start a gateway, kill `kills` times, stop it and account."""
    rng = random.Random(seed)
    result = Run(seed)
    await gateway.start()
    moods = MoodyReceiver(random.Random(seed + 1))
    async with WebhookReceiver() as receiver:
        receiver.respond_with(moods)
        described = gateway.run()
        secret = await Api.of(described).create_webhook(receiver.url, EVENTS)
        load = Load(Api.of(described), gateway.phones(), rng)
        traffic = asyncio.create_task(load.run())
        watch = asyncio.create_task(_watch_recovery(load, result))
        while sum(result.kills.values()) < kills:
            await asyncio.sleep(rng.uniform(*PAUSE_S))
            names = await gateway.harm(rng)
            result.harmed_at_s = time.monotonic()
            for name in names:
                result.kills[name] = result.kills.get(name, 0) + 1
        watch.cancel()
        load.stopping = moods.well = True
        await traffic
        await _wait_until_quiet(gateway)
        await gateway.stop()
        result.accounts = account(gateway, load, receiver.requests, secret)
    return result


async def _watch_recovery(load: Load, result: Run) -> None:
    """Each time that clients were without a 2xx: how long after the last kill that lasted."""
    answered, since = 0, time.monotonic()
    while True:
        await asyncio.sleep(0.02)
        now = sum(bool(post.ids) for post in load.posts)
        if now > answered:
            if time.monotonic() - since > 0.25:
                result.recovery_s.append(time.monotonic() - max(since, result.harmed_at_s))
            answered, since = now, time.monotonic()


async def _wait_until_quiet(gateway: Harmed) -> None:
    """Until nothing waits and, for a while, nothing has moved; returns at the bound too: the accounts tell then."""
    seen, unchanged = None, 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(QUIET_S_MAX):
            while unchanged < 16 or any(seen[:3] if seen else (1,)):
                await asyncio.sleep(0.5)
                now = gateway.query(LEFT)[0]
                unchanged = unchanged + 1 if now == seen else 0
                seen = now
