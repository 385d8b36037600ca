"""Cores that take calls and answer nothing, as one does that is swapped out or stopped: the connection stays."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from infinireach.v1 import devices_service_pb2
from rest_facade import cores, rpcs, standing
from rest_facade.config import Settings
from rest_facade.core_client import CoreClient
from rest_facade.errors import ApiError
from tests.fakes.edge_upstreams import FakeCore, HealthServicer
from tests.integration.rest_facade.stub_world import CREDENTIAL, TENANT

BOUND_S = 20.0


class HeldHealth(HealthServicer):
    """Says once that it serves, to who watches; answers who asks only while the core is not held."""

    def __init__(self, held: asyncio.Event) -> None:
        super().__init__()
        self._held = held

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - the proto's name
        """As HealthServicer."""
        await self._held.wait()
        return await super().Check(request, context)


@dataclass
class Behalf:
    """For whom the calls are made."""

    tenant_id: str = TENANT
    key_id: str = ""
    request_id: str = "test"


async def read(client: CoreClient) -> None:
    """A call that may be repeated."""
    await client.call(rpcs.LIST_DEVICES, devices_service_pb2.ListDevicesRequest(), Behalf())


@asynccontextmanager
async def client_of(*behind: FakeCore) -> AsyncGenerator[CoreClient]:
    """A client of these cores with short deadlines."""
    client = CoreClient(
        Settings.model_validate({
            "core_address": ",".join(core.address for core in behind),
            "service_credential": CREDENTIAL,
            "core_timeout_s": 1.0,
        })
    )
    await client.open()
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "ASIDE_S", 0.1)
    monkeypatch.setattr(standing, "CHECK_EVERY_S", 0.05)
    monkeypatch.setattr(cores, "HEALTH_CHECK_S", 0.1)


async def test_no_read_fails_while_one_core_of_two_hangs_and_it_is_called_again_when_it_answers() -> None:
    answers = asyncio.Event()
    async with (
        FakeCore() as good,
        FakeCore(held=answers, health=HeldHealth(answers)) as hung,
        client_of(good, hung) as client,
        asyncio.timeout(BOUND_S),
    ):
        while len(hung.seen) < standing.MISSED_MAX:
            await read(client)
        for _ in range(20):
            await read(client)
        assert len(hung.seen) == standing.MISSED_MAX
        assert await client.is_ready()
        answers.set()
        while len(hung.seen) == standing.MISSED_MAX:
            await read(client)


async def test_a_core_that_hangs_and_is_the_only_one_is_called_nevertheless() -> None:
    answers = asyncio.Event()
    async with FakeCore(held=answers, health=HeldHealth(answers)) as hung, client_of(hung) as client:
        for _ in range(standing.MISSED_MAX + 1):
            with pytest.raises(ApiError):
                await read(client)
        assert not await client.is_ready()
        answers.set()
        await read(client)
    assert len(hung.seen) == standing.MISSED_MAX + 2


async def test_a_change_whose_deadline_passed_is_not_made_of_another_core() -> None:
    answers = asyncio.Event()
    request = devices_service_pb2.CreateDriverTokenRequest(name="desk")
    async with FakeCore(held=answers) as one, FakeCore(held=answers) as two, client_of(one, two) as client:
        with pytest.raises(ApiError) as failed:
            await client.call(rpcs.CREATE_DRIVER_TOKEN, request, Behalf())
    assert failed.value.code.name == "outcome_unknown"
    assert len(one.seen + two.seen) == 1
