"""Roles as processes: how they begin, how they are refused, how they end."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from core.cli.roles import drivers, fakes
from core.cli.supervisor.ports import free_port
from core.cli.supervisor.readiness import grpc_health
from core.store import migrate
from core.store.databases import make_engine
from core.vault import new_key_line
from tests.fakes.command_line import infinireach
from tests.fakes.postgresql import Cluster

BOUND_S = 30.0


@contextmanager
def process(*arguments: str, var: Path, **settings: str) -> Generator[subprocess.Popen[str]]:
    """A role that runs while the block does, on free ports unless told otherwise."""
    environment = {**os.environ, "INFINIREACH_VAR": str(var), "INFINIREACH_METRICS_PORT": "0", **settings}
    started = subprocess.Popen(
        [sys.executable, "-P", "-m", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.communicate(timeout=BOUND_S)


def ends(role: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit status and everything it said."""
    said, _ = role.communicate(timeout=BOUND_S)
    return role.returncode, said


def says(role: subprocess.Popen[str], words: str) -> str:
    """Everything up to the line with these words."""
    assert role.stdout
    lines: list[str] = []
    for line in role.stdout:
        lines.append(line)
        if words in line:
            return "".join(lines)
    raise AssertionError(f"it ended without saying {words}:\n{''.join(lines)}")


@pytest.mark.parametrize("module", [["core"], ["core.cli.main", "core"]])
def test_the_core_serves_until_it_is_told_to_stop(tmp_path: Path, module: list[str]) -> None:
    port = free_port("127.0.0.1")
    with process(*module, var=tmp_path, INFINIREACH_GRPC_PORT=str(port)) as core:
        said = says(core, "core.ready")
        assert '"profile":"development"' in said
        assert grpc_health(f"127.0.0.1:{port}") == "SERVING"
        core.send_signal(signal.SIGTERM)
        assert ends(core)[0] == 0


def test_a_core_whose_port_is_taken_says_so_and_ends(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with process("core", var=tmp_path, INFINIREACH_GRPC_PORT=port) as core:
            status, said = ends(core)
    assert status == 1
    assert port in said.splitlines()[-1]
    assert "Traceback" not in said


def test_a_core_with_faulty_settings_names_them_and_ends(tmp_path: Path) -> None:
    with process("core", var=tmp_path, INFINIREACH_GRPC_PORT="x", INFINIREACH_LEASE_S="1") as core:
        status, said = ends(core)
    assert status == 2
    assert "INFINIREACH_GRPC_PORT" in said
    assert "INFINIREACH_LEASE_S" in said


@pytest.mark.parametrize("role", ["relay", "deliver"])
def test_relay_and_deliver_run_apart_until_they_are_told_to_stop(tmp_path: Path, role: str) -> None:
    migrate.migrate(f"sqlite:///{tmp_path}/infinireach.db")
    with process("core.cli.main", role, var=tmp_path) as apart:
        says(apart, "egress.development")
        apart.send_signal(signal.SIGTERM)
        status, said = ends(apart)
    assert status in {0, -signal.SIGTERM}, said


def test_the_rest_facade_takes_the_place_of_its_command(tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    with process("core.cli.main", "rest", var=tmp_path, INFINIREACH_REST_PORT=str(port)) as rest:
        says(rest, "rest.ready")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=BOUND_S)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()
        assert b"rest_facade" in Path(f"/proc/{rest.pid}/cmdline").read_bytes()
        rest.send_signal(signal.SIGTERM)
        assert ends(rest)[0] == 0


def test_a_driver_takes_the_token_of_up_from_the_data_folder(tmp_path: Path) -> None:
    with process("core.cli.main", "driver", "simulated", var=tmp_path) as driver:
        status, said = ends(driver)
    assert status == 2
    assert "INFINIREACH_DRIVER_TOKEN" in said
    (tmp_path / "driver.token").write_text("ird_x\n")
    with process("core.cli.main", "driver", "simulated", var=tmp_path) as driver:
        says(driver, "driver.started")
        driver.send_signal(signal.SIGTERM)
        assert ends(driver)[0] == 0


def test_the_drivers_of_the_installation_are_listed() -> None:
    assert "simulated" in drivers()
    assert infinireach("driver").out.splitlines() == drivers()
    finished = infinireach("driver", "fax")
    assert finished.status == 1
    assert finished.err.startswith("There is no driver fax. There are: ")


def test_the_fakes_of_the_installation_are_listed() -> None:
    assert infinireach("fake").out.split() == list(fakes())
    finished = infinireach("fake", "radio")
    assert finished.status == 1
    assert finished.err.startswith("There is no fake radio. There are: ")


def test_each_fake_takes_the_place_of_its_command(tmp_path: Path) -> None:
    for name in fakes():
        with process("core.cli.main", "fake", name, "--help", var=tmp_path) as fake:
            status, said = ends(fake)
        assert (status, f"infinireach fake {name}" in said) == (0, True), said


@pytest.mark.parametrize("name", ["INTERNAL_PORT", "TLS_CERT_FILE"])
def test_up_is_for_one_machine_without_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("INFINIREACH_VAR", str(tmp_path))
    monkeypatch.setenv(f"INFINIREACH_{name}", "50052")
    monkeypatch.setenv("INFINIREACH_TLS_KEY_FILE", "50052" if name == "TLS_CERT_FILE" else "")
    refused = infinireach("up")
    assert refused.status == 1
    assert f"INFINIREACH_{name}" in refused.err


@pytest.fixture
def cluster() -> Generator[Cluster]:
    cluster = Cluster(is_durable=False)
    yield cluster
    cluster.remove()


def say_it_is_of_the_first_release(url: str) -> None:
    engine = make_engine(url, immediate=False)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    engine.dispose()


@pytest.mark.parametrize("is_current", [True, False])
def test_a_database_that_is_away_at_the_start_is_checked_when_it_answers(
    tmp_path: Path, cluster: Cluster, *, is_current: bool
) -> None:
    url = cluster.create_database("reach")
    migrate.migrate(url)
    if not is_current:
        say_it_is_of_the_first_release(url)
    cluster.stop("fast")
    keys = tmp_path / "master.key"
    keys.touch(0o600)
    keys.write_text(f"{new_key_line()}\n", encoding="ascii")
    with process("core.cli.main", "relay", var=tmp_path, INFINIREACH_DATABASE_URL=url) as relay:
        says(relay, "schema.unchecked")
        cluster.start()
        if is_current:
            says(relay, "schema.checked")
            relay.send_signal(signal.SIGTERM)
        status, said = ends(relay)
    if is_current:
        assert status == 0
    else:
        assert (status, "Traceback" in said) == (1, False)
        assert "SchemaTooOld" in said.splitlines()[-1]
