"""A bench whose driver is killed again and again."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.modem.faults.bench import bench
from tests.integration.modem.faults.nursery import Nursery
from tests.integration.modem.kills.victim import Victim


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def victim(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Victim]:
    async with Nursery() as nursery, bench(tmp_path_factory.mktemp("kills"), make_rig=nursery.rig) as bench_:
        yield Victim(bench_)
