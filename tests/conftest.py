"""What holds for every test: no settings from outside, one hypothesis profile per place, no skips in CI, databases."""

import os
from collections.abc import Generator
from typing import TypeVar

import hypothesis
import pytest

from tests.fakes.database import Database, chosen

# What tests share makes assertions too, and they are to be explained: said here, before anything imports it.
pytest.register_assert_rewrite(
    "drivers.runtime.contract_kit.suite",
    "drivers.runtime.contract_kit.subject",
    "tests.integration.modem.faults.bench",
    "tests.integration.modem.kills.victim",
    "tests.integration.modem.recovery.troubles",
    "tests.integration.modem.wire",
    "tests.integration.whatsapp_cloud.bench",
)

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}
SETTING_PREFIX = "INFINIREACH_"
TEST_SETTING_PREFIX = "INFINIREACH_TEST_"

# A slow machine is no fault, so no deadlines. CI tries the same examples each time; at a desk they vary.
hypothesis.settings.register_profile("desk", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if IN_CI else "desk")


def pytest_configure() -> None:
    """Drop the gateway's own settings from the environment: a test states the settings that it needs."""
    for name in list(os.environ):
        if name.startswith(SETTING_PREFIX) and not name.startswith(TEST_SETTING_PREFIX):
            del os.environ[name]


@pytest.fixture(params=list(Database))
def database(request: pytest.FixtureRequest) -> Generator[Database]:
    """Each database in turn; what the test opens with tests.fakes.database is of its kind."""
    with chosen(request.param):
        yield request.param


Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def refuse_skip(report: Report) -> Report:
    """In CI a skipped test is a failure: an engine that is absent there would go unnoticed for ever."""
    if IN_CI and report.skipped:  # an expected failure as well
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where every test must run: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Apply the rule on skips to each test."""
    return refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Apply the rule on skips to each module."""
    return refuse_skip((yield))
