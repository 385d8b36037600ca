"""The driver starts only for somebody who knows the risk, and keeps the session to itself."""

import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from drivers.runtime.main import EXIT_SETTINGS_INVALID
from drivers.whatsapp_web import config
from drivers.whatsapp_web.account import AccountFailed, Event
from drivers.whatsapp_web.config import Night, Range, read_night, read_number, read_pause
from drivers.whatsapp_web.driver import open_account
from drivers.whatsapp_web.session_file import SessionFile, SessionUnusable

SETTINGS = {
    "INFINIREACH_WHATSAPP_WEB_ACCEPT_RISK": "yes",
    "INFINIREACH_WHATSAPP_WEB_NUMBER": "+15559876543",
    "INFINIREACH_DRIVER_TOKEN": "ird_test",
}


def start(
    environment: Mapping[str, str], *arguments: str, code: str = ""
) -> "subprocess.CompletedProcess[str]":
    how = ["-c", code] if code else ["-m", "drivers.whatsapp_web"]
    kept = {key: value for key, value in os.environ.items() if not key.startswith("INFINIREACH_")}
    return subprocess.run(
        [sys.executable, "-P", *how, *arguments],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("answer", ["", "no", "true", "1"])
def test_it_refuses_to_start_until_the_risk_is_accepted_and_says_which(answer: str) -> None:
    ended = start({**SETTINGS, "INFINIREACH_WHATSAPP_WEB_ACCEPT_RISK": answer})
    assert ended.returncode == EXIT_SETTINGS_INVALID
    assert "INFINIREACH_WHATSAPP_WEB_ACCEPT_RISK" in ended.stderr
    assert "bans numbers" in ended.stderr
    assert "docs/whatsapp-web.md" in ended.stderr


def test_everything_that_is_missing_is_reported_together() -> None:
    ended = start({})
    assert ended.returncode == EXIT_SETTINGS_INVALID
    for name in SETTINGS:
        assert name in ended.stderr


def test_number_that_is_wrong_is_reported_once() -> None:
    ended = start({**SETTINGS, "INFINIREACH_WHATSAPP_WEB_NUMBER": "5559876543"})
    assert ended.stderr.count("INFINIREACH_WHATSAPP_WEB_NUMBER") == 1


def test_it_refuses_to_start_without_the_number() -> None:
    ended = start({**SETTINGS, "INFINIREACH_WHATSAPP_WEB_NUMBER": ""})
    assert ended.returncode == EXIT_SETTINGS_INVALID
    assert "INFINIREACH_WHATSAPP_WEB_NUMBER" in ended.stderr


WITHOUT_LIBRARY = """
import runpy, sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "neonize":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nothing())
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "neonize" else find_spec(name, package)
runpy.run_module("drivers.whatsapp_web", run_name="__main__", alter_sys=True)
"""


def test_without_the_library_it_says_how_to_install_it() -> None:
    ended = start(SETTINGS, code=WITHOUT_LIBRARY)
    assert ended.returncode == EXIT_SETTINGS_INVALID
    assert config.INSTALL in ended.stderr
    assert "Traceback" not in ended.stderr


def test_nothing_of_the_library_is_loaded_before_an_account_is_opened() -> None:
    code = (
        "import sys, drivers.whatsapp_web.driver\nprint([name for name in sys.modules if 'neonize' in name])"
    )
    assert start({}, code=code).stdout == "[]\n"


async def test_library_that_cannot_be_loaded_is_told_with_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "drivers.whatsapp_web.adapter", None)
    with pytest.raises(AccountFailed, match="libmagic1"):
        open_account(tmp_path / "session.db", nobody_hears)


async def nobody_hears(event: Event) -> None:
    raise AssertionError


def test_help_needs_neither_settings_nor_library() -> None:
    ended = start({}, "--help", code=WITHOUT_LIBRARY)
    assert ended.returncode == 0
    assert "INFINIREACH_WHATSAPP_WEB_PAUSE_S" in ended.stdout


@pytest.mark.parametrize(
    ("text", "expected"), [("5-8", Range(5, 8)), ("0", Range(0, 0)), ("1.5", Range(1.5, 1.5))]
)
def test_pause_is_a_figure_or_two(text: str, expected: Range) -> None:
    assert read_pause(text) == expected


@pytest.mark.parametrize("text", ["8-5", "-1", "a-b", "5-", "5-99999", "nan", "1-nan"])
def test_pause_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be seconds"):
        read_pause(text)


def test_night_is_two_hours() -> None:
    night = read_night("22-7")
    assert night == Night(22, 7)
    assert [hour for hour in range(24) if night.covers(hour)] == [0, 1, 2, 3, 4, 5, 6, 22, 23]
    assert [hour for hour in range(24) if read_night("1-3").covers(hour)] == [1, 2]


@pytest.mark.parametrize("text", ["7", "7-7", "22-24", "a-b", "22-7-8"])
def test_night_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be two different hours"):
        read_night(text)


@pytest.mark.parametrize("text", ["15559876543", "+05559876543", "+1 555", "+١٢٣٤٥٦٧٨"])
def test_number_that_is_not_e164_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a plus sign"):
        read_number(text)


def test_session_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "whatsapp-web" / "office" / "session.db"
    session = SessionFile(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    session.close()


def test_session_that_others_could_read_is_mended_and_a_folder_is_not(tmp_path: Path) -> None:
    private, shared = tmp_path / "private", tmp_path / "shared"
    private.mkdir(mode=0o700)
    shared.mkdir()
    shared.chmod(0o755)
    path = private / "session.db"
    path.touch()
    path.chmod(0o644)
    SessionFile(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(SessionUnusable, match="open to others"):
        SessionFile(shared / "session.db")
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755


def test_session_is_opened_once_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "office" / "session.db"
    first = SessionFile(path)
    with pytest.raises(SessionUnusable, match="in use by another process"):
        SessionFile(path)
    first.close()
    SessionFile(path).close()


def test_session_whose_path_the_library_would_misread_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SessionUnusable, match="must not contain"):
        SessionFile(tmp_path / "a?b" / "session.db")


def test_session_that_is_a_link_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "office"
    folder.mkdir(mode=0o700)
    (folder / "session.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SessionUnusable, match="cannot be opened"):
        SessionFile(folder / "session.db")
