"""What the tests of modems share: a core for the driver, folders, and an emulator that another process serves."""

import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest

from core.cli.roles import command_of
from tests.fakes.core_stub import StubCore


@pytest.fixture
async def core() -> AsyncIterator[StubCore]:
    core = StubCore()
    await core.start()
    yield core
    await core.stop()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="ir") as folder:
        yield Path(folder)


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder in which nothing runs, and the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("INFINIREACH_VAR", str(tmp_path))
    monkeypatch.delenv("INFINIREACH_MODEM_CONFIG", raising=False)
    return tmp_path


@pytest.fixture
def served(var: Path) -> Generator[str]:
    """What an emulator says that was started with its defaults; it ends in order."""
    command = command_of("drivers.modem", "emulate", "--tcp", "0", "--radio-log", str(var / "radio.log"))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert process.returncode == 0
