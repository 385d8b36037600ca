"""Seeded worlds of both ends of the driver stream: whatever dies, nothing is lost and nothing sent twice.

Each world has the real use cases on a real database, the real runtime on a real journal, and a network, a radio and a
clock of its own. More worlds on demand: python -m tests.simulation --seeds 10000
"""

import os
import subprocess
import sys

import pytest

from tests import repository
from tests.simulation.run import run_seed
from tests.simulation.seeds import SUITE_SEEDS

SEEDS_PER_TEST = 20


@pytest.mark.parametrize("first", SUITE_SEEDS[::SEEDS_PER_TEST])
def test_every_message_ends_once_and_nothing_is_sent_twice_whatever_dies(first: int) -> None:
    for seed in range(first, first + SEEDS_PER_TEST):
        findings = run_seed(seed).findings
        assert not findings, f"seed {seed}: {[f'{finding.rule}: {finding.text}' for finding in findings[:5]]}"


def test_the_same_seed_gives_the_same_world_in_any_process() -> None:
    traces = [
        subprocess.run(
            [sys.executable, "-m", "tests.simulation", "--seed", "1", "--trace"],
            cwd=repository.ROOT,
            env=os.environ | {"PYTHONPATH": f".{os.pathsep}proto", "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert len(traces[0].splitlines()) > 100
    assert traces[0] == traces[1]
