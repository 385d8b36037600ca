"""Kill -9 of core, facade, driver and database under load; see tests/e2e/kills."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.e2e.kills.gateway import Gateway
from tests.e2e.kills.run import run
from tests.fakes.postgresql import Cluster

KILLS = 200
KILLS_ON_POSTGRESQL = 60
SEED = 20261124


@pytest.fixture
def cluster() -> Generator[Cluster]:
    cluster = Cluster(is_durable=True)
    yield cluster
    cluster.remove()


@pytest.mark.timeout(900)
async def test_200_kills_under_load_lose_nothing_and_send_nothing_twice(tmp_path: Path) -> None:
    result = await run(Gateway(tmp_path), kills=KILLS, seed=SEED)
    assert not result.accounts.faults, str(result)


@pytest.mark.timeout(600)
async def test_kills_on_a_postgresql_that_crashes_too_lose_nothing_and_send_nothing_twice(
    tmp_path: Path, cluster: Cluster
) -> None:
    result = await run(Gateway(tmp_path, cluster), kills=KILLS_ON_POSTGRESQL, seed=SEED)
    assert result.kills["database"] >= 1
    assert not result.accounts.faults, str(result)
