"""Journals of driver processes that are dead, as files: what a disk failure and a backup do to them.

Owns which files belong to a journal. Knows nothing of the world.
"""

import contextlib
from pathlib import Path

from drivers.runtime.journal import Journal
from drivers.runtime.records import JournalState
from infinireach.driver.v1.fact_pb2 import Fact

SUFFIXES = ("", "-wal", "-shm", ".lock")
FACTS_MAX = 100_000


def read(journal: Path) -> dict[str, bytes]:
    """A copy of a journal, as of its last commit."""
    paths = {suffix: journal.with_name(journal.name + suffix) for suffix in ("", "-wal")}
    return {suffix: path.read_bytes() for suffix, path in paths.items() if path.exists()}


def write(journal: Path, copy: dict[str, bytes]) -> None:
    """Put a copy in the place of a journal."""
    for suffix, content in copy.items():
        journal.with_name(journal.name + suffix).write_bytes(content)


def remove(journal: Path) -> None:
    """Lose a journal."""
    for suffix in SUFFIXES:
        journal.with_name(journal.name + suffix).unlink(missing_ok=True)


def facts_of(journal: Path) -> tuple[str, list[Fact]]:
    """The identity of a journal, and its facts that nobody acknowledged."""
    with contextlib.closing(_open(journal)) as opened:
        return opened.state().journal_id, opened.facts_after(0, count_max=FACTS_MAX)


def state_of_copy(path: Path, copy: dict[str, bytes]) -> JournalState:
    """What a copy holds; `path` is free to be used for it."""
    write(path, copy)
    with contextlib.closing(_open(path)) as opened:
        state = opened.state()
    remove(path)
    return state


def _open(journal: Path) -> Journal:
    return Journal(journal, horizon_s=1, settled_commands_max=1)
