"""One core with TLS on both listeners, its accounts and certificates."""

import json
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core import accounts
from core.clock import SystemClock
from core.store.databases import open_store
from core.store.engine import Store
from tests.fakes.certs_folder import CertsFolder
from tests.fakes.command_line import infinireach
from tests.fakes.core_process import CoreProcess, core_process


@dataclass(frozen=True)
class DriverToken:
    """A driver token."""

    id: str
    token: str


@dataclass(frozen=True)
class Running:
    """The core and a tenant of it."""

    core: CoreProcess
    certs: CertsFolder
    tenant_id: str
    api_key: str


@dataclass
class Secured:
    """The core, its certificates and its accounts."""

    running: Running
    store: Store

    @property
    def core(self) -> CoreProcess:
        """The core."""
        return self.running.core

    @property
    def certs(self) -> CertsFolder:
        """The certificates that it shows and trusts."""
        return self.running.certs

    @property
    def tenant_id(self) -> str:
        """The tenant."""
        return self.running.tenant_id

    async def new_token(self) -> DriverToken:
        """A new driver token of the tenant."""
        now_ms = SystemClock().now_ms()
        row, token = await self.store.run(accounts.create_driver_token, self.tenant_id, "driver", now_ms)
        return DriverToken(row.id, token)

    async def revoke(self, token: DriverToken) -> None:
        """Revoke a driver token."""
        now_ms = SystemClock().now_ms()
        await self.store.run(accounts.revoke_driver_token, self.tenant_id, token.id, now_ms)

    async def was_used(self, token: DriverToken) -> bool:
        """Whether a use of the token was noted."""
        rows = await self.store.read(accounts.list_driver_tokens, self.tenant_id)
        return any(row.id == token.id and row.last_used_ms is not None for row in rows)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    folder = tmp_path_factory.mktemp("secured")
    certs = CertsFolder.make(folder / "certs")
    var = folder / "var"

    def told(*arguments: str) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("INFINIREACH_VAR", str(var))
            finished = infinireach(*arguments, "--json")
        assert finished.status == 0, finished.err
        return json.loads(finished.out)

    with core_process(var, **certs.core_settings()) as core:
        tenant_id = told("tenant", "create", "acme")["tenant"]["id"]
        yield Running(core, certs, tenant_id, told("key", "create")["apiKey"])


@pytest.fixture
def secured(running: Running) -> Generator[Secured]:
    store = open_store(f"sqlite:///{running.core.var}/infinireach.db")
    yield Secured(running, store)
    store.close()


@pytest.fixture
def certs(tmp_path: Path) -> CertsFolder:
    """Certificates of a test's own."""
    return CertsFolder.make(tmp_path / "certs")
