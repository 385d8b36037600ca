"""Tenants, keys and driver tokens on a real database, and what happens to one that is not ready."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from core import accounts
from core.cli.context import transact
from core.clock import SystemClock
from core.config import load
from core.store import migrate
from core.store.rows import MessageRow
from tests.fakes.command_line import Finished, infinireach

NEEDED = migrate.needed()


@pytest.fixture(autouse=True)
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that does not exist yet."""
    monkeypatch.setenv("INFINIREACH_VAR", str(tmp_path / "var"))
    return tmp_path / "var"


@pytest.fixture
def told() -> Callable[..., Any]:
    """What a command writes with --json; it must succeed."""

    def run(*arguments: str) -> Any:
        finished = infinireach(*arguments, "--json")
        assert finished.status == 0, finished
        return json.loads(finished.out)

    return run


def resolved(key: str) -> accounts.ApiKeyRecord:
    """The record of a key that works."""
    credential = accounts.read_api_key(key)
    return transact(load(), accounts.resolve_api_key, credential, SystemClock().now_ms())


def test_the_first_command_makes_the_default_database_ready(var: Path) -> None:
    finished = infinireach("tenant", "create", "acme")
    assert finished.status == 0
    assert "Made the tenant acme" in finished.out
    assert "Made the database" in finished.err
    assert migrate.is_current(load().database_url)
    assert var.stat().st_mode & 0o777 == 0o700


def test_a_database_of_ones_own_is_not_migrated_by_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFINIREACH_DATABASE_URL", f"sqlite:///{tmp_path}/own.db")
    finished = infinireach("tenant", "create", "acme")
    assert finished.status == 1
    assert finished.err == f"The database is empty, this version needs {NEEDED}. Run: infinireach migrate\n"
    assert infinireach("migrate", "--check").status == 1
    assert infinireach("migrate").out == f"Brought the database from revision none to {NEEDED}.\n"
    assert infinireach("migrate").out == f"The database is current, at revision {NEEDED}.\n"
    assert infinireach("migrate", "--check").status == 0
    assert infinireach("tenant", "create", "acme").status == 0


def test_tenants_are_listed_and_names_are_taken_once(told: Callable[..., Any]) -> None:
    made = told("tenant", "create", "acme", "--per-minute", "7")["tenant"]
    assert made["perMinute"] == 7
    assert told("tenant", "list")["tenants"] == [made]
    refused = infinireach("tenant", "create", "acme")
    assert refused == Finished(1, "", "There is a tenant named acme already.\n")


def test_a_key_works_with_its_scopes_rate_and_expiry(told: Callable[..., Any]) -> None:
    told("tenant", "create", "acme")
    made = told(
        *("key", "create", "--tenant", "acme", "--scopes", "messages:send,messages:read"),
        *("--per-minute", "9", "--expires", "30d", "--name", "shop"),
    )
    record = resolved(made["apiKey"])
    assert record.row.scopes == "messages:send messages:read"
    assert record.per_minute == 9
    assert record.row.name == "shop"
    assert record.row.expires_ms == pytest.approx(record.row.created_ms + 30 * 86_400_000, abs=60_000)
    [listed] = told("key", "list")["apiKeys"]
    assert listed["id"] == made["id"]
    assert listed["status"] == "live"
    assert made["apiKey"] not in json.dumps(listed)


def test_without_json_the_key_stands_alone_on_stdout() -> None:
    infinireach("tenant", "create", "acme")
    finished = infinireach("key", "create")
    assert resolved(finished.out.strip()).row.scopes == "admin"


def test_a_revoked_key_is_named_by_id_or_by_itself(told: Callable[..., Any]) -> None:
    told("tenant", "create", "acme")
    for form in ("id", "apiKey"):
        made = told("key", "create")
        assert told("key", "revoke", made[form])["status"] == "revoked"
        with pytest.raises(Exception, match="revoked"):
            resolved(made["apiKey"])


def test_a_key_of_another_system_is_imported_from_stdin(
    told: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    told("tenant", "create", "acme")
    monkeypatch.setattr("sys.stdin", io.StringIO("6f2d-legacy-key\n"))
    imported = told("key", "import", "--name", "old system")
    assert resolved("6f2d-legacy-key").row.id == imported["id"]
    assert "6f2d-legacy-key" not in json.dumps(imported)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["key", "create"], "There is no tenant yet. Make one: infinireach tenant create NAME"),
        (["key", "create", "--scopes", "sms"], "Unknown scope: sms."),
        (["key", "create", "--scopes", " , "], "A key needs at least one scope."),
    ],
)
def test_a_key_that_cannot_be_made_is_explained(arguments: list[str], sentence: str) -> None:
    finished = infinireach(*arguments)
    assert finished.status == 1
    assert sentence in finished.err


def test_the_tenant_is_asked_for_when_there_are_several(told: Callable[..., Any]) -> None:
    ids = [told("tenant", "create", name)["tenant"]["id"] for name in ("acme", "zenith")]
    assert "Say which tenant with --tenant. There are: acme, zenith" in infinireach("key", "create").err
    assert (
        "There is no tenant named acne. There are: acme, zenith"
        in infinireach("key", "list", "-t", "acne").err
    )
    assert told("key", "create", "--tenant", ids[1])["tenantId"] == ids[1]


def test_an_expiry_that_is_no_time_is_a_usage_fault(told: Callable[..., Any]) -> None:
    told("tenant", "create", "acme")
    assert infinireach("key", "create", "--expires", "soon").status == 2
    past = infinireach("key", "create", "--expires", "2020-01-31")
    assert past.status == 1
    assert "must be in the future" in past.err


def test_driver_tokens_are_made_listed_and_revoked(told: Callable[..., Any]) -> None:
    told("tenant", "create", "acme")
    made = told("driver-token", "create", "office")
    row = transact(load(), accounts.resolve_driver_token, made["token"], SystemClock().now_ms())
    assert row.id == made["id"]
    [listed] = told("driver-token", "list")["driverTokens"]
    assert listed["name"] == "office"
    assert infinireach("driver-token", "revoke", made["id"]).status == 0
    assert told("driver-token", "list")["driverTokens"] == []
    assert infinireach("driver-token", "revoke", made["id"]) == Finished(
        1, "", "There is no such driver token.\n"
    )


def test_faulty_settings_are_all_told_and_end_with_status_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFINIREACH_GRPC_PORT", "x")
    monkeypatch.setenv("INFINIREACH_LEASE_S", "1")
    finished = infinireach("tenant", "list")
    assert finished.status == 2
    assert finished.err.count("\n  INFINIREACH_") == 2


def test_the_files_that_an_installation_shares_are_made_once(var: Path) -> None:
    files = [var / "master.key", var / "service.credential"]
    first = infinireach("secrets")
    assert first.status == 0
    assert all(f"Made {file}" in first.out for file in files)
    texts = [file.read_text(encoding="ascii") for file in files]
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert not any(text.strip() in first.out for text in texts)
    again = json.loads(infinireach("secrets", "--json").out)
    assert again == {"masterKeyFile": str(files[0]), "serviceCredentialFile": str(files[1]), "made": []}
    assert [file.read_text(encoding="ascii") for file in files] == texts


def test_a_file_of_secrets_that_cannot_be_used_is_told(var: Path) -> None:
    var.mkdir()
    (var / "master.key").write_text("nonsense\n", encoding="ascii")
    finished = infinireach("secrets")
    assert finished.status == 1
    assert "master.key" in finished.err


def test_pruning_says_what_it_would_remove_and_then_what_it_removed(told: Callable[..., Any]) -> None:
    told("tenant", "create", "acme")
    transact(load(), put_old_message)
    assert told("prune", "--dry-run") == {"removed": {}, "wouldRemove": {"message": 1}}
    finished = infinireach("prune")
    assert (finished.status, finished.out) == (0, "Rows removed: 1 of message.\n")
    assert told("prune") == {"removed": {}, "wouldRemove": {}}


def put_old_message(session: Session) -> None:
    """A message of the only tenant that expired in 2001."""
    (tenant,) = accounts.list_tenants(session)
    row = MessageRow(
        id="0" * 24, tenant_id=tenant.id, direction="outbound", channel="sms", device_id="d", source="+1",
        destination="+2", body="x", state="expired", encoding="gsm7", segments=1, not_after_ms=1, created_ms=1,
        failed_ms=10**12,
    )  # fmt: skip
    session.add(row)
