"""Upgrades of a database that is in use: the old version goes on while it is expanded, and nothing is lost."""

import asyncio
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text

from bench.filling import Shape, fill
from core.dispatch import ReadyDevice, claim
from core.message_state import Evidence
from core.messages import Accepted, accept
from core.store import migrate, online
from core.store.databases import make_engine, open_store
from core.store.rows import SCHEMA
from tests.core_fixtures import (
    NOW_MS,
    NUMBER,
    TTL_MS,
    apply,
    connect,
    device_of,
    new_message,
    next_sequence,
    offered_device,
    report,
)
from tests.fakes.database import add_tenants
from tests.fakes.postgresql import shared_cluster
from tests.fakes.releases import Releases

MESSAGES = 3_000
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)
SCALE = ["autovacuum_vacuum_scale_factor=0.02", "autovacuum_analyze_scale_factor=0.02"]
COUNTED = ("message", "timeline", "event", "delivery", "delivery_attempt", "device", "address", "webhook")


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    """A PostgreSQL database of the test's own."""
    return shared_cluster().create_database(request.node.name)


@pytest.fixture
def engine(url: str) -> Generator[Engine]:
    engine = make_engine(url, immediate=False)
    yield engine
    engine.dispose()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests need not wait as long as production does."""
    monkeypatch.setattr(migrate, "PAUSE_S", 0.05)
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT_MS", 50)
    monkeypatch.setattr(online, "BACKFILL_ROWS", 700)
    monkeypatch.setattr(online, "BACKFILL_PAUSE_S", 0.0)


def used(engine: Engine) -> dict[str, int]:
    """Fill a database; how many rows each table has then."""
    with engine.connect() as connection:
        fill(connection, Shape(MESSAGES, NOW_MS, tenants=5, queued=50))
    return counted(engine)


def counted(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            name: connection.execute(select(func.count()).select_from(SCHEMA.tables[name])).scalar_one()
            for name in COUNTED
        }


def scalar(connection: Any, query: str) -> Any:
    return connection.execute(text(query)).scalar_one()


class Load:
    """A gateway of this version at work: it accepts, claims and settles, again and again."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.sent: list[str] = []

    async def run(self, until: asyncio.Event, began: asyncio.Event) -> None:
        """Go on until told; whatever fails is raised."""
        store = open_store(self._url)
        try:
            await store.run(add_tenants)
            opened = await store.run(lambda session: connect(session, offered_device("modem-1", NUMBER)))
            ready = [ReadyDevice(device_of(opened), opened.driver_id, opened.epoch, 10)]
            while not until.is_set():
                results = await store.run(accept, [new_message()] * 10, NOW_MS, TTL_MS)
                self.sent += [each.message_id for each in results if isinstance(each, Accepted)]
                commands = (await store.run(claim, ready, NOW_MS)).commands
                assert len(commands) == 10

                def settle(session: Any, commands: Any = commands) -> None:
                    first = next_sequence(session, opened)
                    reports = [
                        report(first + n, each.command_id, Evidence.DELIVERED)
                        for n, each in enumerate(commands)
                    ]
                    apply(session, opened, *reports)

                await store.run(settle)
                began.set()
        finally:
            await asyncio.to_thread(store.close)


def write_as_the_first_release(connection: Any, name: str) -> None:
    """A driver with a device and a message, in the words of the version that knew no more columns."""
    for statement in (
        "INSERT INTO driver (id, tenant_id, name, kind, version, token_id, instance_id, journal_id, epoch,"
        " applied_sequence, connected, lease_until_ms, seen_ms, created_ms)"
        " VALUES (:name, 't', :name, 'k', '1', 't', 'i', 'j', 1, 0, false, 0, 0, 0)",
        "INSERT INTO device (id, tenant_id, driver_id, key, name, state, state_reason, remedy, pairing_payload,"
        ' enabled, "window", signal_percent, battery_percent, seen_ms, created_ms)'
        " VALUES (:name, 't', :name, 'k', 'n', 'online', '', '', '', true, 1, -1, -1, 0, 0)",
        "INSERT INTO message (id, tenant_id, direction, channel, device_id, source, destination, body, state,"
        " encoding, segments, segments_delivered, attempt, events, not_after_ms, created_ms)"
        " VALUES (:name, 't', 'outbound', 'sms', :name, '+1', '+2', 'Hi', 'queued', 'gsm7', 1, 0, 0, 0, 1, 1)",
    ):
        connection.execute(text(statement), {"name": name})


class FirstReleaseLoad(Load):
    """A gateway of the first release at work, as far as the database notices: its words, which name its own columns."""

    async def run(self, until: asyncio.Event, began: asyncio.Event) -> None:
        """Go on until told; whatever fails is raised."""
        engine = make_engine(self._url, immediate=False)
        try:
            while not until.is_set():
                name = f"first-{len(self.sent)}"
                await asyncio.to_thread(self._work, engine, name)
                self.sent.append(name)
                began.set()
        finally:
            engine.dispose()

    @staticmethod
    def _work(engine: Engine, name: str) -> None:
        with engine.begin() as connection:
            write_as_the_first_release(connection, name)
            for change in ("state = 'sending', attempt = 1", "state = 'delivered', delivered_ms = 1"):
                query = "SELECT state, body FROM message WHERE id = :name FOR UPDATE"
                assert connection.execute(text(query), {"name": name}).one().body == "Hi"
                connection.execute(text(f"UPDATE message SET {change} WHERE id = :name"), {"name": name})  # noqa: S608 - our words


async def under_load(url: str, work: Any, kind: type[Load] = Load) -> list[str]:
    """Run `work` in a thread while a gateway works; the messages that it sent."""
    load, until, began = kind(url), asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run(until, began))
        await began.wait()
        try:
            await asyncio.to_thread(work)
        finally:
            began.clear()
            await began.wait()  # it still works afterwards
            until.set()
    return load.sent


async def test_the_first_release_s_database_is_brought_to_this_version_under_load(
    url: str, engine: Engine, releases: Releases
) -> None:
    with releases.first():
        migrate.migrate(url)
    before = await asyncio.to_thread(used, engine)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO tenant VALUES ('t', 'acme', 1, 1)"))
    sent = await under_load(url, lambda: migrate.migrate(url), FirstReleaseLoad)
    assert migrate.current(url) == migrate.head()
    sent += await under_load(url, lambda: None)
    after = counted(engine)
    assert after["message"] == before["message"] + len(sent)
    assert after["delivery"] == before["delivery"]
    with engine.connect() as connection:
        assert scalar(connection, "SELECT count(*) FROM message WHERE body LIKE 'Your order %'") == MESSAGES


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_first_release_writes_on_after_contents_and_features_came(
    tmp_path: Path, releases: Releases, request: pytest.FixtureRequest, kind: str
) -> None:
    url = f"sqlite:///{tmp_path}/reach.db" if kind == "sqlite" else request.getfixturevalue("url")
    with releases.first():
        migrate.migrate(url)
    engine = make_engine(url, immediate=False)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO tenant VALUES ('t', 'acme', 1, 1)"))
        write_as_the_first_release(connection, "before")
    migrate.migrate(url)
    with engine.begin() as connection:
        write_as_the_first_release(connection, "after")
        devices = connection.execute(select(SCHEMA.tables["device"])).mappings().all()
        messages = connection.execute(select(SCHEMA.tables["message"])).mappings().all()
    engine.dispose()
    assert {row["id"]: row["features"] for row in devices} == {"before": "", "after": ""}
    added = ("content", "read_ms", "reply_to_id", "sender_name")
    assert {row["id"] for row in messages} == {"before", "after"}
    assert {row[name] for row in messages for name in added} == {None}


async def test_the_next_release_expands_while_this_one_works_and_contracts_when_told(
    url: str, engine: Engine, releases: Releases
) -> None:
    migrate.migrate(url)
    await asyncio.to_thread(used, engine)

    def expand() -> None:
        with releases.after():
            migrate.migrate(url)

    await under_load(url, expand)
    assert migrate.current(url) == releases.expanded
    migrate.check(url)  # this version works with it
    with engine.connect() as connection:
        is_valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'message_priority'::regclass"
        assert scalar(connection, is_valid)
        filled = "SELECT count(*) FROM message WHERE priority = segments + 1"
        assert scalar(connection, filled) >= MESSAGES
        connection.rollback()
    with releases.after():
        migrate.check(url)
        assert migrate.migrate(url, contract=True) == releases.expanded
        migrate.check(url)
    with releases.next():
        migrate.check(url)
    with pytest.raises(migrate.SchemaTooNew):
        migrate.check(url)


def test_a_migration_that_waits_for_a_table_keeps_nobody_waiting_behind_it(
    url: str, engine: Engine, releases: Releases
) -> None:
    migrate.migrate(url)
    used(engine)

    def expand() -> None:
        with releases.next():
            migrate.migrate(url)

    migrating = threading.Thread(target=expand)
    with engine.connect() as holder:
        scalar(holder, "SELECT count(*) FROM message")
        migrating.start()
        other = make_engine(url, immediate=False)
        with other.connect() as connection:
            while not scalar(connection, WAITING):
                connection.rollback()
            connection.execute(text("SET lock_timeout = '5s'"))
            connection.execute(text("UPDATE message SET segments = 2 WHERE state = 'queued'"))
            connection.commit()
        other.dispose()
        assert migrating.is_alive()
        holder.rollback()
    migrating.join(60)
    assert migrate.current(url) == releases.expanded


def test_a_lock_that_is_never_to_be_had_is_given_up_on(
    url: str, engine: Engine, releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate, "LOCK_ATTEMPTS_MAX", 2)
    migrate.migrate(url)
    with engine.connect() as holder, releases.next():
        scalar(holder, "SELECT count(*) FROM message")
        with pytest.raises(Exception, match="in use without a pause"):
            migrate.migrate(url)
    assert migrate.is_current(url)


def test_an_index_that_was_left_unfinished_is_made_anew(url: str, engine: Engine, releases: Releases) -> None:
    migrate.migrate(url)
    used(engine)
    with engine.connect() as connection:
        connection.execute(text("CREATE INDEX message_priority ON message (segments)"))
        connection.commit()
    with releases.next():
        migrate.migrate(url)
    with engine.connect() as connection:
        definition = scalar(
            connection, "SELECT indexdef FROM pg_indexes WHERE indexname = 'message_priority'"
        )
        assert "(priority) WHERE (priority IS NULL)" in definition


def test_processes_that_migrate_at_once_take_turns(url: str, releases: Releases) -> None:
    befores: list[str] = []
    threads = [threading.Thread(target=lambda: befores.append(migrate.migrate(url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(befores) == ["", *[migrate.head()] * 3]


def test_tables_that_grow_are_vacuumed_long_before_a_fifth_of_them_is_dead(url: str, engine: Engine) -> None:
    migrate.migrate(url)
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT relname FROM pg_class WHERE reloptions @> :set"), {"set": SCALE}
        )
        assert {row.relname for row in found} == {
            "message",
            "timeline",
            "event",
            "delivery",
            "delivery_attempt",
        }


def test_the_same_on_sqlite(tmp_path: Path, releases: Releases) -> None:
    url = f"sqlite:///{tmp_path}/reach.db"
    migrate.migrate(url)
    with releases.after():
        assert migrate.migrate(url) == migrate.revisions()[-3]
        assert migrate.current(url) == releases.expanded
        migrate.migrate(url, contract=True)
        assert migrate.current(url) == releases.contracted
    with pytest.raises(migrate.SchemaTooNew):
        migrate.migrate(url)


def test_an_empty_database_gets_everything_at_once(tmp_path: Path, releases: Releases) -> None:
    url = f"sqlite:///{tmp_path}/reach.db"
    with releases.after():
        migrate.migrate(url)
        assert migrate.current(url) == releases.contracted
