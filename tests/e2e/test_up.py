"""`infinireach up` as a newcomer meets it: real processes, a first message, restarts, kills and orderly ends."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import repository

READY_S = 40.0
"""Until everything answers; some 3 s on an idle machine."""
BOUND_S = 20.0
"""For anything else that is waited for."""
STOP_S = 5.0
"""The promise: a signal ends everything within this time."""
SLACK_S = 5.0
"""What a machine that is busy with other things may add to it before a test fails."""

BRIEF = {
    "to": "+1234567890",
    "message": "Hello from Infini Reach!",
    "from": "+15559876543",
    "channel": "sms",
}


def eventually(holds: Callable[[], Any], what: str, *, within_s: float = BOUND_S) -> Any:
    """Wait until something holds, and answer it."""
    deadline = time.monotonic() + within_s
    while not (answer := holds()):
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.05)
    return answer


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    with suppress(OSError):
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    return False


@dataclass(slots=True)
class Up:
    """One run of `infinireach up`."""

    process: subprocess.Popen[str]
    var: Path
    run: dict[str, Any]

    def request(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        """One call of the REST API, as any program makes it; status 0 if nothing answers."""
        address = self.run["rest"].removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=10)
        headers = {"X-API-Key": self.run["apiKey"], "Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body).encode() if body else None, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except (OSError, http.client.HTTPException):
            return 0, {}
        finally:
            connection.close()

    def delivered(self, message_id: str) -> dict[str, Any]:
        """The message once it is delivered."""

        def look() -> dict[str, Any]:
            status, message = self.request("GET", f"/api/v1/messages/{message_id}")
            return message if status == 200 and message["status"] == "delivered" else {}

        return eventually(look, f"message {message_id} is delivered")

    def accepted(self, **more: str) -> str:
        """Post a message until it is accepted, as a client does that met an outage; its id."""
        external_id = f"test-{time.monotonic_ns()}"

        def post() -> str:
            status, answer = self.request(
                "POST", "/api/v1/messages", {**BRIEF, "externalId": external_id, **more}
            )
            return answer["messageId"] if status in {200, 201} else ""

        return eventually(post, "a message is accepted")

    def read_run(self) -> dict[str, Any]:
        """run.json as it is now."""
        with suppress(OSError):
            return json.loads((self.var / "run.json").read_text(encoding="utf-8"))
        return {}

    def stop(self) -> float:
        """SIGTERM; how many seconds it took to end."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(STOP_S + SLACK_S)
        return time.monotonic() - started


def command(*arguments: str, var: Path, **settings: str) -> tuple[list[str], dict[str, str]]:
    """The command line and environment of `infinireach`; ports are free ones unless `settings` say otherwise."""
    ports = {f"INFINIREACH_{name}_PORT": "0" for name in ("REST", "GRPC", "METRICS")}
    return [sys.executable, "-P", "-m", "core.cli.main", *arguments], {
        **os.environ,
        **ports,
        "INFINIREACH_VAR": str(var),
        **settings,
    }


def infinireach(*arguments: str, var: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    line, environment = command(*arguments, var=var, **settings)
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def up(var: Path, *options: str, **settings: str) -> Generator[Up]:
    """Start everything, wait until it is ready, and leave nothing behind."""
    line, environment = command("up", *options, var=var, **settings)
    with (var.parent / "up.out").open("w+") as output:
        process = subprocess.Popen(
            line, env=environment, stdout=output, stderr=subprocess.STDOUT, text=True, cwd=var.parent
        )
        started = Up(process, var, {})
        try:
            eventually(
                lambda: started.read_run() or process.poll() is not None, "it is ready", within_s=READY_S
            )
            started.run = started.read_run()
            output.seek(0)
            assert started.run, output.read()
            yield started
        finally:
            process.terminate()
            try:
                process.wait(STOP_S + SLACK_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(BOUND_S)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Generator[Up]:
    """A gateway that the tests of this module share."""
    with up(tmp_path_factory.mktemp("gateway") / "var") as started:
        yield started


def test_the_briefs_first_message_is_accepted_and_delivered(gateway: Up) -> None:
    status, answer = gateway.request("POST", "/api/v1/messages", BRIEF)
    assert status == 201
    assert list(answer) == ["success", "queued", "messageId", "jobId"]
    assert answer["success"] is True
    assert answer["queued"] is True
    assert answer["jobId"] == f"job-{answer['messageId']}"
    assert gateway.delivered(answer["messageId"])["to"] == BRIEF["to"]


def test_the_screen_shows_key_command_and_how_to_stop(gateway: Up) -> None:
    shown = (gateway.var.parent / "up.out").read_text()
    for part in (
        f'-H "X-API-Key: {gateway.run["apiKey"]}"',
        f"curl -X POST {gateway.run['rest']}/api/v1/messages",
        f"{gateway.run['rest']}/docs",
        "Development profile",
        "Ctrl-C",
    ):
        assert part in shown


def test_run_json_tells_where_everything_is(gateway: Up) -> None:
    run = gateway.read_run()
    assert set(run) == {"rest", "grpc", "metrics", "apiKey", "tenant", "devices", "pids"}
    assert set(run["pids"]) == {"up", "core", "rest", "driver"}
    assert all(is_alive(pid) for pid in run["pids"].values())
    assert {(tuple(device["channels"]), device["number"]) for device in run["devices"]} == {
        (("sms",), "+15559876543"),
        (("whatsapp",), "+15559876543"),
    }
    assert (gateway.var / "run.json").stat().st_mode & 0o777 == 0o600
    assert gateway.var.stat().st_mode & 0o777 == 0o700


def test_the_command_line_finds_the_running_gateway(gateway: Up) -> None:
    sent = infinireach("message", "send", "Hello", "--to", "+1234567890", "--watch", var=gateway.var)
    assert sent.returncode == 0, sent.stderr
    assert sent.stdout.splitlines()[-1] == "delivered"
    came = infinireach(
        *("simulate", "inbound", "--from", "+1234567890", "--to", "+15559876543", "--body", "Hello back"),
        var=gateway.var,
    )
    assert came.returncode == 0, came.stderr

    def inbound() -> list[Any]:
        listed = infinireach("message", "list", "--direction", "inbound", "--json", var=gateway.var)
        return json.loads(listed.stdout)["messages"]

    [message] = eventually(inbound, "the message came in")
    assert message["message"] == "Hello back"
    checked = infinireach("doctor", "--json", var=gateway.var)
    assert checked.returncode == 0, checked.stdout


def test_a_second_up_on_the_same_folder_is_told_of_the_first(gateway: Up) -> None:
    refused = infinireach("up", var=gateway.var)
    assert refused.returncode == 1
    assert "runs already with the data folder" in refused.stderr
    assert str(gateway.process.pid) in refused.stderr
    assert gateway.request("GET", "/readyz")[0] == 200


@pytest.mark.parametrize("role", ["core", "rest", "driver"])
def test_a_killed_process_is_replaced_and_no_message_is_lost(gateway: Up, role: str) -> None:
    before = gateway.read_run()["pids"]
    waiting = gateway.accepted()
    os.kill(before[role], signal.SIGKILL)
    after = gateway.accepted()
    pids = eventually(
        lambda: (now := gateway.read_run()["pids"])[role] != before[role] and now,
        "run.json names the new process",
    )
    assert is_alive(pids[role])
    assert {name for name in pids if pids[name] != before[name]} == {role}
    for message_id in (waiting, after):
        settled = eventually(
            lambda message_id=message_id: (
                gateway.request("GET", f"/api/v1/messages/{message_id}")[1].get("status")
                in {"delivered", "unknown"}
            ),
            f"message {message_id} is settled",
        )
        assert settled
    gateway.delivered(after)


def test_no_log_shows_a_key_a_number_or_a_text(gateway: Up) -> None:
    canary = "Canary text 7f3a"
    gateway.delivered(gateway.accepted(to="+1987654321", message=canary))
    logs = {path.name: path.read_text() for path in (gateway.var / "logs").iterdir()}
    assert {"core.log", "rest.log", "driver.log"} <= set(logs)
    for name, text in logs.items():
        assert text, f"{name} is empty"
        for secret in (
            gateway.run["apiKey"],
            canary,
            "1987654321",
            (gateway.var / "driver.token").read_text().strip(),
        ):
            assert secret not in text, f"{name} shows {secret}"


def test_a_stop_ends_everything_in_time_and_the_next_start_goes_on(tmp_path: Path) -> None:
    var = tmp_path / "var"
    with up(var) as first:
        message_id = first.accepted()
        assert first.stop() <= STOP_S + SLACK_S
        assert first.process.returncode == 0
        assert [name for name, pid in first.run["pids"].items() if is_alive(pid)] == []
        assert not (var / "run.json").exists()
    with up(var) as second:
        assert second.run["apiKey"] == first.run["apiKey"]
        assert second.run["tenant"] == first.run["tenant"]
        assert {device["id"] for device in second.run["devices"]} == {
            device["id"] for device in first.run["devices"]
        }
        assert second.delivered(message_id)["message"] == BRIEF["message"]


def test_nothing_lingers_after_a_killed_up_and_the_next_one_works(tmp_path: Path) -> None:
    var = tmp_path / "var"
    with up(var, "--quiet") as first:
        message_id = first.accepted()
        first.process.kill()
        first.process.wait(BOUND_S)
        eventually(lambda: not any(map(is_alive, first.run["pids"].values())), "all children are gone")
        ports = {
            "INFINIREACH_REST_PORT": first.run["rest"].rpartition(":")[2],
            "INFINIREACH_GRPC_PORT": first.run["grpc"].rpartition(":")[2],
        }
    (var / "run.json").unlink()
    with up(var, "--json", **ports) as second:
        assert second.run["rest"] == first.run["rest"]
        assert second.run["apiKey"] == first.run["apiKey"]
        assert second.request("GET", f"/api/v1/messages/{message_id}")[0] == 200
        assert json.loads((tmp_path / "up.out").read_text()) == second.run


def test_a_taken_port_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = infinireach("up", var=tmp_path / "var", INFINIREACH_REST_PORT=str(port))
    assert refused.returncode == 1
    assert f"Port {port} on 127.0.0.1, for the REST API, is taken by" in refused.stderr
    assert f"(process {os.getpid()})" in refused.stderr
    assert "INFINIREACH_REST_PORT" in refused.stderr
    assert not (tmp_path / "var" / "logs").exists()


def test_a_fault_in_the_settings_is_told_before_anything_is_made(tmp_path: Path) -> None:
    refused = infinireach("up", var=tmp_path / "var", INFINIREACH_LEASE_S="1")
    assert refused.returncode == 2
    assert "INFINIREACH_LEASE_S" in refused.stderr
    assert not (tmp_path / "var").exists()


def test_make_run_starts_the_same_command() -> None:
    assert "infinireach up" in (repository.ROOT / "Makefile").read_text(encoding="utf-8")
