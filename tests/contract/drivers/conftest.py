"""The contract suite is a library, so pytest has to be told to explain its assertions too."""

from collections.abc import AsyncIterator

import pytest

from tests.fakes.core_stub import StubCore

pytest.register_assert_rewrite("drivers.runtime.contract_kit.suite", "drivers.runtime.contract_kit.subject")


@pytest.fixture
async def core() -> AsyncIterator[StubCore]:
    core = StubCore()
    await core.start()
    yield core
    await core.stop()
