"""`infinireach doctor`: what it notices, and that it changes nothing."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from core.cli import run_file
from core.cli.context import transact
from core.cli.run_file import Running
from core.clock import SystemClock
from core.config import load
from core.events import append, new_event
from core.ids import new_id, new_uuid
from core.store import migrate
from core.store.rows import DeviceRow, DriverRow, MessageRow, TenantRow, WebhookRow
from tests.fakes.command_line import infinireach
from tests.fakes.rest_api import Answer, rest_api


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a current database and ports that are free."""
    monkeypatch.setenv("INFINIREACH_VAR", str(tmp_path))
    for variable in ("GRPC_PORT", "METRICS_PORT", "REST_PORT"):
        monkeypatch.setenv(f"INFINIREACH_{variable}", "0")
    migrate.migrate(f"sqlite:///{tmp_path}/infinireach.db")
    return tmp_path


def findings() -> dict[str, list[dict[str, Any]]]:
    """What doctor finds, by check."""
    finished = infinireach("doctor", "--json")
    report = json.loads(finished.out)
    assert (finished.status == 0) is report["ok"]
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in report["checks"]:
        found.setdefault(finding["check"], []).append(finding)
    return found


def states(check: str) -> list[str]:
    """The states of what it finds in one check."""
    return [finding["state"] for finding in findings()[check]]


def test_a_fresh_installation_has_no_fault() -> None:
    found = findings()
    assert not [finding for check in found.values() for finding in check if finding["state"] == "fault"]
    assert all(
        finding["remedy"] for check in found.values() for finding in check if finding["state"] == "warning"
    )
    assert "python" in infinireach("doctor").out


def test_faulty_settings_are_the_last_thing_it_looks_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFINIREACH_GRPC_PORT", "x")
    found = findings()
    assert list(found) == ["python", "settings"]
    assert "INFINIREACH_GRPC_PORT" in found["settings"][0]["detail"]


def test_a_misspelt_setting_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFINIREACH_GRPC_PROT", "1")
    [finding] = findings()["settings"]
    assert finding["state"] == "warning"
    assert finding["remedy"] == "Did you mean INFINIREACH_GRPC_PORT?"


def test_a_secret_that_others_can_read_is_a_fault(var: Path) -> None:
    (var / "master.key").touch(mode=0o644)
    [finding] = findings()["secrets"]
    assert finding["state"] == "fault"
    assert finding["remedy"] == f"chmod 600 {var}/master.key"


def test_a_database_of_another_version_is_a_fault(var: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFINIREACH_DATABASE_URL", f"sqlite:///{var}/other.db")
    [finding] = findings()["database"]
    assert (finding["state"], finding["remedy"]) == ("fault", "Run: infinireach migrate")


def test_a_damaged_database_is_a_fault(var: Path) -> None:
    with (var / "infinireach.db").open("r+b") as file:
        file.seek(0)
        file.write(b"this is no database")
    assert states("database") == ["fault"]


NOW_MS = SystemClock().now_ms()


def a_device(tenant: str, driver: str) -> DeviceRow:
    """A device in trouble."""
    return DeviceRow(
        id=new_uuid(),
        tenant_id=tenant,
        driver_id=driver,
        key="k",
        name="Office modem",
        state="attention",
        state_reason="PIN needed",
        remedy="Enter the PIN.",
        window=1,
        seen_ms=NOW_MS,
        created_ms=NOW_MS,
    )


def a_driver(tenant: str, driver: str) -> DriverRow:
    """Its driver."""
    return DriverRow(
        id=driver,
        tenant_id=tenant,
        name="d",
        kind="modem",
        version="1",
        token_id="t",
        instance_id="i",
        journal_id="j",
        epoch=1,
        applied_sequence=0,
        connected=True,
        lease_until_ms=NOW_MS,
        seen_ms=NOW_MS,
        created_ms=NOW_MS,
    )


def a_webhook(tenant: str) -> WebhookRow:
    """An endpoint that fails."""
    return WebhookRow(
        id=new_id(NOW_MS),
        tenant_id=tenant,
        url="http://h/",
        events="message.failed",
        secret=b"s",
        timeout_s=10,
        ordered=False,
        created_ms=NOW_MS,
        updated_ms=NOW_MS,
        failures=3,
    )


def a_message(tenant: str, created_ms: int) -> MessageRow:
    """A message that was accepted at some time."""
    return MessageRow(
        id=new_id(NOW_MS),
        tenant_id=tenant,
        direction="outbound",
        channel="sms",
        device_id="d",
        source="+1",
        destination="+2",
        body="b",
        state="queued",
        encoding="gsm7",
        segments=1,
        not_after_ms=NOW_MS,
        created_ms=created_ms,
    )


def troubles(session: Session) -> None:
    """A tenant with a device in trouble, a failing webhook and a message from the future."""
    tenant, driver = new_id(NOW_MS), new_uuid()
    for row in (
        TenantRow(id=tenant, name="acme", per_minute=1, created_ms=NOW_MS),
        a_driver(tenant, driver),
        a_device(tenant, driver),
        a_webhook(tenant),
        a_message(tenant, NOW_MS + 3_600_000),
    ):
        session.add(row)
        session.flush()


def test_devices_webhooks_and_the_clock_are_looked_at() -> None:
    transact(load(), troubles)
    found = findings()
    assert found["device"][0]["detail"] == "Office modem is attention PIN needed"
    assert found["device"][0]["remedy"] == "Enter the PIN."
    assert found["webhook"][0]["state"] == "warning"
    assert found["clock"][0]["state"] == "fault"


def an_old_event(session: Session) -> None:
    """A tenant, and an event of it that no relay has come to for a while."""
    tenant = new_id(NOW_MS)
    session.add(TenantRow(id=tenant, name="acme", per_minute=1, created_ms=NOW_MS))
    session.flush()
    at_ms = SystemClock().now_ms() - 3_600_000
    append(session, [new_event("message.sent", tenant_id=tenant, at_ms=at_ms, data={})])


def test_events_that_nothing_publishes_are_told() -> None:
    [none] = findings()["events"]
    assert (none["state"], none["detail"]) == ("ok", "0 are not published")
    transact(load(), an_old_event)
    [some] = findings()["events"]
    assert some["state"] == "warning"
    assert some["detail"].startswith("1 are not published, the oldest for 36")
    assert "relay.failed" in some["remedy"]


def test_a_taken_port_is_told_with_its_holder(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("INFINIREACH_GRPC_PORT", str(taken.getsockname()[1]))
        [finding] = findings()["ports"]
    assert "for gRPC, is taken by" in finding["detail"]
    assert "INFINIREACH_GRPC_PORT" in finding["detail"]


def test_a_gateway_that_should_run_and_does_not_answer_is_a_fault(var: Path) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        running = Running(f"http://127.0.0.1:{port}", f"127.0.0.1:{port}", "http://127.0.0.1:1", "irk_x")
        running.pids = {"up": 1}
        run_file.write(var, running)
        found = findings()
    assert found["core"][0]["state"] == "fault"
    assert found["REST API"][0]["state"] == "fault"


def test_a_gateway_behind_an_edge_is_examined_through_it(var: Path) -> None:
    answers: dict[str, list[Answer]] = {
        "GET /api/v1/devices": [(200, {"devices": []})],
        "GET /readyz": [(200, {})],
    }
    with rest_api(answers) as api:
        running = Running(api.url, "127.0.0.1:1", "http://127.0.0.1:1", "irk_x", rest_tls=api.url)
        running.pids = {"up": 1}
        run_file.write(var, running)
        found = findings()
        answers["GET /api/v1/devices"] = [(503, {"error": "No core can be reached.", "code": "unavailable"})]
        faulty = findings()
    assert "core" not in found
    assert (found["edge"][0]["state"], found["REST API"][0]["state"]) == ("ok", "ok")
    assert (faulty["edge"][0]["state"], faulty["edge"][0]["detail"]) == ("fault", "No core can be reached.")
