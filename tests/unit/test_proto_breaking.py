"""The check on the protos' compatibility, over small histories made for each test."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests import repository
from tools import proto_breaking

KEPT = 'syntax = "proto3";\npackage example.v1;\nmessage Note {\n  string text = 1;\n}\n'
EXTENDED = KEPT.replace("}", "  string title = 2;\n}")
BROKEN = KEPT.replace("string text", "int64 text")


class History:
    """A git repository with one proto, written commit by commit."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.git("init", "--quiet", "--initial-branch=main")
        shutil.copy(repository.ROOT / "buf.yaml", root)

    def git(self, *arguments: str) -> None:
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=self.root, check=True, capture_output=True)

    def write(self, proto: str) -> None:
        path = self.root / "proto/example/v1/note.proto"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(proto, encoding="utf-8")

    def commit(self, proto: str, message: str = "change") -> None:
        self.write(proto)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    monkeypatch.delenv("PROTO_BREAK", raising=False)
    return History(tmp_path)


def test_first_commit_has_nothing_to_compare_with(history: History) -> None:
    history.commit(KEPT)
    assert proto_breaking.main(history.root) == 0


def test_added_field_passes(history: History) -> None:
    history.commit(KEPT)
    history.commit(EXTENDED)
    assert proto_breaking.main(history.root) == 0


def test_changed_field_fails_and_is_named(history: History, capsys: pytest.CaptureFixture[str]) -> None:
    history.commit(KEPT)
    history.commit(BROKEN)
    assert proto_breaking.main(history.root) == 1
    assert 'Field "1" with name "text"' in capsys.readouterr().out


def test_uncommitted_change_is_seen(history: History) -> None:
    history.commit(KEPT)
    history.commit(KEPT)
    history.write(BROKEN)
    assert proto_breaking.main(history.root) == 1


def test_branch_is_compared_with_where_it_left_main(history: History) -> None:
    history.commit(KEPT)
    history.git("update-ref", "refs/remotes/origin/main", "HEAD")
    history.commit(BROKEN)
    history.commit(BROKEN)
    assert proto_breaking.main(history.root) == 1


def test_declared_break_passes_and_prints_its_reason(
    history: History, capsys: pytest.CaptureFixture[str]
) -> None:
    history.commit(KEPT)
    history.commit(BROKEN, "proto: count in numbers\n\nProto-Break: nobody calls it yet")
    assert proto_breaking.main(history.root) == 0
    assert "nobody calls it yet" in capsys.readouterr().out


def test_nothing_excuses_a_break_with_a_release(history: History) -> None:
    history.commit(KEPT)
    history.git("tag", "v1.0.0")
    history.commit(BROKEN, "proto: count in numbers\n\nProto-Break: we would like to")
    assert proto_breaking.main(history.root) == 1


def test_shallow_clone_fails_instead_of_passing_unseen(
    history: History, tmp_path_factory: pytest.TempPathFactory
) -> None:
    history.commit(KEPT)
    history.commit(BROKEN)
    clone = tmp_path_factory.mktemp("shallow")
    history.git("clone", "--quiet", "--depth=1", f"file://{history.root}", str(clone))
    assert proto_breaking.main(clone) == 1


def test_folder_without_history_fails_instead_of_passing_unseen(tmp_path: Path) -> None:
    assert proto_breaking.main(tmp_path) == 1
