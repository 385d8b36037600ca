"""Kill -9 of core, facade and driver under load; see tests/e2e/kills."""

from pathlib import Path

import pytest

from tests.e2e.kills.run import run

KILLS = 200
SEED = 20261124


@pytest.mark.timeout(900)
async def test_200_kills_under_load_lose_nothing_and_send_nothing_twice(tmp_path: Path) -> None:
    result = await run(tmp_path, kills=KILLS, seed=SEED)
    assert not result.accounts.faults, str(result)
