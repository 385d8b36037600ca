"""An engine goes away under load: what callers see meanwhile, and how soon all is as before.

Owns what is measured and what must hold; the figures are for whoever reads them, no test asserts one.

python -m tests.e2e.outage kafka --seconds 600
python -m tests.e2e.outage postgresql --seconds 5
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psycopg

from tests.e2e.kills.many import ManyProcesses
from tests.e2e.traffic import EVENTS, POSTS_PER_S, Told, Traffic, settled, until
from tests.fakes.webhook_receiver import Reply, WebhookReceiver

BEFORE_S = 2.0
AFTER_S = 2.0
"""Traffic before an engine goes away, and after all is as before."""

BACK_S_MAX = 90.0
DRAINED_S_MAX = 600.0

STORED = "SELECT external_id, id FROM message WHERE external_id IS NOT NULL"
TWICE = "SELECT external_id FROM message WHERE external_id IS NOT NULL GROUP BY 1 HAVING count(*) > 1"
WAITING = "SELECT count(*) FROM event WHERE position IS NULL"


@dataclass(slots=True)
class Figures:
    """What was seen. Seconds count from the moment at which the engine answered again."""

    engine: str
    away_s: float
    posts_per_s: float
    posts: int = 0
    accepted: int = 0
    refused: dict[str, int] = field(default_factory=dict[str, int])
    """Answers other than 2xx by method and status, such as `POST 503`; status 0: no answer."""
    recovered: int = 0
    """Posts that were not answered 2xx although their message was stored; posted again, each is that message."""
    first_success_s: float | None = None
    """Until a post was accepted that was answered after the engine's return."""
    waiting_events: int = 0
    """Events that nobody had been told of when the engine answered again."""
    first_told_s: float | None = None
    """Until the receiver was told of the first of them."""
    told_s: float | None = None
    """Until the receiver had been told of every message that was accepted before."""
    told_per_s: float | None = None
    """Webhooks that the receiver was posted in that time, those of new messages too."""
    started_again: list[str] = field(default_factory=list[str])
    """Processes that their supervisor started again."""


async def kafka_away(
    many: ManyProcesses, receiver: WebhookReceiver, *, away_s: float, per_s: float = POSTS_PER_S
) -> Figures:
    """Kill Kafka for so long. Callers see nothing of it, and all are told of in the end."""
    figures = Figures("kafka", away_s, per_s)
    made = Traffic.on(many, per_s=per_s)
    await made.api.create_webhook(receiver.url, EVENTS)
    processes = many.run()["pids"]
    before = many.engine_pid("kafka")
    told = Told(receiver)
    async with made.running():
        await asyncio.sleep(BEFORE_S)
        async with many.without("kafka"):
            await asyncio.sleep(away_s)

        async def is_back() -> bool:
            return many.engine_pid("kafka") not in (0, before)

        await until(is_back, "Kafka is back", within_s=BACK_S_MAX)
        back = time.monotonic()
        ids, webhooks = set(made.accepted.values()), len(receiver.requests)
        ((figures.waiting_events,),) = await asyncio.to_thread(many.query, WAITING)

        async def all_are_told() -> bool:
            if figures.first_told_s is None and len(receiver.requests) > webhooks:
                figures.first_told_s = round(time.monotonic() - back, 2)
            return ids <= told.ids()

        await until(all_are_told, "the backlog is drained", within_s=DRAINED_S_MAX)
        figures.told_s = round(time.monotonic() - back, 2)
        figures.told_per_s = round((len(receiver.requests) - webhooks) / figures.told_s, 1)
        await asyncio.sleep(AFTER_S)
    await _conclude(many, made, figures, processes)
    assert not made.failures(), made.failures()
    await settled(many, made, receiver)
    return figures


async def postgresql_away(many: ManyProcesses, *, away_s: float, per_s: float = POSTS_PER_S) -> Figures:
    """Have PostgreSQL crash and stay away for so long. No 2xx is without its message, and no message there twice."""
    figures = Figures("postgresql", away_s, per_s)
    made = Traffic.on(many, per_s=per_s)
    processes = many.run()["pids"]
    async with made.running():
        await asyncio.sleep(BEFORE_S)
        async with many.without("postgresql"):
            await asyncio.sleep(away_s)
            gone = time.monotonic()

        async def is_back() -> bool:
            try:
                return bool(await asyncio.to_thread(many.query, "SELECT 1"))
            except psycopg.OperationalError:
                return False

        await until(is_back, "PostgreSQL is back", within_s=BACK_S_MAX)
        back = time.monotonic()

        async def takes_messages() -> bool:
            return made.first_accepted(gone) is not None

        await until(takes_messages, "it takes messages again")
        figures.first_success_s = round(max(0.0, (made.first_accepted(gone) or back) - back), 2)
        await asyncio.sleep(AFTER_S)
    await _conclude(many, made, figures, processes)
    assert {status for _, status in made.failures()} <= {503}, made.failures()
    await settled(many, made)
    return figures


async def _conclude(many: ManyProcesses, made: Traffic, figures: Figures, processes: dict[str, int]) -> None:
    """Count, repeat what was not answered, and look that each post is one message."""
    figures.posts, figures.accepted = len(made.posted), len(made.accepted)
    figures.refused = {f"{what} {status}": count for (what, status), count in made.failures().items()}
    figures.started_again = [name for name, pid in many.run()["pids"].items() if processes[name] != pid]
    stored = dict(await asyncio.to_thread(many.query, STORED))
    accepted = dict(made.accepted)
    assert not [each for each, message_id in accepted.items() if stored.get(each) != message_id]
    figures.recovered = len(set(made.posted) & set(stored)) - len(accepted)
    refused = made.failures()
    await made.repeat_unanswered()
    assert made.failures() == refused, "what is posted again is accepted"
    assert not [each for each in made.posted if made.accepted[each] != stored.get(each, made.accepted[each])]
    assert await asyncio.to_thread(many.query, TWICE) == []


def main() -> None:
    """Start a gateway of its own, have the engine go away, print the figures as JSON."""
    parser = argparse.ArgumentParser(description="What becomes of the gateway while an engine is away.")
    parser.add_argument("engine", choices=("kafka", "postgresql"))
    parser.add_argument("--seconds", type=float, default=600.0, help="how long it is away")
    parser.add_argument("--posts-per-second", type=float, default=POSTS_PER_S)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="infinireach-outage-") as folder:
        figures = asyncio.run(_run(options, ManyProcesses(Path(folder))))
    sys.stdout.write(json.dumps(asdict(figures), indent=2) + "\n")


async def _run(options: argparse.Namespace, many: ManyProcesses) -> Figures:
    try:
        await many.start()
        if options.engine == "postgresql":
            return await postgresql_away(many, away_s=options.seconds, per_s=options.posts_per_second)
        async with WebhookReceiver() as receiver:
            receiver.respond_with(Reply(200))
            return await kafka_away(many, receiver, away_s=options.seconds, per_s=options.posts_per_second)
    finally:
        await many.remove()


if __name__ == "__main__":
    main()
