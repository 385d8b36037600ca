"""The running system against its own OpenAPI document: schemathesis, every check, the same cases each time."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.gateway import Gateway, on_postgresql
from tests.fakes.database import Database
from tests.fakes.postgresql import shared_cluster

EXAMPLES_MAX = os.environ.get("INFINIREACH_TEST_SCHEMATHESIS_EXAMPLES", "10")
"""Of every operation in every phase; the boundary values of each field come on top."""
ON_POSTGRESQL = ("--max-examples=1", "--phases=coverage")
"""The boundary values, which are what another database may take otherwise."""
CASES_MIN = 1_000
RUN_S_MAX = 3_600
CONFIGURATION = """
[[operations]]
include-operation-id = ["createWebhook", "updateWebhook"]
checks.negative_data_rejection.enabled = false
"""
"""The description promises only the URLs that every installation takes; this one takes more of them."""
SETTINGS = {
    "INFINIREACH_DELIVER_EMBEDDED": "false",
    "INFINIREACH_REST_FAILED_AUTH_PER_MINUTE": "1000000",
}
"""Made-up webhooks are never called, and made-up keys are no attack."""


@pytest.fixture(params=list(Database))
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Gateway]:
    """A gateway of its own: what comes in here would spoil other tests."""
    var, settings = tmp_path / "var", SETTINGS
    if request.param is Database.POSTGRESQL:
        settings = SETTINGS | on_postgresql(var, shared_cluster().create_database("described"))
    gateway = Gateway(var, settings)
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.stop()


@pytest.mark.timeout(RUN_S_MAX + 60)
def test_every_answer_is_as_the_description_says(gateway: Gateway, tmp_path: Path) -> None:
    ready_at = datetime.now(UTC)
    key = gateway.new_key("demo", per_minute=1_000_000)["apiKey"]
    is_sqlite = "INFINIREACH_DATABASE_URL" not in gateway.settings
    extent = (f"--max-examples={EXAMPLES_MAX}",) if is_sqlite else ON_POSTGRESQL
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION, encoding="utf-8")
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            f"--config-file={configuration}",
            "run",
            f"{gateway.run['rest']}/openapi.json",
            f"--header=X-API-Key: {key}",
            "--generation-deterministic",
            *extent,
            # With more workers than one, examples are made in threads that this Python cannot always parse in.
            "--workers=1",
            "--continue-on-failure",
            "--warnings=off",
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:]
    generated = re.search(r"(\d+) generated", done.stdout)
    assert generated is not None
    assert int(generated[1]) >= CASES_MIN
    assert faults_in_logs(gateway, since=ready_at) == []


def faults_in_logs(gateway: Gateway, *, since: datetime) -> list[str]:
    """Log lines of errors and of answers 5xx; not of before, when probes ask what is not ready and do not wait long.

    The driver's own log is left out: among what is tried is the revocation of its token.
    """
    faults: list[str] = []
    for role in ("core", "rest"):
        for line in (gateway.var / "logs" / f"{role}.log").read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            is_fault = entry["level"] == "error" or str(entry.get("status", "")).startswith("5")
            if is_fault and datetime.fromisoformat(entry["at"]) > since:
                faults.append(line)
    return faults
