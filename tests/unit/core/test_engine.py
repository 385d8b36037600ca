"""The store: what waits together is committed together, and each transaction still stands alone."""

import asyncio
import multiprocessing
import sqlite3
import threading
from collections.abc import Generator
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from core.errors import Unavailable
from core.store import sqlite as sqlite_module
from core.store.databases import make_engine, open_store
from core.store.engine import Store
from core.store.rows import TenantRow
from core.store.sqlite import JOBS_PER_COMMIT_MAX, SqliteStore
from tests.fakes.database import file_store

PROCESS_WRITES = 40
JOIN_S_MAX = 60

tenant = TenantRow.__table__  # pyright: ignore[reportAttributeAccessIssue]


@pytest.fixture
def store(tmp_path: Path) -> Generator[Store]:
    with file_store(tmp_path) as store:
        yield store


def add(session: Session, name: str) -> str:
    session.add(TenantRow(id=f"{name:0>24}", name=name, per_minute=1, created_ms=1))
    session.flush()
    return name


def add_by_statement(session: Session, name: str) -> str:
    row = {"id": f"{name:0>24}", "name": name, "per_minute": 1, "created_ms": 1}
    session.execute(insert(tenant), [row])
    return name


def add_and_raise(session: Session, name: str) -> None:
    add(session, name)
    raise LookupError(name)


def add_without_flush(session: Session, name: str) -> None:
    session.add(TenantRow(id=f"{name:0>24}", name=name, per_minute=1, created_ms=1))


def names(session: Session) -> set[str]:
    return set(session.execute(select(tenant.c.name)).scalars()) - {"Tenant A", "Tenant B"}


def count(session: Session) -> int:
    return session.execute(select(func.count()).select_from(tenant)).scalar_one()


class HeldWriter:
    """Keeps the writer thread in a transaction, so that what is submitted meanwhile waits together."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.release = threading.Event()

    def __call__(self, session: Session) -> None:
        self.running.set()
        assert self.release.wait(30)


async def together(store: Store, *jobs: tuple[object, ...]) -> list[object]:
    """Run jobs that are certain to be waiting together; answers their results or errors."""
    held = HeldWriter()
    first = asyncio.create_task(store.run(held))
    await asyncio.to_thread(held.running.wait, 30)
    tasks = [asyncio.create_task(store.run(*job)) for job in jobs]  # pyright: ignore[reportArgumentType]
    await asyncio.sleep(0)  # each of them is submitted
    held.release.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await first
    return list(results)


async def test_the_result_is_that_of_the_function(store: Store) -> None:
    assert await store.run(add, "one") == "one"
    assert await store.read(names) == {"one"}


async def test_work_that_is_not_flushed_is_committed_too(store: Store) -> None:
    await store.run(add_without_flush, "one")
    assert await store.read(names) == {"one"}


async def test_the_result_comes_only_after_the_commit(store: Store, tmp_path: Path) -> None:
    for number in range(20):
        await store.run(add, f"n{number}")
        with sqlite3.connect(tmp_path / "test.db") as other:
            ((found,),) = other.execute("SELECT count(*) FROM tenant WHERE name = ?", [f"n{number}"])
        other.close()
        assert found == 1


async def test_what_waits_together_is_committed_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    assert isinstance(store, SqliteStore)
    commit_together = store._commit_together  # pyright: ignore[reportPrivateUsage]

    def counted(jobs: list[object]) -> None:
        batches.append(len(jobs))
        commit_together(jobs)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(store, "_commit_together", counted)
    await together(store, *((add, f"n{number}") for number in range(100)))
    assert batches == [1, JOBS_PER_COMMIT_MAX, 100 - JOBS_PER_COMMIT_MAX]
    assert await store.read(count) == 102


@pytest.mark.parametrize("failing", [add_and_raise, add_by_statement, add])
async def test_a_job_that_fails_is_rolled_back_alone(store: Store, failing: object) -> None:
    await store.run(add, "taken")
    doomed = "lost" if failing is add_and_raise else "taken"
    results = await together(store, (add, "before"), (failing, doomed), (add_by_statement, "after"))
    assert results[0] == "before"
    assert isinstance(results[1], LookupError | IntegrityError)
    assert results[2] == "after"
    assert await store.read(names) == {"taken", "before", "after"}


async def test_many_failing_jobs_do_not_disturb_those_between(store: Store) -> None:
    jobs = [(add if number % 3 else add_and_raise, f"n{number}") for number in range(60)]
    results = await together(store, *jobs)
    expected = {f"n{number}" for number in range(60) if number % 3}
    assert {result for result in results if isinstance(result, str)} == expected
    assert await store.read(names) == expected


async def test_a_statement_that_is_wrong_fails_its_own_job_only(store: Store) -> None:
    def wrong(session: Session) -> None:
        session.execute(text("SELECT no_such_column FROM tenant"))

    results = await together(store, (add, "before"), (wrong,), (add, "after"))
    assert (results[0], results[2]) == ("before", "after")
    assert isinstance(results[1], OperationalError)
    assert await store.read(names) == {"before", "after"}


async def test_a_caller_that_went_away_leaves_its_work_done(store: Store) -> None:
    held = HeldWriter()
    first = asyncio.create_task(store.run(held))
    await asyncio.to_thread(held.running.wait, 30)
    abandoned = asyncio.create_task(store.run(add, "abandoned"))
    await asyncio.sleep(0)
    abandoned.cancel()
    held.release.set()
    await first
    await store.run(add, "after")
    assert await store.read(names) == {"abandoned", "after"}


async def test_closing_finishes_what_waits(tmp_path: Path) -> None:
    with file_store(tmp_path) as store:
        held = HeldWriter()
        first = asyncio.create_task(store.run(held))
        await asyncio.to_thread(held.running.wait, 30)
        tasks = [asyncio.create_task(store.run(add, f"n{number}")) for number in range(100)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(asyncio.to_thread(store.close))
        held.release.set()
        await closing
        assert await asyncio.gather(first, *tasks) == [None, *(f"n{number}" for number in range(100))]
    with sqlite3.connect(tmp_path / "test.db") as other:
        assert other.execute("SELECT count(*) FROM tenant").fetchone() == (102,)
    other.close()


async def test_a_closed_store_is_unavailable(tmp_path: Path) -> None:
    with file_store(tmp_path) as store:
        store.close()
        with pytest.raises(Unavailable):
            await store.run(add, "late")


async def test_too_many_waiting_transactions_are_refused_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "waiting_max", 2)
    results = await together(store, (add, "one"), (add, "two"), (add, "three"))
    assert results[:2] == ["one", "two"]
    assert isinstance(results[2], Unavailable)
    assert await store.run(add, "four") == "four"
    assert await store.read(names) == {"one", "two", "four"}


async def test_a_full_disk_is_unavailable_and_passes(store: Store) -> None:
    def limit_pages(session: Session, pages: int) -> None:
        session.connection().exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def fill(session: Session) -> None:
        session.execute(insert(tenant), [
            {"id": f"f{n:023d}", "name": f"{n:0>2000}", "per_minute": 1, "created_ms": 1} for n in range(200)
        ])  # fmt: skip

    await store.run(limit_pages, 1)  # SQLite takes the present size where it is larger
    results = await together(store, (add, "beside"), (fill,))
    assert all(isinstance(result, Unavailable) for result in results)
    assert await store.read(names) == set()
    await store.run(limit_pages, 1_000_000)
    await store.run(fill)
    assert await store.run(add, "after") == "after"
    assert await store.read(count) == 203


async def test_a_database_that_another_process_holds_is_unavailable_and_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "BUSY_TIMEOUT_S", 0.05)
    with file_store(tmp_path) as store:
        other = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable):
            await store.run(add, "one")
        assert await store.read(names) == set()
        other.execute("ROLLBACK")
        other.close()
        assert await store.run(add, "one") == "one"


async def test_a_read_that_the_database_refuses_is_unavailable(store: Store) -> None:
    def refused(session: Session) -> None:
        raise OperationalError("SELECT 1", {}, sqlite3.OperationalError("disk I/O error"))

    with pytest.raises(Unavailable):
        await store.read(refused)


async def test_a_reader_does_not_wait_for_the_writer(store: Store) -> None:
    held = HeldWriter()
    first = asyncio.create_task(store.run(held))
    await asyncio.to_thread(held.running.wait, 30)
    assert await store.read(names) == set()
    held.release.set()
    await first


async def test_a_reader_sees_one_moment(store: Store) -> None:
    between = threading.Event()
    written = threading.Event()

    def twice(session: Session) -> tuple[int, int]:
        first = count(session)
        between.set()
        assert written.wait(30)
        return first, count(session)

    reading = asyncio.create_task(store.read(twice))
    await asyncio.to_thread(between.wait, 30)
    await store.run(add, "one")
    written.set()
    first, second = await reading
    assert first == second


def write_many(url: str, prefix: str) -> None:
    """What a second process does."""

    async def write() -> None:
        store = open_store(url)
        try:
            await asyncio.gather(*(store.run(add, f"{prefix}{number}") for number in range(PROCESS_WRITES)))
        finally:
            store.close()

    asyncio.run(write())


async def test_two_processes_write_to_one_file(store: Store, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/test.db"
    process = multiprocessing.get_context("spawn").Process(target=write_many, args=(url, "there-"))
    process.start()
    for number in range(PROCESS_WRITES):
        await store.run(add, f"here-{number}")
    await asyncio.to_thread(process.join, JOIN_S_MAX)
    assert process.exitcode == 0
    assert await store.read(names) == {
        f"{place}-{number}" for place in ("here", "there") for number in range(PROCESS_WRITES)
    }


def test_every_connection_waits_for_the_disk_and_checks_references(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/deep/er/test.db", immediate=True)
    with engine.connect() as connection:
        found = {
            pragma: connection.exec_driver_sql(f"PRAGMA {pragma}").scalar_one()
            for pragma in ("journal_mode", "synchronous", "foreign_keys")
        }
    engine.dispose()
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_database_of_another_kind_is_refused_with_its_name() -> None:
    with pytest.raises(Unavailable, match="mysql database is not supported"):
        make_engine("mysql://somewhere/db", immediate=True)
