"""The simulation notices what it is there for: a planted mistake is found within a few worlds.

planted_mistakes has more of them, for longer runs.
"""

import pytest

from tests.simulation.planted_mistakes import MISTAKES
from tests.simulation.run import run_seed
from tests.simulation.seeds import SUITE_SEEDS

NOTICED_AT_ONCE = ("the core acknowledges before the commit",)


@pytest.mark.parametrize("name", NOTICED_AT_ONCE)
def test_a_planted_mistake_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mistake = MISTAKES[name]
    mistake.plant(monkeypatch)
    found = (finding.rule for seed in SUITE_SEEDS for finding in run_seed(seed).findings)
    assert any(rule in mistake.noticed_by for rule in found), (
        f"{len(SUITE_SEEDS)} worlds did not notice that {name}"
    )
