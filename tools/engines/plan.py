"""Which port each engine and each role of a gateway on these engines has: chosen once, kept in a file.

Owns the names. A port that was chosen stays, so that what was configured with it goes on working after a restart.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from tools.engines.ports import free_port, is_free

FILE_NAME = "ports.json"
EACH = 2
"""How many of each role there are."""

PREFERRED = {"edge": 8443, "edge-driver": 8444, "edge-driver-token": 8445}
"""The ones that people type."""

ENGINES = (
    "postgresql",
    "redis",
    "kafka",
    "kafka-controller",
    "edge",
    "edge-driver",
    "edge-driver-token",
    "edge-admin",
)
ROLES = {"core": ("", "-internal", "-metrics"), "rest": ("", "-metrics"), "deliver": ("-metrics",)}


def names() -> list[str]:
    """All ports by name: engines, then those of roles, such as core-1-internal."""
    roles = [
        f"{role}-{n}{port}" for role, ports in ROLES.items() for n in range(1, EACH + 1) for port in ports
    ]
    return [*ENGINES, *roles]


def load(folder: Path) -> Mapping[str, int]:
    """The ports by name; those that are missing in the file are chosen and added to it."""
    path = folder / FILE_NAME
    chosen: dict[str, int] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    missing = [name for name in names() if name not in chosen]
    if missing:
        for name in missing:
            chosen[name] = _choose(name, taken=set(chosen.values()))
        folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.new")
        draft.write_text(json.dumps(chosen, indent=2) + "\n", encoding="utf-8")
        os.replace(draft, path)
    return chosen


def _choose(name: str, taken: set[int]) -> int:
    preferred = PREFERRED.get(name, 0)
    if preferred and preferred not in taken and is_free(preferred):
        return preferred
    while (port := free_port()) in taken:
        pass
    return port
