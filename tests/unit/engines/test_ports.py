"""Ports of engines and roles: chosen once, kept."""

import socket
from pathlib import Path

from tools.engines import plan, ports


def test_each_engine_and_role_has_a_port_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    chosen = plan.load(tmp_path)
    assert list(chosen) == plan.names()
    assert len(set(chosen.values())) == len(chosen)
    assert plan.load(tmp_path) == chosen


def test_a_port_that_a_newer_version_needs_is_added_to_those_that_stay(tmp_path: Path) -> None:
    (tmp_path / plan.FILE_NAME).write_text('{"redis": 12345, "edge": 23456}')
    chosen = plan.load(tmp_path)
    assert (chosen["redis"], chosen["edge"]) == (12345, 23456)
    assert set(chosen) == set(plan.names())


def test_a_preferred_port_that_is_taken_is_not_chosen(tmp_path: Path) -> None:
    with socket.create_server((ports.HOST, 0)) as other:
        taken = other.getsockname()[1]
        assert not ports.is_free(taken)
        assert ports.answers(taken)
    assert not ports.answers(taken)
    assert ports.is_free(taken)
