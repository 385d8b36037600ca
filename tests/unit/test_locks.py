"""The lock files hold what pyproject.toml asks for, by hash, and the two agree."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests import repository

RUNTIME_LOCK = "requirements.lock"
DEVELOPMENT_LOCK = "requirements-dev.lock"
ENTRY = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^\s;]+)(?P<rest>(?:.*\\\n)*.*)$", re.MULTILINE)


def entries(lock: str) -> list[re.Match[str]]:
    """Each pinned package of a lock file with its hashes."""
    return list(ENTRY.finditer((repository.ROOT / lock).read_text(encoding="utf-8")))


def pins(lock: str) -> dict[str, set[Version]]:
    """The pinned versions by package; some packages have one per platform or Python version."""
    found: dict[str, set[Version]] = {}
    for entry in entries(lock):
        found.setdefault(canonicalize_name(entry["name"]), set()).add(Version(entry["version"]))
    return found


def asked(*extras: str) -> list[Requirement]:
    """What pyproject.toml asks for, with the extras that a lock file covers."""
    project = tomllib.loads((repository.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    return [Requirement(line) for lines in lists for line in lines]


@pytest.mark.parametrize(
    ("lock", "extras"), [(RUNTIME_LOCK, ["build"]), (DEVELOPMENT_LOCK, ["build", "dev"])]
)
def test_lock_satisfies_pyproject(lock: str, extras: list[str]) -> None:
    pinned = pins(lock)
    unsatisfied = [
        str(requirement)
        for requirement in asked(*extras)
        if not any(requirement.specifier.filter(pinned.get(canonicalize_name(requirement.name), ())))
    ]
    assert not unsatisfied, f"run `make lock`: {lock} does not satisfy {unsatisfied}"


@pytest.mark.parametrize("lock", [RUNTIME_LOCK, DEVELOPMENT_LOCK])
def test_every_pin_has_a_hash_and_no_line_names_an_index(lock: str) -> None:
    assert entries(lock)
    assert [entry["name"] for entry in entries(lock) if "--hash=sha256:" not in entry["rest"]] == []
    text = (repository.ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^--(?!hash)", text, re.MULTILINE)


def test_development_runs_what_production_runs() -> None:
    development = pins(DEVELOPMENT_LOCK)
    assert {name: development.get(name) for name in pins(RUNTIME_LOCK)} == pins(RUNTIME_LOCK)
