"""A bench that the tests of a module share."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

pytest.register_assert_rewrite("tests.integration.whatsapp_cloud.bench")

from tests.integration.whatsapp_cloud.bench import Bench, bench  # noqa: E402 - its assertions are to be explained


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with bench(tmp_path_factory.mktemp("desk")) as made:
        yield made
