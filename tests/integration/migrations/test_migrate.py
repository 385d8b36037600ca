"""Migrations: they lead to the schema of rows.py exactly, once, whoever runs them."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hatchling.builders.wheel import WheelBuilder

from core.store import migrate
from core.store.databases import make_engine
from core.store.rows import SCHEMA
from tests import repository


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a database that does not exist yet."""
    return f"sqlite:///{tmp_path}/reach.db"


def path_of(url: str) -> Path:
    """The file of a SQLite URL."""
    return Path(url.removeprefix("sqlite:///"))


def parts(body: str) -> Iterator[str]:
    """What stands between the commas of a table's definition, outside brackets and quotes."""
    depth, quoted, start = 0, False, 0
    for at, letter in enumerate(body):
        quoted ^= letter == "'"
        depth += 0 if quoted else (letter == "(") - (letter == ")")
        if letter == "," and depth == 0 and not quoted:
            yield body[start:at]
            start = at + 1
    yield body[start:]


def schema(path: Path) -> dict[tuple[str, str], list[str]]:
    """Every table and index: its definition in parts, without regard to white space and order."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'alembic_version'"
        ).fetchall()
    found: dict[tuple[str, str], list[str]] = {}
    for kind, name, sql in rows:
        head, _, body = sql.partition("(")
        definition, _, where = body.rpartition(")") if kind == "table" else (body, "", "")
        pieces = [head, *parts(definition), where]
        found[kind, name] = sorted(re.sub(r'["\s]+', " ", piece).strip() for piece in pieces)
    return found


def test_the_migrated_schema_is_the_one_of_the_rows(url: str, tmp_path: Path) -> None:
    migrate.migrate(url)
    created = make_engine(f"sqlite:///{tmp_path}/created.db", immediate=True)
    SCHEMA.create_all(created)
    created.dispose()
    assert schema(path_of(url)) == schema(tmp_path / "created.db"), (
        "write a migration: see tools/migration.py"
    )


def test_alembic_sees_no_difference_either(url: str) -> None:
    migrate.migrate(url)
    engine = make_engine(url, immediate=False)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SCHEMA) == []
    engine.dispose()


@pytest.mark.parametrize(
    ("table", "index", "same"),
    [
        (
            "CREATE TABLE t (\n  a INT,\n  CHECK (a IN ('x', 'y'))\n)",
            "CREATE INDEX i ON t (a) WHERE a = 'x'",
            True,
        ),
        ("CREATE TABLE t (a INT, CHECK (a IN ('x')))", "CREATE INDEX i ON t (a) WHERE a = 'x'", False),
        ("CREATE TABLE t (a INT, CHECK (a IN ('x', 'y')))", "CREATE INDEX i ON t (a)", False),
    ],
)
def test_the_comparison_sees_checks_and_conditions(
    tmp_path: Path, table: str, index: str, same: bool
) -> None:
    one = ("CREATE TABLE t (a INT, CHECK (a IN ('x', 'y')))", "CREATE INDEX i ON t (a) WHERE a = 'x'")
    for name, statements in {"one": one, "other": (table, index)}.items():
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            for statement in statements:
                connection.execute(statement)
    assert (schema(tmp_path / "one") == schema(tmp_path / "other")) is same


def test_a_database_that_does_not_exist_has_no_revision_and_is_not_made(url: str) -> None:
    assert migrate.current(url) == ""
    assert not migrate.is_current(url)
    assert not path_of(url).exists()


def test_a_new_database_is_its_owners_only(url: str) -> None:
    migrate.migrate(url)
    with closing(sqlite3.connect(path_of(url))) as connection:
        connection.execute("INSERT INTO tenant VALUES ('t', 'acme', 1, 1)")
        modes = {path.name: path.stat().st_mode & 0o777 for path in path_of(url).parent.glob("reach.db*")}
    assert modes == {"reach.db": 0o600, "reach.db-shm": 0o600, "reach.db-wal": 0o600}


def test_the_wheel_brings_the_migrations_along() -> None:
    builder = WheelBuilder(str(repository.ROOT))
    packed = {Path(file.distribution_path) for file in builder.recurse_included_files()}
    migrations = Path("core/store/migrations")
    wanted = {migrations / "env.py", migrations / "script.py.mako"}
    wanted |= {migrations / "versions" / path.name for path in (migrate.MIGRATIONS / "versions").glob("*.py")}
    assert len(wanted) > 2
    assert wanted <= packed


def test_migrating_again_changes_nothing(url: str) -> None:
    assert migrate.migrate(url) == ""
    before = schema(path_of(url))
    assert migrate.migrate(url) == migrate.head() == migrate.current(url)
    assert migrate.is_current(url)
    assert schema(path_of(url)) == before


def test_processes_that_migrate_at_once_all_succeed(url: str) -> None:
    program = (
        "from core.store.migrate import migrate\nprint('ready', flush=True)\nprint(repr(migrate(input())))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write(f"{url}\n")
        process.stdin.flush()
    finished = [(*process.communicate(timeout=60), process.returncode) for process in processes]
    assert [fault for _, fault, code in finished if code] == []
    assert sorted(before.strip() for before, _, _ in finished) == ["''"] + [repr(migrate.head())] * 5
    assert migrate.is_current(url)


@pytest.mark.parametrize("needs", ["9998", None])
def test_a_database_of_a_newer_version_is_left_alone_and_will_do_if_nothing_was_taken_away(
    url: str, needs: str | None
) -> None:
    migrate.migrate(url)
    with closing(sqlite3.connect(path_of(url))) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("INSERT INTO contraction VALUES ('0004', '0001')")
        if needs:
            connection.execute("INSERT INTO contraction VALUES ('9999', ?)", (needs,))
        connection.commit()
    if needs:
        with pytest.raises(migrate.SchemaTooNew, match="newer version"):
            migrate.migrate(url)
    else:
        assert migrate.migrate(url) == "9999"
    assert migrate.current(url) == "9999"
    assert migrate.is_current(url) is (needs is None)


def test_a_newer_database_that_keeps_no_record_of_what_was_taken_away_will_not_do(url: str) -> None:
    with closing(sqlite3.connect(path_of(url))) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
        connection.commit()
    with pytest.raises(migrate.SchemaTooNew):
        migrate.check(url)


def test_an_empty_database_and_one_that_lacks_something_will_not_do(url: str) -> None:
    with pytest.raises(migrate.SchemaTooOld):
        migrate.check(url)
    migrate.migrate(url)
    with closing(sqlite3.connect(path_of(url))) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()
    with pytest.raises(migrate.SchemaTooOld, match="infinireach migrate"):
        migrate.check(url)


def test_a_migration_that_fails_leaves_nothing_behind(url: str) -> None:
    with closing(sqlite3.connect(path_of(url))) as connection:
        connection.execute("CREATE TABLE webhook (in_the_way INT)")
    with pytest.raises(Exception, match="webhook"):
        migrate.migrate(url)
    assert list(schema(path_of(url))) == [("table", "webhook")]
    assert migrate.current(url) == ""


def test_revisions_are_numbered_in_one_line() -> None:
    assert migrate.revisions() == [f"{number:04d}" for number in range(1, len(migrate.revisions()) + 1)]
    assert ScriptDirectory(migrate.MIGRATIONS).get_heads() == [migrate.head()]
