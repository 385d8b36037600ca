"""What the contract tests of drivers share."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.fakes.core_stub import StubCore


@pytest.fixture
async def core() -> AsyncIterator[StubCore]:
    core = StubCore()
    await core.start()
    yield core
    await core.stop()


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Where the simulated driver may listen. A socket's path is short, and pytest's own folders may be deep."""
    with tempfile.TemporaryDirectory(prefix="ir") as folder:
        yield Path(folder) / "simulated.sock"
