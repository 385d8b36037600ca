"""Webhook delivery, measured: throughput and its cost, latency from commit to first byte, isolation.

Prints numbers and asserts none. Everything runs on this machine: the receiver is a process of its own. The figures
are of the delivery alone: database, relay, fan-out and deliverer in one process, no gateway around them.

    python -m bench.delivery throughput --deliveries 20000
    python -m bench.delivery latency
    python -m bench.delivery isolation

`--database postgresql` has it on a PostgreSQL cluster of its own.
"""

import argparse
import asyncio
import contextlib
import cProfile
import pstats
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy.orm import Session

from bench.options import DATABASES, Database
from core.clock import SystemClock
from core.delivery.deliverer import Deliverer
from core.delivery.egress import EgressPolicy
from core.delivery.fanout import fan_out
from core.delivery.metrics import DeliveryMetrics
from core.delivery.resolver import system_lookup
from core.delivery.scheduler import Limits
from core.delivery.sender import WebhookSender, verifying_tls_context
from core.delivery.signing import new_secret
from core.eventlog.embedded import EmbeddedLog
from core.eventlog.metrics import RelayMetrics
from core.eventlog.relay import Relay
from core.events import append, mark_published, new_event, read_outbox
from core.ids import new_id
from core.logs import configure
from core.store.databases import make_engine, open_store
from core.store.engine import Store
from core.store.rows import SCHEMA, TenantRow, WebhookRow
from tools.engines.ports import free_port
from tools.engines.postgresql import Postgresql

CLOCK = SystemClock()
EVENT_TYPE = "message.delivered"
BODY_CHARACTERS = 140


@dataclass
class Stage:
    """A database with endpoints, and the process that receives for them."""

    store: Store
    deliverer: Deliverer
    sink: subprocess.Popen[str]
    webhooks: list[str]

    def received(self) -> list[tuple[int, str, str]]:
        """Stop the receiver; arrival in nanoseconds, path and event of every request."""
        text, _ = self.sink.communicate("")
        rows = (line.split() for line in text.splitlines())
        return [(int(began_ns), path, event_id) for began_ns, path, event_id in rows]


@contextlib.asynccontextmanager
async def staged(
    database: Database, *, endpoints: int, tenants: int, hanging: int = 0, slots: int = 64
) -> AsyncGenerator[Stage]:
    """Endpoint 0 to `endpoints` - 1, spread over `tenants`; the first `hanging` of them never answer."""
    command = [sys.executable, "-m", "bench.webhook_sink"]
    sink = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    assert sink.stdout is not None
    port = int(sink.stdout.readline())
    with _database(database) as url:
        webhooks = _seed(url, port, endpoints=endpoints, tenants=tenants, hanging=hanging)
        store = open_store(url)
        policy = EgressPolicy(allow_http=True, allow_loopback=True, allow_unprivileged_ports=True)
        tls = verifying_tls_context()
        async with WebhookSender(policy, tls=tls, lookup=system_lookup, clock=CLOCK) as sender:
            deliverer = Deliverer(
                store,
                sender,
                open_secrets=lambda endpoint: [endpoint.secret.decode()],
                clock=CLOCK,
                limits=Limits(slots=slots, per_endpoint=4),
                poll_s=5.0,
                metrics=DeliveryMetrics(CollectorRegistry()),
            )
            try:
                yield Stage(store, deliverer, sink, webhooks)
            finally:
                await deliverer.stop(0.5)
                store.close()
                sink.kill()
                sink.wait()


@contextlib.contextmanager
def _database(database: Database) -> Generator[str]:
    """The URL of an empty database."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        if database == "sqlite":
            yield f"sqlite:///{folder}/bench.db"
            return
        cluster = Postgresql(Path(folder) / "postgresql", free_port())
        cluster.start()
        stack.callback(cluster.remove)
        yield cluster.create_database("bench")


def _seed(url: str, port: int, *, endpoints: int, tenants: int, hanging: int) -> list[str]:
    engine = make_engine(url, immediate=True)
    webhooks = []
    with engine.begin() as connection, Session(connection) as session:
        SCHEMA.create_all(connection)
        for number in range(tenants):
            session.add(TenantRow(id=f"{number:024x}", name=f"Tenant {number}", per_minute=1, created_ms=0))
        session.flush()
        for number in range(endpoints):
            kind = "hang" if number < hanging else "hook"
            webhook = WebhookRow(
                id=f"{number:024x}",
                tenant_id=f"{number % tenants:024x}",
                url=f"http://127.0.0.1:{port}/{kind}/{number}",
                events=EVENT_TYPE,
                timeout_s=10,
                ordered=False,
                secret=new_secret().encode(),
                created_ms=0,
                updated_ms=0,
            )
            webhooks.append(webhook.id)
            session.add(webhook)
        session.flush()
    engine.dispose()
    return webhooks


def _event(tenant: int) -> dict[str, Any]:
    now_ms = CLOCK.now_ms()
    message_id = new_id(now_ms)
    data = {"messageId": message_id, "direction": "outbound", "from": "+15550100", "to": "+15550101",
            "body": "x" * BODY_CHARACTERS, "status": "delivered", "sequence": 2, "segments": 1}  # fmt: skip
    return new_event(EVENT_TYPE, tenant_id=f"{tenant:024x}", at_ms=now_ms, data=data, message_id=message_id)


def _publish_all(session: Session) -> int:
    """Give every event its deliveries at once, for a backlog; answers how many events."""
    count = 0
    while events := read_outbox(session, frozenset(), 500).events:
        fan_out(session, events, CLOCK.now_ms())
        mark_published(session, [event.id for event in events])
        count += len(events)
    return count


def _quantile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _spread(values: list[float]) -> dict[str, float]:
    """Quantiles in milliseconds."""
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
    return {
        "n": len(values),
        **{name: round(_quantile(values, share), 1) for name, share in shares.items()},
        "max": round(max(values), 1),
    }


async def throughput(options: argparse.Namespace) -> dict[str, Any]:
    """Drain a backlog as fast as it goes."""
    count, endpoints = options.deliveries, options.endpoints
    async with staged(options.database, endpoints=endpoints, tenants=endpoints, slots=options.slots) as stage:
        for start in range(0, count, 500):
            rows = [_event(number % endpoints) for number in range(start, min(count, start + 500))]
            await stage.store.run(append, rows)
        began_s, began_cpu_s = time.monotonic(), time.process_time()
        await stage.store.run(_publish_all)
        fan_out_s, fan_out_cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
        began_s, began_cpu_s, began_writer_s = time.monotonic(), time.process_time(), _writer_cpu_s()
        with _profiled(options.profile):
            run = asyncio.create_task(stage.deliverer.run())
            while await stage.store.read(_pending):  # noqa: ASYNC110 - looked at from outside
                await asyncio.sleep(0.1)
        seconds, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
        writer_s = _writer_cpu_s() - began_writer_s
        await stage.deliverer.stop(1.0)
        await run
        received = stage.received()
    return {
        "fanned out per second": round(count / fan_out_s),
        "CPU for each, µs": round(fan_out_cpu_s / count * 1e6),
        "delivered per second": round(count / seconds),
        "CPU for each delivery, µs": round(cpu_s / count * 1e6),
        "of which in the database's threads, µs": round(writer_s / count * 1e6),
        "memory at most, MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "requests received": len(received),
        "distinct events received": len({event_id for _, _, event_id in received}),
    }


def _pending(session: Session) -> bool:
    query = "SELECT 1 FROM delivery WHERE state = 'pending' LIMIT 1"
    return session.connection().exec_driver_sql(query).first() is not None


def _writer_cpu_s() -> float:
    writers = [thread.ident for thread in threading.enumerate() if thread.name.startswith("store-write")]
    return sum(time.clock_gettime(time.pthread_getcpuclockid(ident)) for ident in writers if ident)


@contextlib.contextmanager
def _profiled(wanted: bool) -> Generator[None]:
    profile = cProfile.Profile()
    if wanted:
        profile.enable()
    yield
    if wanted:
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)


async def latency(options: argparse.Namespace) -> dict[str, Any]:
    """Events at a steady rate; from the return of their commit to the first byte at the receiver."""
    async with staged(options.database, endpoints=options.endpoints, tenants=options.endpoints) as stage:
        rates = [options.rate / options.endpoints] * options.endpoints
        samples = await _load(stage, rates, options.seconds)
    return {"commit to first byte, ms": _spread([ms for _, ms in samples])}


async def isolation(options: argparse.Namespace) -> dict[str, Any]:
    """The same load with and without an endpoint that hangs and gets ten times the traffic of any other, in turns."""
    rate, count = options.rate / options.endpoints, options.endpoints
    healthy: dict[int, list[float]] = {0: [], 1: []}
    for hanging in (0, 1) * options.rounds:
        async with staged(options.database, endpoints=count, tenants=count, hanging=hanging) as stage:
            rates = [rate * 10 * hanging if number == 0 else rate for number in range(count)]
            samples = await _load(stage, rates, options.seconds)
        healthy[hanging] += [ms for path, ms in samples if path.startswith("/hook/") and path != "/hook/0"]
    return {"all healthy, ms": _spread(healthy[0]), "one hangs, the others, ms": _spread(healthy[1])}


async def _load(stage: Stage, rates: list[float], seconds: float) -> list[tuple[str, float]]:
    """Commit events of each endpoint's tenant at its rate, at random times; path and latency of each first byte."""
    log = EmbeddedLog(stage.store, CLOCK, fan_out=fan_out, on_due=stage.deliverer.published)
    relay = Relay(stage.store, log, RelayMetrics(CollectorRegistry()))
    committed_ns: dict[str, int] = {}

    async def emit(tenant: int) -> None:
        row = _event(tenant)
        await stage.store.run(append, [row])
        committed_ns[row["id"]] = time.monotonic_ns()
        relay.wake()

    delivering = asyncio.create_task(stage.deliverer.run())
    relaying = asyncio.create_task(relay.run())
    await asyncio.sleep(0.5)
    await _at_random_times(rates, seconds, emit)
    await asyncio.sleep(2.0)
    await stage.deliverer.stop(0.2)
    await delivering
    relaying.cancel()
    await asyncio.wait([relaying])
    first: dict[str, tuple[str, float]] = {}
    for began_ns, path, event_id in stage.received():
        first.setdefault(event_id, (path, (began_ns - committed_ns[event_id]) / 1e6))
    return list(first.values())


async def _at_random_times(rates: list[float], seconds: float, emit: Callable[[int], Any]) -> None:
    rng = random.Random(1)
    total, began_s, at_s = sum(rates), time.monotonic(), 0.0
    async with asyncio.TaskGroup() as group:
        while (at_s := at_s + rng.expovariate(total)) < seconds:
            await asyncio.sleep(max(0.0, began_s + at_s - time.monotonic()))
            (tenant,) = rng.choices(range(len(rates)), rates)
            group.create_task(emit(tenant))


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=MEASUREMENTS)
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    parser.add_argument("--deliveries", type=int, default=20_000)
    parser.add_argument("--endpoints", type=int, default=50)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--rate", type=float, default=100.0, help="events per second over all endpoints")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    configure("bench", level="warning", form="console")
    for name, value in asyncio.run(MEASUREMENTS[options.what](options)).items():
        print(f"{name:40} {value}")


MEASUREMENTS = {"throughput": throughput, "latency": latency, "isolation": isolation}

if __name__ == "__main__":
    main()
