"""A bench that the tests of a module share."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.whatsapp_cloud.bench import Bench, bench


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with bench(tmp_path_factory.mktemp("desk")) as made:
        yield made
