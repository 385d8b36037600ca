"""Composition root: the only module that names adapters. Builds the roles and owns the order of start and stop.

Start: database, log, services, port. Stop: no new work, drivers drained, port closed, deliveries finished, database
closed. What a stop breaks off is in the database and goes on at the next start.
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from prometheus_client import REGISTRY, Counter, start_http_server

from core.api.server import GrpcServers, Means, listeners
from core.clock import SystemClock
from core.config import Settings
from core.delivery.backlogs import settle_switched
from core.delivery.claims import Endpoint
from core.delivery.deliverer import Deliverer
from core.delivery.egress import EgressPolicy
from core.delivery.fanout import fan_out
from core.delivery.metrics import DeliveryMetrics
from core.delivery.news import News
from core.delivery.resolver import system_lookup
from core.delivery.scheduler import Limits
from core.delivery.sender import WebhookSender, verifying_tls_context
from core.delivery.signer import OpenSecrets
from core.errors import InfiniReachError, Unavailable
from core.eventlog.embedded import EmbeddedLog
from core.eventlog.kafka.cluster import Cluster, Sasl, Tls
from core.eventlog.kafka.consumer import KafkaConsumer
from core.eventlog.kafka.metrics import KafkaMetrics
from core.eventlog.kafka.producer import KafkaLog, Producer
from core.eventlog.lease import RelayLease
from core.eventlog.metrics import RelayMetrics
from core.eventlog.port import EventLog
from core.eventlog.relay import Relay
from core.retention import Retention
from core.sessions.applier import FactApplier
from core.sessions.dispatcher import Dispatcher
from core.sessions.heap import Heap
from core.sessions.lifecycle import Lifecycle
from core.sessions.protocol import SessionLimits
from core.sessions.pruner import Pruner
from core.sessions.registry import Registry
from core.sessions.session import SessionDependencies
from core.sessions.sweeper import Sweeper
from core.store.databases import open_store
from core.store.engine import Store
from core.store.hints import Hints, OnHint, Subject
from core.store.migrate import migrate
from core.store.postgresql import PostgresqlStore
from core.store.schema_check import SchemaCheck
from core.vault import Vault
from core.webhooks import open_secret

log = structlog.get_logger()


async def serve_core(settings: Settings) -> None:
    """Serve gRPC, and publish and deliver as the settings say, until SIGTERM or SIGINT.

    Raises AddressTaken, CertificateFilesUnusable and CredentialError before it is ready; SchemaTooOld and SchemaTooNew
    also later, if the database was away then.
    """
    if settings.embedded:
        migrate(settings.database_url, contract=True)
    async with _resources(settings, delivers=settings.deliver_embedded) as parts:
        sessions = _sessions(parts)
        servers = GrpcServers(_means(parts, sessions))
        try:
            await servers.start()
        except BaseException:
            await servers.abort()
            raise
        sweeper = _sweeper(parts, sessions)
        loops = [
            sessions.lifecycle.run(), sessions.applier.run(), sessions.dispatcher.run(), sweeper.run(),
            _pruner(parts).run(), Heap(sessions.registry).run(),
        ]  # fmt: skip
        heard: dict[Subject, OnHint] = {Subject.QUEUED: sessions.dispatcher.hint}
        if settings.relay_embedded:
            loops.append(parts.relay.run())
            heard[Subject.EVENTS] = parts.relay.hear
        if settings.deliver_embedded:
            loops += parts.delivering()
            heard |= parts.heard_by_deliverer()
        loops += parts.common(heard)

        async def stop(hurry: asyncio.Event) -> None:
            await servers.say_stopping()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(hurry.wait(), settings.stop_delay_s)
            sessions.dispatcher.stop()
            await _drain_drivers(sessions.registry, settings.drain_grace_s)
            await servers.stop()
            await parts.deliverer.stop(settings.drain_grace_s)

        if not settings.internal_port and not settings.is_credential_public:
            log.warning("core.no_facades", remedy="set INFINIREACH_INTERNAL_PORT; see docs/tls.md")
        public, *internal = (listener.address for listener in listeners(settings))
        log.info("core.ready", grpc=public, internal=internal)
        try:
            await _run_until_told(loops, stop)
        finally:
            await servers.abort()  # a loop failed: whoever keeps this process running starts it again


async def serve_relay(settings: Settings) -> None:
    """Publish events until SIGTERM or SIGINT; without Kafka that fans them out too."""
    async with _resources(settings, delivers=False) as parts:
        loops = [parts.relay.run(), *parts.common({Subject.EVENTS: parts.relay.hear})]
        await _run_until_told(loops, _nothing)


async def serve_deliver(settings: Settings) -> None:
    """Deliver webhooks, with Kafka fan out what comes from there, until SIGTERM or SIGINT."""
    async with _resources(settings, delivers=True) as parts:
        loops = [*parts.delivering(), *parts.common(parts.heard_by_deliverer())]
        await _run_until_told(loops, lambda _: parts.deliverer.stop(settings.drain_grace_s))


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the roles are made of."""

    settings: Settings
    store: Store
    clock: SystemClock
    vault: Vault
    policy: EgressPolicy
    sender: WebhookSender
    relay: Relay
    deliverer: Deliverer
    news: News
    """For whoever delivers, which may be others."""
    consumer: KafkaConsumer | None
    hints: Hints | None
    """Between processes; none where one database file is all."""
    schema: SchemaCheck

    def delivering(self) -> list[Coroutine[Any, Any, None]]:
        """The loops of a process that delivers."""
        return [self.deliverer.run(), *([self.consumer.run()] if self.consumer else [])]

    def heard_by_deliverer(self) -> dict[Subject, OnHint]:
        """What a process that delivers listens to."""
        return {Subject.DUE: self.deliverer.published, Subject.CHANGED: self.deliverer.wake}

    def common(self, heard: dict[Subject, OnHint]) -> list[Coroutine[Any, Any, None]]:
        """The loops of every process: it tells others what they may have to do, and hears what it may have to.

        A database that was away at the start is waited for by everyone who asks it; its schema is checked afterwards.
        """
        loops: list[Coroutine[Any, Any, None]] = [self.hints.run(heard)] if self.hints else []
        return loops if self.schema.is_done else [*loops, self.schema.run()]


async def _run_until_told(
    loops: Sequence[Coroutine[Any, Any, None]], stop: Callable[[asyncio.Event], Awaitable[None]]
) -> None:
    """Run loops until a signal; then `stop`, then cancel what still runs. A loop that fails ends the process.

    `stop` is given what a second signal sets: it need not be polite any more.
    """
    told, hurry = asyncio.Event(), asyncio.Event()

    def note() -> None:
        (hurry if told.is_set() else told).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, note)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(loop, name=loop.__qualname__) for loop in loops]
            await told.wait()
            log.info("core.stopping")
            await stop(hurry)
            for task in tasks:
                task.cancel()
    except ExceptionGroup as ended:
        if len(ended.exceptions) == 1 and isinstance(ended.exceptions[0], InfiniReachError):
            raise ended.exceptions[0] from None  # what an operator can mend
        raise
    log.info("core.stopped")


async def _nothing(_hurry: asyncio.Event) -> None:
    pass


@contextlib.asynccontextmanager
async def _resources(settings: Settings, *, delivers: bool) -> AsyncGenerator[_Parts]:
    schema = SchemaCheck(settings.database_url)
    schema.try_now()
    clock = SystemClock()
    store = open_store(settings.database_url)
    metrics, metrics_thread = start_http_server(settings.metrics_port, settings.metrics_host)
    policy = _egress_policy(settings)
    try:
        vault = Vault.load(settings.master_key_file, create=settings.embedded)
        tls = verifying_tls_context()
        async with WebhookSender(policy, tls=tls, lookup=system_lookup, clock=clock) as sender:
            deliverer = Deliverer(
                store,
                sender,
                open_secrets=_secret_opener(vault),
                clock=clock,
                limits=Limits(
                    slots=settings.delivery_concurrency, per_endpoint=settings.delivery_per_endpoint
                ),
                poll_s=settings.delivery_poll_s,
                metrics=DeliveryMetrics(REGISTRY),
                announced=lambda: relay.wake(),  # noqa: PLW0108 - it is made below
            )
            hints = Hints(store, settings.database_url) if isinstance(store, PostgresqlStore) else None
            news = _news(deliverer if delivers else None, hints)
            end = EmbeddedLog(
                store,
                clock,
                fan_out=fan_out,
                on_due=news.published,
                on_paused=partial(settle_switched, store, clock, news.changed),
            )
            async with _carried_by(settings, end) as (event_log, consumer):
                relay = _relay(store, event_log, hints)
                yield _Parts(
                    settings,
                    store,
                    clock,
                    vault,
                    policy,
                    sender,
                    relay,
                    deliverer,
                    news,
                    consumer,
                    hints,
                    schema,
                )
    finally:
        metrics.shutdown()
        metrics.server_close()
        metrics_thread.join()
        store.close()


@contextlib.asynccontextmanager
async def _carried_by(
    settings: Settings, end: EmbeddedLog
) -> AsyncGenerator[tuple[EventLog, KafkaConsumer | None]]:
    """What the relay publishes to, and what hands it to the end of the log where these are not the same."""
    if not settings.kafka_servers:
        yield end, None
        return
    cluster, metrics = kafka_cluster(settings), KafkaMetrics(REGISTRY)
    relaying, rejecting = Producer(cluster, metrics), Producer(cluster, metrics)
    try:
        yield KafkaLog(relaying, cluster.events), KafkaConsumer(cluster, end, rejecting, metrics)
    finally:
        await relaying.close()
        await rejecting.close()


def kafka_cluster(settings: Settings) -> Cluster:
    """The cluster that the settings name. Raises OSError if the file with the password cannot be read."""
    protocol = settings.kafka_security_protocol
    tls = Tls(settings.kafka_ca_file, settings.kafka_cert_file, settings.kafka_key_file)
    password = settings.kafka_password.get_secret_value()
    if protocol.startswith("SASL") and not password and settings.kafka_password_file:
        password = settings.kafka_password_file.read_text(encoding="utf-8").strip()
    return Cluster(
        servers=settings.kafka_servers,
        prefix=settings.kafka_topic_prefix,
        partitions=settings.kafka_partitions,
        replication_factor=settings.kafka_replication_factor,
        retention_hours=settings.kafka_retention_hours,
        tls=tls if protocol.endswith("SSL") else None,
        sasl=Sasl(settings.kafka_sasl_mechanism, settings.kafka_username, password)
        if protocol.startswith("SASL")
        else None,
    )


def _relay(store: Store, event_log: EventLog, hints: Hints | None) -> Relay:
    metrics = RelayMetrics(REGISTRY)
    if hints is None:
        return Relay(store, event_log, metrics)
    return Relay(store, event_log, metrics, lease=RelayLease(store, metrics), tell_others=hints.tell_events)


def _news(here: Deliverer | None, hints: Hints | None) -> News:
    if hints is None:
        return News(here)
    return News(here, tell_due=hints.tell_due, tell_changed=hints.tell_changed)


def _egress_policy(settings: Settings) -> EgressPolicy:
    networks = settings.egress_allowed_networks
    if settings.profile == "development":
        log.warning("egress.development", allowed="loopback and plain http webhook targets")
        return EgressPolicy.development(allowed_networks=networks)
    return EgressPolicy.production(allowed_networks=networks, allowed_ports=settings.egress_allowed_ports)


def _secret_opener(vault: Vault) -> OpenSecrets:
    def open_secrets(endpoint: Endpoint) -> Sequence[str]:
        return [open_secret(vault, endpoint.secret, endpoint.tenant_id, endpoint.webhook_id)]

    return open_secrets


def _sessions(parts: _Parts) -> SessionDependencies:
    settings = parts.settings
    registry = Registry()
    return SessionDependencies(
        clock=parts.clock,
        registry=registry,
        lifecycle=Lifecycle(
            parts.store, parts.clock, round(settings.lease_s * 1000), announced=parts.relay.wake
        ),
        dispatcher=Dispatcher(
            parts.store,
            registry,
            parts.clock,
            settings.claim_poll_s,
            tell_others=parts.hints.tell_queued if parts.hints else lambda _: None,
            announced=parts.relay.wake,
        ),
        applier=FactApplier(parts.store, parts.clock, parts.relay.wake),
        limits=SessionLimits(
            heartbeat_interval_s=settings.heartbeat_interval_s,
            heartbeat_timeout_s=settings.heartbeat_timeout_s,
            replay_timeout_s=settings.replay_timeout_s,
            frame_bytes_max=settings.frame_bytes_max,
            unacknowledged_facts_max=settings.unacknowledged_facts_max,
        ),
        hello_timeout_s=settings.hello_timeout_s,
    )


def _sweeper(parts: _Parts, sessions: SessionDependencies) -> Sweeper:
    return Sweeper(
        parts.store,
        parts.clock,
        registry=sessions.registry,
        dispatcher=sessions.dispatcher,
        relay=parts.relay,
        lease_s=parts.settings.lease_s,
        offline_after_s=parts.settings.device_offline_after_s,
    )


def _pruner(parts: _Parts) -> Pruner:
    settings = parts.settings
    removed = Counter("infinireach_removed_rows", "Rows removed because their time was over.", ["table"])
    return Pruner(
        parts.store,
        parts.clock,
        Retention(settings.retention_days, settings.delivery_retention_days),
        lambda table, count: removed.labels(table).inc(count),
    )


def _means(parts: _Parts, sessions: SessionDependencies) -> Means:
    return Means(
        settings=parts.settings,
        store=parts.store,
        clock=parts.clock,
        vault=parts.vault,
        policy=parts.policy,
        send=parts.sender.send,
        wake_relay=parts.relay.wake,
        wake_deliverer=parts.news.changed,
        sessions=sessions,
    )


async def _drain_drivers(registry: Registry, grace_s: float) -> None:
    """Ask drivers to leave; those that have not after the grace are cut off by the server's stop."""
    for session in registry.sessions():
        session.drain("The core is about to stop.", grace_s)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(grace_s):
            await registry.empty.wait()
    for session in registry.sessions():
        session.close(Unavailable("The core stopped; connect again."))
