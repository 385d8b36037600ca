"""What only a real PostgreSQL can do to a store: restart, lose the answer to a commit, run transactions at once."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager

import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session
from sqlmodel import col

from core.errors import OutcomeUnknown, Unavailable
from core.messages import Accepted, accept
from core.store import postgresql
from core.store.databases import open_store
from core.store.engine import Store
from core.store.migrate import migrate
from core.store.rows import MessageRow, TenantRow
from tests.core_fixtures import NOW_MS, TTL_MS, connect, new_message
from tests.fakes.database import add_tenants
from tests.fakes.postgresql import Cluster
from tests.fakes.postgresql_proxy import Fault, Proxy


@pytest.fixture(scope="module")
def cluster() -> Generator[Cluster]:
    """A durable one, which these tests stop and start."""
    cluster = Cluster(is_durable=True)
    yield cluster
    cluster.remove()


@pytest.fixture
def url(cluster: Cluster, request: pytest.FixtureRequest) -> str:
    """A database of the test's own."""
    url = cluster.create_database(request.node.name)
    migrate(url)
    return url


@asynccontextmanager
async def store_on(url: str) -> AsyncGenerator[Store]:
    store = open_store(url)
    try:
        yield store
    finally:
        await asyncio.to_thread(store.close)


def add(session: Session, name: str) -> str:
    session.add(TenantRow(id=f"{name:0>24}", name=name, per_minute=1, created_ms=1))
    session.flush()
    return name


def names(session: Session) -> list[str]:
    return sorted(session.execute(select(col(TenantRow.name))).scalars())


async def test_a_restart_of_the_server_is_survived(cluster: Cluster, url: str) -> None:
    async with store_on(url) as store:
        await store.run(add, "before")
        await asyncio.to_thread(cluster.stop, "fast")
        with pytest.raises(Unavailable):
            await store.run(add, "during")
        with pytest.raises(Unavailable):
            await store.read(names)
        await asyncio.to_thread(cluster.start)
        assert await store.read(names) == ["before"]
        assert await store.run(add, "after") == "after"
        assert await store.read(names) == ["after", "before"]


@pytest.mark.parametrize("fault", [Fault.COMMIT_UNANSWERED, Fault.COMMIT_LOST])
async def test_a_commit_without_an_answer_is_looked_up(cluster: Cluster, url: str, fault: Fault) -> None:
    runs = []

    def counted(session: Session) -> str:
        runs.append(1)
        return add(session, "one")

    async with Proxy(cluster.port) as proxy, store_on(proxy.through(url)) as store:
        await store.read(names)
        proxy.next_commit = fault
        assert await store.run(counted) == "one"
        assert proxy.next_commit is None
        assert await store.read(names) == ["one"]
    assert len(runs) == (1 if fault is Fault.COMMIT_UNANSWERED else 2)


async def test_a_commit_that_nobody_can_look_up_has_an_unknown_outcome(
    cluster: Cluster, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "FATE_S", 0.2)
    async with Proxy(cluster.port) as proxy, store_on(proxy.through(url)) as store:
        await store.read(names)
        proxy.next_commit = Fault.SERVER_GONE
        with pytest.raises(OutcomeUnknown):
            await store.run(add, "one")
        proxy.is_open = True
        assert await store.read(names) == ["one"]


async def test_one_external_id_at_the_same_time_is_one_message(url: str) -> None:
    async with store_on(url) as store:
        await store.run(add_tenants)
        await store.run(connect)
        same = [new_message(external_id="order-7")]
        results = await asyncio.gather(*(store.run(accept, same, NOW_MS, TTL_MS) for _ in range(50)))
        accepted = [result for (result,) in results if isinstance(result, Accepted)]
        assert len(accepted) == 50
        assert len({each.message_id for each in accepted}) == 1
        assert sum(each.created for each in accepted) == 1
        assert (
            await store.read(lambda session: session.scalar(select(func.count()).select_from(MessageRow)))
            == 1
        )


async def test_a_mistake_of_ours_is_raised_as_it_is_and_not_tried_again(url: str) -> None:
    runs = []

    def wrong(session: Session) -> None:
        runs.append(1)
        raise LookupError

    async with store_on(url) as store:
        with pytest.raises(LookupError):
            await store.run(wrong)
        await store.run(add, "taken")
        with pytest.raises(Exception, match="tenant"):
            await store.run(add, "taken")
    assert len(runs) == 1


POOLED = {"user", "database", "application_name", "client_encoding", "datestyle", "timezone"}
"""What a pooler such as PgBouncer lets a client set as it connects."""

SETTINGS = (
    "SELECT name, setting FROM pg_settings WHERE name IN ('synchronous_commit', 'statement_timeout', 'lock_timeout', "
    "'idle_in_transaction_session_timeout')"
)


async def test_every_connection_has_the_settings_that_the_promises_need(cluster: Cluster, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:  # the server's own say otherwise
        connection.execute(f'ALTER DATABASE "{connection.info.dbname}" SET synchronous_commit = off'.encode())

    def settings(session: Session) -> dict[str, str]:
        return {row.name: row.setting for row in session.execute(text(SETTINGS))}

    def roll_back(_session: Session) -> None:
        raise LookupError

    async with store_on(url) as store:
        with pytest.raises(LookupError):
            await store.run(roll_back)
        expected = {
            "synchronous_commit": "on",
            "statement_timeout": "30000",
            "lock_timeout": "10000",
            "idle_in_transaction_session_timeout": "60000",
        }
        assert await store.run(settings) == expected
        assert await store.read(settings) == expected


async def test_a_connection_asks_for_nothing_that_a_pooler_refuses(cluster: Cluster, url: str) -> None:
    async with Proxy(cluster.port) as proxy, store_on(proxy.through(url)) as store:
        await store.read(names)
    assert {"user", "database"} <= proxy.parameters
    assert proxy.parameters <= POOLED
