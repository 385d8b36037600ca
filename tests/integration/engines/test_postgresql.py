"""Who may use the PostgreSQL of `make engines`: whoever knows the password, and only as an ordinary owner."""

import os
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from tests.fakes.postgresql import shared_cluster
from tools.engines.ports import HOST, free_port
from tools.engines.postgresql import OWNER, USER, Postgresql
from tools.engines.processes import EngineFailed


@pytest.fixture
def closed(tmp_path: Path) -> Generator[Postgresql]:
    """A running cluster in a folder through which nobody but its owner can pass."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    cluster = Postgresql(folder / "postgresql", free_port())
    cluster.start()
    yield cluster
    cluster.remove()


@pytest.mark.parametrize("user", [USER, OWNER])
@pytest.mark.parametrize("password", ["", "guessed"])
def test_nobody_connects_without_the_password(user: str, password: str) -> None:
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(
            host=HOST, port=shared_cluster().port, user=user, password=password, dbname="postgres"
        )


def test_only_its_owner_reads_the_password() -> None:
    file = shared_cluster().password_file
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_uid == os.geteuid()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_read_file('/etc/hostname')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "CREATE ROLE another",
        "SELECT rolpassword FROM pg_authid",
    ],
)
def test_the_role_of_the_gateway_is_an_ordinary_owner(statement: str) -> None:
    with (
        psycopg.connect(shared_cluster().create_database("owned")) as connection,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        connection.execute(statement.encode())


def test_it_may_lie_where_its_user_cannot_pass_and_has_no_right_to_read_there(closed: Postgresql) -> None:
    status = Path(f"/proc/{closed.pid}/status").read_text(encoding="ascii")
    rights = dict(line.split(":\t", 1) for line in status.splitlines())
    assert int(rights["Uid"].split("\t")[0]) != 0
    assert {rights[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}


def test_what_is_in_it_is_there_after_a_restart(closed: Postgresql) -> None:
    with psycopg.connect(closed.create_database("kept")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS value")
    closed.stop()
    closed.start()
    with psycopg.connect(closed.create_database("kept")) as connection:
        assert connection.execute("SELECT value FROM kept").fetchall() == [(7,)]


def test_one_that_was_open_to_everybody_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "postgresql" / "data").mkdir(parents=True)
    cluster = Postgresql(tmp_path / "postgresql", free_port())
    with pytest.raises(EngineFailed, match="to have it made anew"):
        cluster.start()
    assert (tmp_path / "postgresql" / "data").exists()
