"""One gateway for all of these tests, and callers of it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pytest

from infinireach.v1.accounts_service_pb2 import CreateApiKeyRequest, CreateApiKeyResponse
from tests.e2e.estate import Estate, make_estate
from tests.e2e.gateway import Client, Gateway, Tenant, on_postgresql
from tests.e2e.rpcs import rpcs
from tests.fakes.database import Database
from tests.fakes.postgresql import shared_cluster

HERE = Path(__file__).parent
SETTINGS = {"INFINIREACH_REST_FAILED_AUTH_PER_MINUTE": "1000000"}
"""Tests present many keys that do not work, all from one address."""
SCOPES = ("messages:send", "messages:read", "devices", "webhooks")
"""What a key may hold, besides admin, which is all of them."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run modules that say ON_EVERY_DATABASE on each, all others on SQLite."""
    if "shared" in metafunc.fixturenames:
        on_every = getattr(metafunc.module, "ON_EVERY_DATABASE", False)
        databases = list(Database) if on_every else [Database.SQLITE]
        metafunc.parametrize("shared", databases, indirect=True)


@dataclass(frozen=True)
class Shared:
    """A gateway and what tests share on it, each made when the first test asks for it."""

    gateway: Gateway
    """Its demo tenant owns the simulated devices."""

    @cached_property
    def other_tenant(self) -> Tenant:
        """Another tenant."""
        return self.gateway.new_tenant("other")

    @cached_property
    def estate(self) -> Estate:
        """One of everything of the demo tenant."""

        async def make() -> Estate:
            async with self.gateway.client() as client:
                return await make_estate(self.gateway, client)

        with asyncio.Runner() as runner:
            return runner.run(make())

    @cached_property
    def scoped_keys(self) -> dict[str, str]:
        """Keys of the other tenant: by scope, one that has it alone, and one that has all but it."""
        sets = {scope: [scope] for scope in SCOPES} | {
            f"not {scope}": [other for other in SCOPES if other != scope] for scope in SCOPES
        }

        async def make() -> dict[str, str]:
            made: dict[str, str] = {}
            async with rpcs(self.gateway.run["grpc"], self.other_tenant.key) as admin:
                for name, scopes in sets.items():
                    request = CreateApiKeyRequest(name=name, scopes=scopes, per_minute=1_000_000)
                    answer = (await admin.call("CreateApiKey", request)).answer
                    assert isinstance(answer, CreateApiKeyResponse)
                    made[name] = answer.key
            return made

        with asyncio.Runner() as runner:
            return runner.run(make())


@pytest.fixture(scope="session")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Generator[Callable[[Database], Shared]]:
    """The gateway on each database, started when it is first asked for."""
    with contextlib.ExitStack() as stack:

        @cache
        def gateway_on(database: Database) -> Shared:
            var, settings = tmp_path_factory.mktemp("running") / "var", SETTINGS
            if database is Database.POSTGRESQL:
                settings = SETTINGS | on_postgresql(var, shared_cluster().create_database("e2e"))
            gateway = Gateway(var, settings)
            stack.callback(gateway.stop)
            gateway.start()
            return Shared(gateway)

        yield gateway_on


@pytest.fixture
def shared(request: pytest.FixtureRequest, gateways: Callable[[Database], Shared]) -> Shared:
    """The gateway of this test, and what is made on it."""
    return gateways(request.param)


@pytest.fixture
def running(shared: Shared) -> Gateway:
    """The gateway that the tests share; its demo tenant owns the simulated devices."""
    return shared.gateway


@pytest.fixture
async def owner(running: Gateway) -> AsyncGenerator[Client]:
    """A caller with a key of the demo tenant."""
    async with running.client() as client:
        yield client


@pytest.fixture
def other_tenant(shared: Shared) -> Tenant:
    """Another tenant."""
    return shared.other_tenant


@pytest.fixture
async def other(running: Gateway, other_tenant: Tenant) -> AsyncGenerator[Client]:
    """A caller with a key of the other tenant."""
    async with running.client(other_tenant.key) as client:
        yield client


@pytest.fixture
def estate(shared: Shared) -> Estate:
    """One of everything of the demo tenant."""
    return shared.estate


@pytest.fixture
def scoped_keys(shared: Shared) -> dict[str, str]:
    """Keys of the other tenant: by scope, one that has it alone, and one that has all but it."""
    return shared.scoped_keys


REFUSED_BODY = (
    "ignore:Exception ignored in. <(function _SelectorTransport|socket.socket)"
    ":pytest.PytestUnraisableExceptionWarning"
)
"""A server that answers before it has taken a body leaves the client's transport with bytes that nobody wants; the
collector closes it, during whichever test comes then."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the transports of refused bodies go."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(REFUSED_BODY))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures that tests noted; nothing asserts them."""
    noted = [
        (report.nodeid, value)
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "figures"
    ]
    if noted:
        terminalreporter.section("figures")
    for test, value in noted:
        terminalreporter.line(f"{test.rpartition('::')[2]} {value}")
