"""A bench whose driver is killed again and again."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

pytest.register_assert_rewrite("tests.integration.modem.faults.bench", "tests.integration.modem.kills.victim")

from tests.integration.modem.faults.bench import bench  # noqa: E402 - its assertions are to be explained
from tests.integration.modem.faults.nursery import Nursery  # noqa: E402
from tests.integration.modem.kills.victim import Victim  # noqa: E402


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def victim(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Victim]:
    async with Nursery() as nursery, bench(tmp_path_factory.mktemp("kills"), make_rig=nursery.rig) as bench_:
        yield Victim(bench_)
