"""What processes cost: processor time and memory, read from /proc."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pids: Mapping[str, int]) -> dict[str, float]:
    """Processor time so far by role, with what a process started and nobody else has a name for.

    Roles that differ by a number are one: `{"core-1": 10, "core-2": 11}` answers one figure for `core`.
    """
    used: dict[str, float] = {}
    named = set(pids.values())
    children = {pid: [child for child in of_it if child not in named] for pid, of_it in _children().items()}
    for name, pid in pids.items():
        role = name.rstrip("0123456789").removesuffix("-")
        spent = _spent_s(pid, of_ended=True) + sum(_spent_s(each) for each in _descendants(pid, children))
        used[role] = used.get(role, 0.0) + spent
    return used


def rss_bytes(pid: int) -> int:
    """Memory that the process has in use."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _spent_s(pid: int, *, of_ended: bool = False) -> float:
    """Its own time; with `of_ended` that of the children it has waited for as well. 0 for a process that is gone."""
    fields = _stat(pid)
    return sum(map(int, fields[11 : 15 if of_ended else 13])) / _TICKS_PER_S


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat behind the name: state, parent, …; empty for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def _children() -> dict[int, list[int]]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    return children


def _descendants(pid: int, children: Mapping[int, list[int]]) -> Iterator[int]:
    for child in children.get(pid, ()):
        yield child
        yield from _descendants(child, children)
