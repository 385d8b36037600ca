"""P5: what a full database costs. The same work on an empty one and on one with many messages, in turns.

    python -m bench.size --messages 10000000 --folder /srv/scratch

The database itself is measured, a PostgreSQL of its own with synchronous commits: use cases through the core's store,
without the gateway around them, which takes the same time on both and would hide a difference. A claim's transaction
is rolled back, so that each finds the same queue. Afterwards the oldest third is removed, as the core does by and by.
"""

import argparse
import asyncio
import contextlib
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from bench.__main__ import RESULTS, machine
from bench.filling import Shape, device_id, fill, settle, tenant_id, webhook_id
from bench.latency import percentiles
from core.clock import SystemClock
from core.delivery_log import DeliveryFilter, list_deliveries
from core.dispatch import ReadyDevice, claim
from core.event_feed import FeedRequest, read_feed
from core.messages import MessageFilter, NewMessage, accept, get, list_messages
from core.retention import STEPS, Retention
from core.store.databases import make_engine, open_store
from core.store.engine import Store
from core.store.migrate import migrate
from tools.engines.ports import free_port
from tools.engines.postgresql import PASSABLE, Postgresql

BATCH = 16
IN_FLIGHT = 8
ROUND_S = 10.0
ROUNDS = 3
LOOKS = 300
TTL_MS = 259_200_000
BYTES_PER_MESSAGE = 3_000
"""On disk with all that belongs to a message, and as much again for the log and for room to work."""

console = Console()


def measure(messages: int, folder: Path | None = None) -> dict[str, Any]:
    """Fill and measure; the figures. Raises SystemExit if the disk is too small."""
    with tempfile.TemporaryDirectory(prefix="infinireach-size-", dir=folder) as data:
        if shutil.disk_usage(data).free < messages * BYTES_PER_MESSAGE:
            raise SystemExit(f"{messages} messages need {messages * BYTES_PER_MESSAGE // 10**9} GB of disk")
        Path(data).chmod(PASSABLE)  # the database lies on this disk, not in the home of PostgreSQL's user
        server = Postgresql(Path(data) / "postgresql", free_port())
        server.start()
        try:
            return _measure(server, Shape(messages, SystemClock().now_ms()))
        finally:
            server.remove()


def _measure(server: Postgresql, shape: Shape) -> dict[str, Any]:
    empty, full = (server.create_database(name) for name in ("empty", "full"))
    took: dict[str, float] = {}
    for url, filled in ((empty, Shape(0, shape.now_ms)), (full, shape)):
        migrate(url)
        with _connection(url) as connection:
            began_s = time.monotonic()
            fill(connection, filled, lambda count: console.print(f"{count} messages"))
            took["fill_s"] = round(time.monotonic() - began_s, 1)
            settle(connection)
            took["vacuum_s"] = round(time.monotonic() - began_s - took["fill_s"], 1)
    with _connection(full) as connection:
        sizes = _sizes(connection)
    accepts = {name: list[float]() for name in ("empty", "full")}
    for _ in range(ROUNDS):
        for name, url in (("empty", empty), ("full", full)):
            accepts[name].append(asyncio.run(_accepts_per_s(url)))
    per_s = {name: round(statistics.median(rounds)) for name, rounds in accepts.items()}
    return {
        "messages": shape.messages,
        **took,
        "accepts_per_s": per_s,
        "full_to_empty": round(per_s["full"] / max(per_s["empty"], 1), 3),
        "looks_ms_empty": asyncio.run(_looks(empty, shape)),
        "looks_ms_full": asyncio.run(_looks(full, shape)),
        "sizes_mb": sizes,
        "removal": asyncio.run(_removal(full)),
        "raw": {name: [round(each) for each in rounds] for name, rounds in accepts.items()},
    }


@contextlib.contextmanager
def _connection(url: str) -> Any:
    engine = make_engine(url, immediate=False)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@contextlib.asynccontextmanager
async def _store(url: str) -> AsyncGenerator[Store]:
    store = open_store(url)
    try:
        yield store
    finally:
        await asyncio.to_thread(store.close)


async def _accepts_per_s(url: str) -> float:
    """Messages of all tenants accepted a second, in batches as the facade makes them."""
    count, numbers = 0, random.Random(1)

    def batch() -> list[NewMessage]:
        items = []
        for _ in range(BATCH):
            tenant, device = numbers.randrange(100), numbers.randrange(4)
            sender = f"+1666{tenant * 10 + device:07}"
            external_id = f"bench-{numbers.getrandbits(96):x}"
            items.append(
                NewMessage(tenant_id(tenant), "+17770000001", "Hello", sender, "sms", external_id=external_id)
            )
        return items

    async def keep_on(store: Store, until_s: float) -> None:
        nonlocal count
        while time.monotonic() < until_s:
            results = await store.run(accept, batch(), SystemClock().now_ms(), TTL_MS)
            count += len(results)

    async with _store(url) as store:
        await store.run(accept, batch(), SystemClock().now_ms(), TTL_MS)
        began_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(keep_on(store, began_s + ROUND_S))
        return count / (time.monotonic() - began_s)


@dataclass(frozen=True, slots=True)
class _RolledBack(Exception):
    """Ends a transaction that was only to be timed."""


async def _looks(url: str, shape: Shape) -> dict[str, Any]:
    """Percentiles of reads and of a claim, of the largest tenant and others."""
    numbers = random.Random(2)
    async with _store(url) as store:
        rows, _ = await store.read(list_messages, tenant_id(0), MessageFilter(), 1)
        newest = rows[0].id

        def claim_and_forget(session: Session) -> None:
            tenant = numbers.randrange(100)
            ready = [ReadyDevice(device_id(tenant, n), f"driver-{tenant}", 1, 3) for n in range(4)]
            claim(session, ready, shape.now_ms)
            raise _RolledBack

        async def claim_once() -> None:
            with contextlib.suppress(_RolledBack):
                await store.run(claim_and_forget)

        def tenant() -> str:
            return tenant_id(numbers.randrange(100))

        looks: dict[str, Callable[[], Any]] = {
            "get": lambda: store.read(get, tenant_id(0), newest),
            "list": lambda: store.read(list_messages, tenant(), MessageFilter(), 50),
            "list_of_a_state": lambda: store.read(
                list_messages, tenant_id(0), MessageFilter(state="unknown"), 50
            ),
            "feed": lambda: store.read(read_feed, tenant(), FeedRequest(shape.messages // 2, [], 100)),
            "deliveries": lambda: store.read(
                list_deliveries, tenant_id(0), DeliveryFilter(webhook_id(0), "dead", ""), 50
            ),
            "claim": claim_once,
        }
        return {name: await _timed(look) for name, look in looks.items()}


async def _timed(look: Callable[[], Any]) -> dict[str, float]:
    times: list[float] = []
    for _ in range(LOOKS):
        began_s = time.perf_counter()
        await look()
        times.append((time.perf_counter() - began_s) * 1000)
    return percentiles(times)


async def _removal(url: str) -> dict[str, Any]:
    """Remove the oldest third without pauses; rows a second by step, and the longest step."""
    keep = Retention(days=60, delivery_days=60)
    cutoffs = keep.cutoffs(SystemClock().now_ms())
    result: dict[str, Any] = {}
    async with _store(url) as store:
        for name, step in zip(("deliveries", "events", "messages"), STEPS[:3], strict=True):
            steps_ms: list[float] = []
            rows, after, began_s = 0, "", time.monotonic()
            while True:
                step_began_s = time.perf_counter()
                looked = await store.run(step, after, cutoffs)
                steps_ms.append((time.perf_counter() - step_began_s) * 1000)
                rows += sum(looked.removed.values())
                if not (after := looked.last):
                    break
            per_s = round(rows / (time.monotonic() - began_s))
            result[name] = {"rows": rows, "rows_per_s": per_s, "step_ms": percentiles(steps_ms)}
    with _connection(url) as connection:
        result["sizes_mb_after"] = _sizes(connection)
    return result


def _sizes(connection: Connection) -> dict[str, int]:
    query = (
        "SELECT relname, pg_total_relation_size(relid) / 1000000 FROM pg_stat_user_tables"
        " WHERE relname IN ('message', 'timeline', 'event', 'delivery', 'delivery_attempt')"
    )
    sizes = {name: int(size) for name, size in connection.execute(text(query))}
    connection.rollback()
    return sizes


def main() -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.size")
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, help="where the database lies meanwhile")
    arguments = parser.parse_args()
    result = {
        "machine": machine(),
        "measurement": "size",
        **measure(arguments.messages, arguments.folder),
    }
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-size.json"
    file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    console.print_json(json.dumps(result))
    console.print(f"Raw figures: {file}")


if __name__ == "__main__":
    main()
