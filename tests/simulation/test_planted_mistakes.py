"""The simulation notices what it is there for: each planted mistake is found within the worlds that the suite runs."""

import pytest

from tests.simulation.planted_mistakes import MISTAKES
from tests.simulation.run import run_seed
from tests.simulation.seeds import SUITE_SEEDS


@pytest.mark.parametrize("name", MISTAKES)
def test_a_planted_mistake_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mistake = MISTAKES[name]
    mistake.plant(monkeypatch)
    others = (seed for seed in SUITE_SEEDS if seed != mistake.world)
    found = (finding.rule for seed in (mistake.world, *others) for finding in run_seed(seed).findings)
    assert any(rule in mistake.noticed_by for rule in found), (
        f"{len(SUITE_SEEDS)} worlds did not notice that {name}"
    )
