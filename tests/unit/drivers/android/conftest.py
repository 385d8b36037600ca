"""A core and a phone for each test."""

from collections.abc import AsyncIterator

import pytest

from drivers.android.fake_smsgate import FakeSmsGate
from tests.fakes.core_stub import StubCore
from tests.unit.drivers.android.phones import RADIO


@pytest.fixture
async def core() -> AsyncIterator[StubCore]:
    core = StubCore()
    await core.start()
    yield core
    await core.stop()


@pytest.fixture
async def phone() -> AsyncIterator[FakeSmsGate]:
    async with FakeSmsGate(conditions=RADIO) as phone:
        yield phone
