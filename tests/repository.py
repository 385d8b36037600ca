"""The repository's files, for the tests that read the source itself."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GENERATED_SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")


def files() -> list[Path]:
    """Every file that git keeps or would keep: tracked ones and new ones that no ignore rule covers."""
    git = shutil.which("git")
    assert git, "these tests need git to know which files belong to the repository"
    listed = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return sorted(path for path in set(paths) if path.is_file())


def python_files() -> list[Path]:
    """The Python files that people write: no generated code."""
    return [path for path in files() if path.suffix == ".py" and not path.name.endswith(GENERATED_SUFFIXES)]


def shown(path: Path) -> str:
    """A path as messages quote it."""
    return path.relative_to(ROOT).as_posix()
