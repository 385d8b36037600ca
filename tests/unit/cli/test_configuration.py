"""`infinireach config`: values, sources, masks and guesses."""

import json
from typing import Any

import pytest

from core.cli.configuration import describe, misspelt
from tests.fakes.command_line import infinireach


def rows() -> dict[str, dict[str, Any]]:
    """What config tells, by variable."""
    finished = infinireach("config", "--json")
    assert finished.status == 0
    return {row["variable"]: row for row in json.loads(finished.out)["settings"]}


def test_the_source_of_each_value_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFINIREACH_GRPC_PORT", "1234")
    told = rows()
    assert told["INFINIREACH_GRPC_PORT"]["value"] == "1234"
    assert told["INFINIREACH_GRPC_PORT"]["source"] == "environment"
    assert told["INFINIREACH_METRICS_PORT"]["source"] == "default"
    assert "INFINIREACH_GRPC_PORT = 1234  (from the environment)" in infinireach("config").out


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFINIREACH_SERVICE_CREDENTIAL", "canary-one")
    monkeypatch.setenv("INFINIREACH_DATABASE_URL", "postgresql://reach:canary-two@db/reach")
    for arguments in (["config"], ["config", "--json"]):
        finished = infinireach(*arguments)
        assert "canary" not in finished.out + finished.err
    assert rows()["INFINIREACH_SERVICE_CREDENTIAL"]["value"] == "*****"


def test_faulty_settings_are_shown_beside_the_good_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFINIREACH_GRPC_PORT", "x")
    finished = infinireach("config")
    assert finished.status == 2
    assert "INFINIREACH_METRICS_PORT" in finished.out
    assert "INFINIREACH_GRPC_PORT: input should be a valid integer" in finished.err


def test_ranges_and_units_are_described() -> None:
    described = describe()
    assert (described["message_ttl_s"].range, described["message_ttl_s"].unit) == ("60 to 2592000", "s")
    assert described["lease_s"].range == "0.2 to 1800"
    assert described["log_format"].range == "json or console"
    assert described["relay_embedded"].range == "true or false"
    assert described["database_url"].default == "sqlite:///<var>/infinireach.db"


def test_only_what_resembles_a_setting_is_called_misspelt() -> None:
    assert misspelt({
        "INFINIREACH_GRPC_PROT": "1",
        "INFINIREACH_GRPC_PORT": "1",
        "INFINIREACH_REST_METRICS_PORT": "1",
        "INFINIREACH_DRIVER_LOG_LEVEL": "info",
        "INFINIREACH_SOMETHING_ELSE": "1",
        "HOME": "/",
    }) == {"INFINIREACH_GRPC_PROT": "INFINIREACH_GRPC_PORT"}
