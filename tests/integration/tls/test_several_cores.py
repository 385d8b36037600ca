"""A facade and a driver with two cores on one PostgreSQL, over mutual TLS: one core stops, one is killed."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from core import accounts
from core.accounts import ADMIN_SCOPE, NewApiKey
from core.clock import SystemClock
from core.store.databases import open_store
from core.store.migrate import migrate
from core.vault import new_key_line
from rest_facade import config
from rest_facade.server import Facade
from tests.driver_frames import device_description
from tests.e2e.played_driver import hello
from tests.fakes.certs_folder import CertsFolder
from tests.fakes.core_process import SERVICE_CREDENTIAL, CoreProcess
from tests.fakes.postgresql import shared_cluster
from tests.integration.rest_facade.conftest import LoggedRequests
from tests.integration.tls.channels import by_token, driver_stream

NUMBER = "+15550001234"
CALLERS = 8


class Callers:
    """Customers that send messages and make driver tokens one after the other; every answer is kept."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._headers = {"X-API-Key": key}
        self.answers: Counter[str] = Counter()
        self._answered = asyncio.Condition()

    async def call(self, session: aiohttp.ClientSession) -> None:
        """One message, or one token: a change that must not be made twice."""
        message = {"to": "+15559999999", "message": "Hi", "from": NUMBER, "channel": "sms"}
        for path, body in (("messages", message), ("driver-tokens", {"name": "load"})):
            async with session.post(f"{self._url}/api/v1/{path}", json=body) as response:
                answer = await response.json()
            async with self._answered:
                self.answers["ok" if response.status == 201 else f"{response.status} {answer['code']}"] += 1
                self._answered.notify_all()

    async def succeed(self, more: int) -> None:
        """Wait until so many more calls have succeeded."""
        wanted = self.answers["ok"] + more
        async with asyncio.timeout(60), self._answered:
            await self._answered.wait_for(lambda: self.answers["ok"] >= wanted)

    @asynccontextmanager
    async def busy(self) -> AsyncGenerator[None]:
        """They call for as long as the block runs."""
        over = asyncio.Event()

        async def go_on(session: aiohttp.ClientSession) -> None:
            while not over.is_set():
                await self.call(session)

        async with aiohttp.ClientSession(headers=self._headers) as session, asyncio.TaskGroup() as group:
            for _ in range(CALLERS):
                group.create_task(go_on(session))
            try:
                yield
            finally:
                over.set()


@pytest.fixture
def cores(tmp_path: Path, certs: CertsFolder) -> Generator[list[CoreProcess]]:
    """Two cores of one gateway."""
    url = shared_cluster().create_database(f"cores_{secrets.token_hex(4)}")
    migrate(url)
    (tmp_path / "master.key").write_text(f"{new_key_line()}\n", encoding="ascii")
    (tmp_path / "master.key").chmod(0o600)
    settings = {"DATABASE_URL": url, "PROFILE": "development", "STOP_DELAY_S": "0.5", **certs.core_settings()}
    named = {f"INFINIREACH_{name}": value for name, value in settings.items()}
    cores = [CoreProcess(tmp_path, named, name=f"core-{number}") for number in (1, 2)]
    try:
        for core in cores:
            core.start()
        yield cores
    finally:
        for core in cores:
            core.kill()


@asynccontextmanager
async def accounts_of(cores: list[CoreProcess]) -> AsyncGenerator[tuple[str, str]]:
    """An API key and a driver token of one tenant."""
    store = open_store(cores[0].settings["INFINIREACH_DATABASE_URL"])
    now_ms = SystemClock().now_ms()
    try:
        tenant = await store.run(accounts.create_tenant, "acme", 1_000_000, now_ms)
        new = NewApiKey(tenant_id=tenant.id, scopes=[ADMIN_SCOPE])
        _, key = await store.run(accounts.create_api_key, new, now_ms)
        _, token = await store.run(accounts.create_driver_token, tenant.id, "driver", now_ms)
        yield key, token
    finally:
        store.close()


@asynccontextmanager
async def facade_of(cores: list[CoreProcess], certs: CertsFolder) -> AsyncGenerator[str]:
    """A facade in front of the cores' internal listeners; its base URL."""
    settings = config.Settings(
        port=0,
        core_address=",".join(core.internal for core in cores),
        core_ca_file=certs.file("ca.pem"),
        core_cert_file=certs.file("client.pem"),
        core_key_file=certs.file("client.key"),
        service_credential=SecretStr(SERVICE_CREDENTIAL),
        failed_auth_per_minute=1_000_000,
    )
    facade = Facade(settings, LoggedRequests())
    await facade.start()
    try:
        yield f"http://127.0.0.1:{facade.port}"
    finally:
        await facade.stop()


async def test_no_call_fails_when_a_core_stops_and_a_killed_one_leaves_only_doubt(
    cores: list[CoreProcess], certs: CertsFolder
) -> None:
    first, second = cores
    async with accounts_of(cores) as (key, token), facade_of(cores, certs) as url:
        frame = hello(devices=(device_description("modem-1", NUMBER),))
        async with driver_stream(first.public, certs.trusting(), by_token(token), first=frame) as driver:
            await driver.frame("welcome")
        callers = Callers(url, key)
        async with callers.busy():
            await callers.succeed(40)
            first.tell_to_stop()
            assert await asyncio.to_thread(first.wait) == 0
            await callers.succeed(40)
            await asyncio.to_thread(first.start)
            await callers.succeed(40)
            assert set(callers.answers) == {"ok"}
            await until_it_works(first)
            second.kill()
            await callers.succeed(40)
        assert set(callers.answers) <= {"ok", "503 outcome_unknown"}
        assert callers.answers["503 outcome_unknown"] <= 2 * CALLERS
        async with aiohttp.ClientSession() as session, session.get(f"{url}/readyz") as response:
            assert response.status == 200


async def until_it_works(core: CoreProcess) -> None:
    """Return when a core that was started anew is called again."""
    async with asyncio.timeout(30):
        while "MessagesService" not in core.log:  # noqa: ASYNC110 - another process has no event of ours
            await asyncio.sleep(0.02)
